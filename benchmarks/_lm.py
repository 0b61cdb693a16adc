"""Completion tokens per second of a whole rollout against bare ``model.generate`` on the very same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import gymnasium
import torch

from agents.backbone import Backbone, load_backbone
from agents.manager import MemoryManager
from benchmarks._env import ENV
from benchmarks._timing import alternate
from memgym.envs.vector import MemoryVectorEnv
from memgym.rollout import Trajectory, rollout

TEMPERATURE = 1.0  # as in training
BUDGET = 120  # tokens

Batch = list[tuple[int, ...]]  # prompts read together: one per running episode


def measure_lm(backbone_name: str, *, num_envs: int, chunks: int, max_new_tokens: int, repeats: int) -> dict[str, Any]:
    """Median tokens per second of both, and their ratio.

    The rollout counts everything: environment, prompts, sampling, codec, bank and exam. The bare side generates for
    the prompts that the rollout made, in the same batches, from the plain softmax as the rollout does.
    """
    backbone = load_backbone(backbone_name)
    env: MemoryVectorEnv = gymnasium.make_vec(  # type: ignore[assignment]
        ENV, num_envs=num_envs, budget=BUDGET, dialogue={"chunks": chunks}
    )
    manager = MemoryManager(backbone, max_new_tokens=max_new_tokens, temperature=TEMPERATURE)

    def run_rollout() -> list[Trajectory]:
        manager.reseed(0)
        return rollout(env, manager, range(num_envs))

    batches = _batches(run_rollout())  # the first run also warms up
    _generate(backbone, batches[0], max_new_tokens)
    measured = alternate(
        {
            "rollout": lambda: sum(map(_sampled_tokens, run_rollout())),
            "generate": lambda: sum(_generate(backbone, batch, max_new_tokens) for batch in batches),
        },
        repeats,
    )
    env.close()
    rates = {name: median(tokens / seconds for seconds, tokens in runs) for name, runs in measured.items()}
    prompts = [prompt for batch in batches for prompt in batch]
    return {
        "backbone": backbone.name,
        "device": str(backbone.device),
        "batch": num_envs,
        "prompts": len(prompts),
        "prompt_tokens": sum(map(len, prompts)) / len(prompts),
        "max_new_tokens": max_new_tokens,
        "rollout_tokens": measured["rollout"][0][1],
        "generate_tokens": measured["generate"][0][1],
        "rollout_tokens_per_s": rates["rollout"],
        "generate_tokens_per_s": rates["generate"],
        "ratio": rates["rollout"] / rates["generate"],
    }


def _batches(trajectories: Sequence[Trajectory]) -> list[Batch]:
    """The prompts of every turn; all episodes are equally long and never search, so turns line up."""
    turns = zip(*(trajectory.steps for trajectory in trajectories), strict=True)
    return [[step.decision.prompt_ids for step in turn] for turn in turns]


def _sampled_tokens(trajectory: Trajectory) -> int:
    return sum(len(step.decision.completion_ids) for step in trajectory.steps)


def _generate(backbone: Backbone, batch: Batch, max_new_tokens: int) -> int:
    """Number of tokens that ``model.generate`` samples for a batch, each row's end token included."""
    tokenizer, model = backbone.tokenizer, backbone.model
    ends = _end_ids(backbone)
    width = max(map(len, batch))
    ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(prompt)) + list(prompt) for prompt in batch])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        output = model.generate(  # type: ignore[operator]  # what stub files make of a module's attributes
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            top_p=1.0,
            repetition_penalty=1.0,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
        )
    return sum(_length(row, ends) for row in output[:, width:].tolist())


def _end_ids(backbone: Backbone) -> list[int]:
    """Ids that end a reply, the same for both sides: the tokenizer's and those of the model's generation defaults."""
    listed = backbone.model.generation_config.eos_token_id
    return sorted({backbone.tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])} - {None})


def _length(completion: list[int], ends: list[int]) -> int:
    """Tokens up to the first end, which counts; ``generate`` fills rows that ended earlier up."""
    return next((number for number, token in enumerate(completion, start=1) if token in ends), len(completion))
