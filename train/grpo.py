"""Train a Memory Manager, or an Answer Agent where actions are replies, with GRPO on the stock TRL trainer.

    accelerate launch -m train.grpo --config train/configs/grpo.yaml
    accelerate launch --config_file train/accelerate/cpu2.yaml -m train.grpo --config train/configs/grpo.yaml
    accelerate launch -m train.grpo --config train/configs/memory_r1_answer.yaml \
        --config train/configs/memory_r1_answer_grpo.yaml

Every optimiser step rolls ``group_size`` trajectories of ``episodes_per_step`` fresh episodes per process and trains
``turns_per_trajectory`` turns of each (train/rollouts.py). A stopped run goes on from its last checkpoint when it is
started again with ``--resume true``, and ends as if it had never stopped.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func: we know

from accelerate import PartialState
from datasets import Dataset
from peft import PeftModel
from transformers import PrinterCallback, ProgressCallback
from trl import GRPOConfig, GRPOTrainer

from agents.backbone import Backbone
from memgym.envs.vector import MemoryVectorEnv
from train.callbacks import AdapterRecord, HeldOutEvaluation, MetricsFile, RewardBar, Watchdog
from train.cpu import prepare_device
from train.credit import Credit, CreditSettings
from train.curriculum import Curriculum
from train.engram import EngramCallback, plot_run, restore_engram
from train.held_out import HeldOut
from train.optimizer import TableGroups
from train.reference import refuse_shared_weights
from train.rollouts import GridRollouts, grid_prompts, numbered_episodes
from train.settings import BackboneSettings, EnvSettings, LoraShape, check_fields, check_run, load_settings
from train.setup import (
    PolicySettings,
    build_policy,
    one_line_errors,
    save_policy,
    starting_point,
    trained_policy,
    with_answerer,
    write_manifest,
)
from train.sharding import need_whole_model
from train.shared_prefix import SharedPrefixGRPOTrainer


@dataclass
class GRPOSettings:
    """Settings of a GRPO run."""

    output_dir: str = "runs/grpo"
    seed: int = 0
    resume: bool = False
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    lora: LoraShape = field(default_factory=LoraShape)
    env: EnvSettings = field(default_factory=EnvSettings)
    answerer: str | None = None
    """Folder of an Answer Agent's adapter on the same backbone, which then sits all exams; it is not trained."""
    agent: PolicySettings = field(default_factory=PolicySettings)
    max_steps: int = 200
    group_size: int = 8
    """G: trajectories per episode."""
    episodes_per_step: int = 4
    """Episodes per process and optimiser step."""
    turns_per_trajectory: int = 4
    """K: turns trained per trajectory."""
    micro_batch_size: int = 8
    """Rows per forward and backward pass."""
    first_episode: int = 0
    """Index of the first training episode in the task."""
    learning_rate: float = 1e-5
    curriculum: list[dict[str, Any]] = field(default_factory=list)
    """Stages with ``until_step`` and changes to ``env.kwargs`` (train/curriculum.py)."""
    credit: CreditSettings = field(default_factory=CreditSettings)
    """Which turn gets which part of the reward (train/credit.py)."""
    share_prefixes: bool = False
    """Train rows that begin alike as one sequence (train/shared_prefix.py); pays off with large micro-batches."""
    eval_env: dict[str, Any] = field(default_factory=dict)
    """Changes to ``env.kwargs`` for the held-out episodes, such as ``split: validation``."""
    eval_episodes: int = 16
    eval_temperature: float = 0.0
    """Of the held-out episodes: 0 is greedy; the rollouts' own temperature shows the policy as it is trained."""
    eval_every: int = 20
    save_every: int = 50
    report_to: str = "none"
    """none, tensorboard or trackio; metrics.jsonl is written always."""
    grpo: dict[str, Any] = field(default_factory=dict)
    """Further fields of ``trl.GRPOConfig``."""

    def __post_init__(self) -> None:
        least = {"eval_episodes": 1, "eval_temperature": 0, "eval_every": 1, "micro_batch_size": 1}
        check_run(self, max_steps=1, group_size=2, episodes_per_step=1, turns_per_trajectory=1, **least)
        check_fields("grpo", self.grpo, GRPOConfig)
        if self.grpo.get("use_vllm"):
            raise ValueError(
                "grpo.use_vllm: rollouts generate by themselves, so it would be loaded for nothing; docs/gpu.md"
            )
        if self.agent.temperature == 0:
            raise ValueError("agent.temperature=0.0: GRPO learns from samples; expected more than 0")


class TableGRPOTrainer(TableGroups, GRPOTrainer):
    """The stock trainer with an optimiser group for the tables of Engram."""


class TableSharedPrefixGRPOTrainer(TableGroups, SharedPrefixGRPOTrainer):
    """The same for rows that share prefixes."""


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says."""
    settings = load_settings(GRPOSettings, sys.argv[1:] if argv is None else argv, __doc__ or "")
    checkpoint = starting_point(settings)
    prepare_device()
    with one_line_errors():
        backbone, trainer, held_out = set_up(settings)
    if checkpoint:
        restore_engram(backbone, checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.is_world_process_zero():
        save_policy(backbone, settings.output_dir)
        plot_run(settings.output_dir)
        held_out.plot(Path(settings.output_dir))


def set_up(settings: GRPOSettings) -> tuple[Backbone, GRPOTrainer, HeldOut]:
    """The policy, the trainer that trains it, and what grades it."""
    backbone = build_policy(settings.backbone, settings.lora, settings.seed)
    if not isinstance(backbone.model, PeftModel):
        raise ValueError("GRPO trains a LoRA adapter; none was made")
    if settings.grpo.get("beta"):
        refuse_shared_weights(backbone, "grpo.beta")
    examined = with_answerer(settings.env, settings.answerer, backbone)
    curriculum = Curriculum(examined, settings.curriculum, settings.episodes_per_step * settings.group_size)
    env = curriculum.env(settings.max_steps)
    policy = trained_policy(backbone, settings.agent, env, settings.seed)
    rollouts = GridRollouts(
        curriculum,
        policy,
        group_size=settings.group_size,
        slots=settings.turns_per_trajectory,
        seed=settings.seed,
        credit=Credit(settings.credit, settings.group_size, env.envs[0].recipe),
    )
    held_out = HeldOut(examined, settings.eval_env, settings.eval_episodes, settings.eval_temperature, policy)
    evaluation = HeldOutEvaluation(held_out, settings.eval_every)
    records = [EngramCallback(backbone), AdapterRecord(backbone), MetricsFile(settings.output_dir)]
    trainer_type = TableSharedPrefixGRPOTrainer if settings.share_prefixes else TableGRPOTrainer
    trainer = trainer_type(
        model=backbone.model,
        reward_funcs=rollouts.turn_reward,
        args=trainer_arguments(settings),
        train_dataset=training_grid(settings, env),
        processing_class=backbone.tokenizer,
        rollout_func=rollouts,
        callbacks=[*records, Watchdog(), evaluation],
    )
    need_whole_model(trainer.accelerator, "train.grpo")
    for replaced in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(replaced)
    trainer.add_callback(RewardBar)
    evaluation.trainer = trainer
    if trainer.is_world_process_zero():
        write_manifest(settings.output_dir, settings, env, policy.name)
    return backbone, trainer, held_out


def trainer_arguments(settings: GRPOSettings) -> GRPOConfig:
    """TRL's configuration: one generation batch is one optimiser step is whole episodes."""
    rows = settings.episodes_per_step * settings.turns_per_trajectory * settings.group_size  # per process
    if rows % settings.micro_batch_size:
        raise SystemExit(
            f"error: micro_batch_size={settings.micro_batch_size} does not divide the {rows} rows of a step "
            "(episodes_per_step x turns_per_trajectory x group_size): choose a divisor"
        )
    on_cpu = PartialState().device.type == "cpu"
    return GRPOConfig(
        **{
            "output_dir": settings.output_dir,
            "seed": settings.seed,
            "max_steps": settings.max_steps,
            "learning_rate": settings.learning_rate,
            "num_generations": settings.group_size,
            "per_device_train_batch_size": settings.micro_batch_size,
            "gradient_accumulation_steps": rows // settings.micro_batch_size,
            "max_completion_length": settings.agent.max_new_tokens,
            "temperature": settings.agent.temperature,
            "shuffle_dataset": False,
            "gradient_checkpointing": not on_cpu,
            "use_cpu": on_cpu,
            "bf16": not on_cpu,
            "logging_steps": 1,
            "save_steps": settings.save_every,
            "report_to": settings.report_to,
            "disable_tqdm": True,
            "log_level": "warning",
            **settings.grpo,
        }
    )


def training_grid(settings: GRPOSettings, env: MemoryVectorEnv) -> Dataset:
    """One row per slot."""
    needed = settings.max_steps * settings.episodes_per_step * PartialState().num_processes
    episodes = numbered_episodes(env.task, settings.first_episode, needed)
    return Dataset.from_dict({"prompt": grid_prompts(episodes, settings.turns_per_trajectory)})


if __name__ == "__main__":
    main()
