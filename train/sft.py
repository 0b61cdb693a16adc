"""Warm start: imitate a teacher's operations, with the loss on the completion alone.

    accelerate launch -m train.sft --config train/configs/sft.yaml
    accelerate launch -m train.sft --teacher runs/rollout/trajectories.jsonl

The teacher is an agent by name, which is run on the training episodes, or recorded trajectories of the same
environment.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback
from trl import SFTConfig, SFTTrainer

from agents import AGENTS, make_agent
from agents.manager import MemoryManager
from memgym.records import read_trajectories
from memgym.rollout import Trajectory, rollout
from train.callbacks import MetricsFile, RewardBar
from train.cpu import prepare_device
from train.examples import Example, examples_from
from train.settings import AgentSettings, BackboneSettings, EnvSettings, LoraShape, load_settings
from train.setup import build_env, build_policy, last_checkpoint, save_policy, write_manifest


@dataclass
class SFTSettings:
    """Settings of a warm start."""

    output_dir: str = "runs/sft"
    seed: int = 0
    resume: bool = False
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    lora: LoraShape = field(default_factory=LoraShape)
    env: EnvSettings = field(default_factory=EnvSettings)
    agent: AgentSettings = field(default_factory=AgentSettings)
    teacher: str = "random"
    """An agent by name, or a trajectories.jsonl of the same environment."""
    teacher_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the teacher by name, such as the oracle's ``noise``."""
    episodes: int = 64
    """Training episodes the teacher is run on."""
    first_episode: int = 0
    """Index of the first of them in the task."""
    max_steps: int = -1
    """Optimiser steps; -1 trains ``epochs``."""
    epochs: float = 1.0
    batch_size: int = 8
    learning_rate: float = 2e-4
    save_every: int = 50
    report_to: str = "none"
    """none, tensorboard or trackio; metrics.jsonl is written always."""
    sft: dict[str, Any] = field(default_factory=dict)
    """Further fields of ``trl.SFTConfig``."""


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says."""
    settings = load_settings(SFTSettings, sys.argv[1:] if argv is None else argv, __doc__ or "")
    prepare_device()
    backbone = build_policy(settings.backbone, settings.lora, settings.seed)
    student = MemoryManager(backbone, adapter="default", **vars(settings.agent))
    env = build_env(settings.env, 1)
    examples = examples_from(env, student, teacher_trajectories(settings))
    trainer = SFTTrainer(
        model=backbone.model,
        args=trainer_arguments(settings),
        train_dataset=as_dataset(examples),
        processing_class=backbone.tokenizer,
        callbacks=[MetricsFile(settings.output_dir)],
    )
    for replaced in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(replaced)
    trainer.add_callback(RewardBar)
    if trainer.is_world_process_zero():
        write_manifest(settings.output_dir, settings, env, "manager")
    trainer.train(resume_from_checkpoint=last_checkpoint(settings.output_dir) if settings.resume else None)
    if trainer.is_world_process_zero():
        save_policy(backbone, settings.output_dir)


def teacher_trajectories(settings: SFTSettings) -> list[Trajectory]:
    """Run the teacher, in the environment it is defined by, or read its records."""
    if settings.teacher not in AGENTS:
        return list(read_trajectories(Path(settings.teacher)))
    task = build_env(settings.env, 1).task
    teacher = make_agent(settings.teacher, task=task, **settings.teacher_kwargs)
    count = settings.episodes if task.size is None else min(settings.episodes, task.size)
    env = build_env(settings.env, min(count, 64), teacher.env_overrides)
    return rollout(env, teacher, range(settings.first_episode, settings.first_episode + count))


def as_dataset(examples: list[Example]) -> Dataset:
    """Tokens, and as labels those that are trained: the completion with its end token, never the prompt."""
    return Dataset.from_dict(
        {
            "input_ids": [example.prompt_ids + example.completion_ids for example in examples],
            "labels": [[-100] * len(example.prompt_ids) + example.completion_ids for example in examples],
        }
    )


def trainer_arguments(settings: SFTSettings) -> SFTConfig:
    """TRL's configuration."""
    on_cpu = PartialState().device.type == "cpu"
    return SFTConfig(
        **{
            "output_dir": settings.output_dir,
            "seed": settings.seed,
            "max_steps": settings.max_steps,
            "num_train_epochs": settings.epochs,
            "per_device_train_batch_size": settings.batch_size,
            "learning_rate": settings.learning_rate,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 0.03,
            "max_length": None,  # an example that is cut would teach to stop in the middle
            "dataset_kwargs": {"skip_prepare_dataset": True},
            "gradient_checkpointing": not on_cpu,
            "use_cpu": on_cpu,
            "bf16": not on_cpu,
            "logging_steps": 1,
            "save_steps": settings.save_every,
            "report_to": settings.report_to,
            "disable_tqdm": True,
            "log_level": "warning",
            **settings.sft,
        }
    )


if __name__ == "__main__":
    main()
