"""Supervised training, with the loss on the completion alone.

    accelerate launch -m train.sft --config train/configs/sft.yaml
    accelerate launch -m train.sft --teacher runs/rollout/trajectories.jsonl
    accelerate launch -m train.sft --config train/configs/locomo_answerer.yaml
    accelerate launch -m train.sft --config train/configs/memlora_extract.yaml

A Memory Manager imitates a teacher's operations: an agent by name, which is run on the training episodes, or recorded
trajectories of the same environment. An Answer Agent (``role: answerer``) sits the exam after the teacher has filled
the memory and imitates the gold answers. An adapter of MemLoRA learns the samples that ``train.distill`` has written
for its operation (``examples: runs/distill/extract.jsonl``).
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback
from trl import SFTConfig, SFTTrainer

from agents import BASELINES, make_agent
from agents.answerer import AnswerAgent
from agents.backbone import Backbone
from agents.base import Agent
from agents.manager import MemoryManager
from agents.trained_as import with_env
from memgym.records import MANIFEST, Manifest, hardware, package_versions, plain, read_trajectories
from memgym.rollout import Trajectory, rollout
from memgym.tasks.task import Task
from train.callbacks import AdapterRecord, MetricsFile, RewardBar
from train.cpu import prepare_device
from train.distilled import distilled_examples
from train.engram import EngramCallback, plot_run, restore_engram
from train.examples import Example, ExamScribe, answer_examples, examples_from
from train.optimizer import TableGroups
from train.settings import (
    AgentSettings,
    BackboneSettings,
    EnvSettings,
    LoraShape,
    check_fields,
    check_run,
    load_settings,
)
from train.setup import (
    build_env,
    build_policy,
    one_line_errors,
    save_policy,
    shown_by,
    starting_point,
    window_for,
    write_manifest,
)
from train.sharding import need_whole_model, whole_weights

ROLES = ("manager", "answerer")
ABOUT_TEACHERS = ("role", "distil", "teacher", "teacher_kwargs", "episodes", "first_episode", "env", "agent")


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
    role: str = "manager"
    """What is trained: "manager" or "answerer"."""
    distil: bool = False
    """Of an answerer: name the memories that hold the evidence before the answer (Memory-R1's memory distillation)."""
    teacher: str = "random"
    """An agent by name, or a trajectories.jsonl of the same environment; several joined by "+" are all imitated."""
    teacher_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the teacher by name, such as the oracle's ``noise``."""
    episodes: int = 64
    """Training episodes the teacher is run on."""
    first_episode: int = 0
    """Index of the first of them in the task."""
    examples: str | None = None
    """Samples of one operation, written by train.distill; they take the place of role, env, agent and teacher."""
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

    def __post_init__(self) -> None:
        check_run(self, episodes=1, batch_size=1)
        check_fields("sft", self.sft, SFTConfig)
        if self.role not in ROLES:
            raise ValueError(f"role={self.role!r}: expected {' or '.join(ROLES)}")
        if self.distil and self.role != "answerer":
            raise ValueError("distil=true is an answerer's: set role: answerer, or leave distil out")
        for name in self.teacher.split("+"):
            if name not in BASELINES and (self.role == "answerer" or not Path(name).exists()):
                raise ValueError(
                    f"teacher={name!r}: expected one of {', '.join(BASELINES)}, or of a manager a trajectories.jsonl"
                )
        if self.max_steps != -1 and self.max_steps < 1:
            raise ValueError(f"max_steps={self.max_steps}: expected at least 1, or -1 to train epochs")
        if self.epochs <= 0:
            raise ValueError(f"epochs={self.epochs}: expected more than 0")
        if self.examples is not None:
            self._check_no_teacher()

    def _check_no_teacher(self) -> None:
        """Refuse settings that would have no effect."""
        unset = SFTSettings()
        for name in ABOUT_TEACHERS:
            if getattr(self, name) != getattr(unset, name):
                raise ValueError(f"examples={self.examples!r} says what is trained and on what: leave {name} out")


class TableSFTTrainer(TableGroups, SFTTrainer):
    """The stock trainer with an optimiser group for the tables of Engram."""


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says."""
    settings = load_settings(SFTSettings, sys.argv[1:] if argv is None else argv, __doc__ or "")
    checkpoint = starting_point(settings, free=["epochs"])
    prepare_device()
    with one_line_errors():
        backbone, trainer = set_up(settings)
    if checkpoint:
        restore_engram(backbone, checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint)
    weights = whole_weights(trainer)
    if trainer.is_world_process_zero():
        save_policy(backbone, settings.output_dir, weights)
        plot_run(settings.output_dir)


def set_up(settings: SFTSettings) -> tuple[Backbone, SFTTrainer]:
    """The policy, and the trainer that has its examples."""
    backbone = build_policy(settings.backbone, settings.lora, settings.seed)
    trainer = TableSFTTrainer(
        model=backbone.model,
        args=trainer_arguments(settings),
        train_dataset=as_dataset(collect_examples(settings, backbone)),
        processing_class=backbone.tokenizer,
        callbacks=[EngramCallback(backbone), AdapterRecord(backbone), MetricsFile(settings.output_dir)],
    )
    if settings.backbone.engram:
        need_whole_model(trainer.accelerator, "saving Engram")
    for replaced in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(replaced)
    trainer.add_callback(RewardBar)
    if trainer.is_world_process_zero():
        record_run(settings, backbone.trained_as["default"]["role"])
    return backbone, trainer


def collect_examples(settings: SFTSettings, backbone: Backbone) -> list[Example]:
    """What the teachers show, or have shown; the adapter is recorded as what it is trained as."""
    if settings.examples is not None:
        examples = distilled_examples(settings.examples, backbone)
        source = Manifest.read(Path(settings.examples).parent)
        given = {name: source.env_kwargs.get(name) for name in ("retrieval", "encoder")}  # not as they took effect
        backbone.trained_as["default"] = with_env(backbone.trained_as["default"], source.config | given)
        return examples
    return [example for name in settings.teacher.split("+") for example in make_examples(settings, backbone, name)]


def record_run(settings: SFTSettings, role: str) -> None:
    """Write the manifest. For distilled examples it names the environment they were made in."""
    if settings.examples is None:
        write_manifest(settings.output_dir, settings, build_env(settings.env, 1), role)
        return
    distilled = Manifest.read(Path(settings.examples).parent)
    replace(
        distilled,
        command=" ".join(["python -m train.sft", *sys.argv[1:]]),
        agent=role,
        seed=settings.seed,
        extra={"settings": plain(asdict(settings)), "teacher": distilled.agent},
        versions=package_versions(),
        hardware=hardware(),
    ).write(Path(settings.output_dir) / MANIFEST)


def make_examples(settings: SFTSettings, backbone: Backbone, teacher: str) -> list[Example]:
    """What one teacher shows the role that is trained."""
    own = build_env(settings.env, 1)
    if settings.role == "manager":
        student = MemoryManager(backbone, adapter="default", **vars(settings.agent))
        backbone.trained_as["default"] = with_env(student.record, shown_by(own))
        return examples_from(own, student, teacher_trajectories(settings, teacher))
    policy = named_teacher(settings, teacher)
    answerer = AnswerAgent(backbone, "default", distil=settings.distil or None, window=window_for(settings.env.kwargs))
    context = min(own.exam.context_tokens, answerer.window)
    backbone.trained_as["default"] = with_env(answerer.record, shown_by(own) | {"context_tokens": context})
    scribe = ExamScribe(answerer.window)
    env = build_env(settings.env, 1, {**policy.env_overrides, "reader": scribe})
    return answer_examples(env, scribe, answerer, policy, training_episodes(settings, env.task))


def teacher_trajectories(settings: SFTSettings, name: str) -> list[Trajectory]:
    """Run the teacher, in the environment it is defined by, or read its records."""
    if name not in BASELINES:
        return list(read_trajectories(Path(name)))
    teacher = named_teacher(settings, name)
    episodes = training_episodes(settings, build_env(settings.env, 1).task)
    return rollout(build_env(settings.env, min(len(episodes), 64), teacher.env_overrides), teacher, episodes)


def named_teacher(settings: SFTSettings, name: str) -> Agent:
    """The agent of that name, acting on the training task.

    Raises:
        ValueError: It takes no such arguments.
    """
    try:
        return make_agent(name, task=build_env(settings.env, 1).task, **settings.teacher_kwargs)
    except (ValueError, TypeError) as error:
        raise ValueError(f"teacher_kwargs: {error}") from error


def training_episodes(settings: SFTSettings, task: Task) -> range:
    """Indices of the episodes that are imitated.

    Raises:
        ValueError: There are none.
    """
    count = settings.episodes if task.size is None else min(settings.episodes, task.size - settings.first_episode)
    if count < 1:
        raise ValueError(f"first_episode={settings.first_episode}: the task {task.name} has {task.size} episodes")
    return range(settings.first_episode, settings.first_episode + count)


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
