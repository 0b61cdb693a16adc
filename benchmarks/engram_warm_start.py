"""Warm starts with and without Engram, from the same data in the same number of steps.

    python -m benchmarks.engram_warm_start --json results/engram/warm_start.json
    python -m benchmarks.engram_warm_start --config train/configs/smoke_sft.yaml --seeds 0 --episodes 2

Three arms: (a) LoRA; (b) LoRA and Engram, tables and projections trained; (c) LoRA with as many more parameters as
Engram has. A seed is that of the initial adapter and of the order of the examples. Every trained model is graded on
held-out episodes of the same task: loss per token of the teacher's replies, share of replies that equal the teacher's
(greedy), and the exam's score of the policy (greedy); (b) also with its Engram switched off.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from agents import engram
from agents.backbone import Backbone
from agents.generation import generate
from agents.manager import MemoryManager
from memgym.rollout import rollout
from train import sft
from train.examples import Example, examples_from
from train.settings import load_settings
from train.setup import ADAPTER, build_env, build_policy

ARMS = ("lora", "lora+engram", "lora, equal parameters")
OFF = "lora+engram, switched off"
FIGURES = ("loss", "exact_match", "score")
BATCH = 16  # examples per forward pass of the grading


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and grade every arm with every seed; print the table, write the figures."""
    options = _parser().parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for arm in ARMS:
            rows += run(options, arm, seed)
            print(json.dumps(rows[-1]), flush=True)
            if options.json:  # after every run: a long one may be interrupted
                record = {"options": _plain(options), "table": summarise(rows), "runs": rows}
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("\n" + table(summarise(rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare warm starts with and without Engram.")
    parser.add_argument("--config", default="train/configs/demo_sft.yaml", help="of the warm start (%(default)s)")
    parser.add_argument("--engram", type=json.loads, default={}, help="JSON: fields of EngramConfig")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=None, help="optimiser steps (default: the configuration's)")
    parser.add_argument("--episodes", type=int, default=48, help="held-out episodes (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/engram"), help="of the training runs (%(default)s)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    return parser


def _plain(options: argparse.Namespace) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}


def run(options: argparse.Namespace, arm: str, seed: int) -> list[dict[str, Any]]:
    """Train one arm and grade it; with Engram, once more with Engram off."""
    folder = options.output / f"{arm.replace(', ', '_').replace(' ', '_')}_{seed}"
    argv = ["--config", options.config, "--seed", str(seed), "--output_dir", str(folder)]
    if options.steps is not None:
        argv += ["--max_steps", str(options.steps)]
    argv += arm_settings(options, arm)
    began = time.monotonic()
    sft.main(argv)
    wall = time.monotonic() - began
    settings = load_settings(sft.SFTSettings, ["--config", options.config], "")
    settings.backbone.adapter = str(folder / ADAPTER)
    backbone = build_policy(settings.backbone, settings.lora, seed)
    common = {"seed": seed, "trained_parameters": _trained_parameters(options, arm), "wall_s": round(wall, 1)}
    graded = [{"arm": arm, **common, **grade(backbone, settings, options.episodes)}]
    if engram.is_attached(backbone.model):
        graded.append({"arm": OFF, **common, **grade(backbone, settings, options.episodes, engram_on=False)})
    return graded


def arm_settings(options: argparse.Namespace, arm: str) -> list[str]:
    """What distinguishes an arm, as command-line arguments of the warm start."""
    if arm == "lora":
        return []
    if arm == "lora+engram":
        return ["--backbone.engram", json.dumps(options.engram) if options.engram else "true"]
    rank = equal_rank(options)
    alpha = rank * load_settings(sft.SFTSettings, ["--config", options.config], "").lora.alpha
    return ["--lora.rank", str(rank), "--lora.alpha", str(alpha // _rank(options))]


def equal_rank(options: argparse.Namespace) -> int:
    """The LoRA rank with which (c) has as many trained parameters as (b), to the nearest whole number."""
    plain, grafted = (_trained_parameters(options, arm) for arm in ARMS[:2])
    return round(_rank(options) * grafted / plain)


def _rank(options: argparse.Namespace) -> int:
    return load_settings(sft.SFTSettings, ["--config", options.config], "").lora.rank


def _trained_parameters(options: argparse.Namespace, arm: str) -> int:
    settings = load_settings(sft.SFTSettings, ["--config", options.config, *arm_settings(options, arm)], "")
    backbone = build_policy(settings.backbone, settings.lora, settings.seed)
    return sum(parameter.numel() for parameter in backbone.model.parameters() if parameter.requires_grad)


def grade(backbone: Backbone, settings: sft.SFTSettings, episodes: int, *, engram_on: bool = True) -> dict[str, float]:
    """Loss, exact match and exam score on the first ``episodes`` validation episodes."""
    switch: AbstractContextManager[None] = nullcontext() if engram_on else engram.engram_off(backbone.model)
    settings.env.kwargs = {**settings.env.kwargs, "split": "validation"}
    settings.episodes, settings.teacher_kwargs = episodes, {}  # an unerring teacher
    student = MemoryManager(backbone, adapter="default", **{**asdict(settings.agent), "temperature": 0.0})
    env = build_env(settings.env, episodes)
    examples = examples_from(build_env(settings.env, 1), student, sft.teacher_trajectories(settings, settings.teacher))
    backbone.model.eval()
    with switch:
        return {
            "loss": mean_loss(backbone, examples),
            "exact_match": exact_match(backbone, examples, settings.agent.max_new_tokens),
            "score": fmean(trajectory.score for trajectory in rollout(env, student, range(episodes))),
        }


@torch.no_grad()
def mean_loss(backbone: Backbone, examples: Sequence[Example]) -> float:
    """Cross-entropy per completion token, in nats."""
    total, count = 0.0, 0
    for batch in _batches(sorted(examples, key=lambda example: len(example.prompt_ids))):
        width = max(len(example.prompt_ids) + len(example.completion_ids) for example in batch)
        rows = [example.prompt_ids + example.completion_ids for example in batch]
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=backbone.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=backbone.device)
        logits = backbone.model(input_ids=ids, attention_mask=mask).logits.float()  # (B, T, V)
        for example, row, scores in zip(batch, ids, logits, strict=True):
            start, end = len(example.prompt_ids), len(example.prompt_ids) + len(example.completion_ids)
            total += float(
                torch.nn.functional.cross_entropy(scores[start - 1 : end - 1], row[start:end], reduction="sum")
            )
            count += end - start
    return total / count


def exact_match(backbone: Backbone, examples: Sequence[Example], max_new_tokens: int) -> float:
    """Share of greedy replies that are the teacher's, token for token."""
    prompts = [example.prompt_ids for example in examples]
    replies = generate(backbone.model, backbone.tokenizer, prompts, max_new_tokens=max_new_tokens)
    pairs = zip(replies, examples, strict=True)
    return fmean(list(reply.completion_ids) == example.completion_ids for reply, example in pairs)


def _batches(examples: Sequence[Example]) -> Iterator[Sequence[Example]]:
    for start in range(0, len(examples), BATCH):
        yield examples[start : start + BATCH]


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation over the seeds, by arm and figure."""
    summary = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        summary[arm] = {"seeds": len(own), "trained_parameters": own[0]["trained_parameters"]}
        for name in FIGURES:
            values = [row[name] for row in own]
            summary[arm][name] = {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}
    return summary


def table(summary: dict[str, dict[str, Any]]) -> str:
    """As text, one line per arm."""
    lines = [f"{'arm':28}{'parameters':>12}" + "".join(f"{name:>20}" for name in FIGURES)]
    for arm, row in summary.items():
        cells = "".join(f"{_cell(row[name]):>20}" for name in FIGURES)
        lines.append(f"{arm:28}{row['trained_parameters']:>12,}{cells}")
    return "\n".join(lines)


def _cell(figure: dict[str, float | None]) -> str:
    return f"{figure['mean']:.3f}" + ("" if figure["std"] is None else f" ± {figure['std']:.3f}")


if __name__ == "__main__":
    main()
