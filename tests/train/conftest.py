"""Tiny runs of the trainers. What a trainer changes in its process is put back after each test."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from transformers.utils import logging
from trl import GRPOTrainer
from trl.trainer import utils as trl_utils

from agents.backbone import LoraSettings, add_adapter
from train import cpu
from train.callbacks import read_metrics

TINY_RUN = (
    *("--backbone.name", "tiny-llama", "--lora.rank", "4", "--lora.alpha", "8", "--agent.max_new_tokens", "8"),
    *("--env.kwargs", "{budget: 60, dialogue: {chunks: 2, turns_per_chunk: 2, questions: 2, verbosity: short}}"),
)


@pytest.fixture(autouse=True, scope="module")
def whole_process():
    """Trainers set the global seed and the log level and change TRL: theirs to do in a program, not in a test.

    And they take all cores, which tests leave to others.
    """
    verbosity, state = logging.get_verbosity(), torch.random.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl_utils, "_use_triton", trl_utils._use_triton)
        patch.setattr(cpu, "use_all_cores", lambda: None)
        yield
    logging.set_verbosity(verbosity)
    torch.random.set_rng_state(state)


@pytest.fixture(scope="session")
def tiny_run():
    """Command-line arguments that all tiny trainings share."""
    return list(TINY_RUN)


class PowerCut(Exception):
    """The machine went down."""


@pytest.fixture(scope="session")
def run_until_power_cut():
    """Run a trainer's ``main`` and have it fail when ``after`` steps are done."""

    def run(trainer_module, argv, *, after):
        class Failing(trainer_module.MetricsFile):
            def on_step_begin(self, args, state, control, **kwargs):
                if state.global_step == after:
                    raise PowerCut

        with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
            patch.setattr(trainer_module, "MetricsFile", Failing)
            trainer_module.main(argv)

    return run


@pytest.fixture(scope="session")
def adapter_weights():
    """Tensors of an adapter folder by name."""

    def read(folder):
        return load_file(folder / "adapter_model.safetensors")

    return read


@pytest.fixture(scope="session")
def comparable_metrics():
    """Rows of a run's metrics.jsonl without what depends on the clock or sums up one process only."""

    def read(folder, without=frozenset()):
        rows = [row for row in read_metrics(folder / "metrics.jsonl") if "train_runtime" not in row]
        return [{key: value for key, value in row.items() if key not in {"step_time", *without}} for row in rows]

    return read


@pytest.fixture
def policy(own_backbone):
    """A fresh tiny Llama with a trainable adapter that already does something."""
    add_adapter(own_backbone, "default", LoraSettings(rank=4, alpha=8))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in own_backbone.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05, generator=generator)
    return own_backbone


class RecordingTrainer(GRPOTrainer):
    """Keeps the batches that TRL trains on, as it made them from the rollouts."""

    def __init__(self, *args, **kwargs):
        self.batches: list[dict[str, torch.Tensor]] = []
        super().__init__(*args, **kwargs)

    def _generate_and_score_completions(self, inputs):
        self.batches.append(super()._generate_and_score_completions(inputs))
        return self.batches[-1]


@pytest.fixture
def make_trainer(tmp_path):
    """TRL's trainer over some rollouts, set up as train.grpo does it."""
    from datasets import Dataset

    from train.grpo import GRPOSettings, trainer_arguments
    from train.rollouts import grid_prompts

    def make(rollouts, *, episodes_per_step=1, steps=1, micro_batch_size=None, **options) -> RecordingTrainer:
        rows = episodes_per_step * rollouts.slots * rollouts.group_size
        settings = GRPOSettings(
            output_dir=str(tmp_path / "trl"),
            max_steps=steps,
            group_size=rollouts.group_size,
            turns_per_trajectory=rollouts.slots,
            episodes_per_step=episodes_per_step,
            micro_batch_size=micro_batch_size or rows,
            grpo={"save_strategy": "no", **options},
        )
        return RecordingTrainer(
            model=rollouts.manager.backbone.model,
            reward_funcs=rollouts.turn_reward,
            args=trainer_arguments(settings),
            train_dataset=Dataset.from_dict({"prompt": grid_prompts(range(episodes_per_step * steps), rollouts.slots)}),
            processing_class=rollouts.manager.backbone.tokenizer,
            rollout_func=rollouts,
        )

    return make
