"""Choose MemLoRA's adapters by the score of the whole pipeline, one operation after the other.

    python -m train.select_adapters --output_dir runs/memlora --env.id memgym/LoCoMo-v0 \
        --env.kwargs '{split: validation, chunking: "turns:4", retrieve: 8}' \
        --extract '[runs/extract-1/adapter, runs/extract-2/adapter]' --update '[runs/update-1/adapter]' \
        --answer '[runs/answer-1/adapter]'

A lower loss of one adapter need not help the pipeline. So ``extract`` is chosen while updates go by rule and a fixed
reader sits the exam, ``update`` with the chosen ``extract``, and ``answer`` with both. The chosen adapters are copied
into the output folder, one sub-folder each, from where ``agents.memlora.load_adapters`` and
``agents.MemoryAssistant`` take them; ``selection.md`` and ``selection.json`` hold every score. An operation with a
single candidate is scored all the same: the table says what each stage gains. Beside the pipeline's score stands how
well each adapter does its own part, on calls of a teacher that manages the memory of the same episodes
(train/adapter_metrics.py); it does not decide.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean

from agents.answerer import AnswerAgent
from agents.backbone import Backbone, load_adapter, load_backbone
from agents.fact_pipeline import Reply, UpdateRequest
from agents.facts import write_changes
from agents.memlora import OPERATIONS, MemLoRA
from memgym.exam.reader import Reader
from memgym.rollout import rollout
from memgym.tasks.task import Task
from train.adapter_metrics import (
    HeldOutCalls,
    Quality,
    answer_quality,
    extract_quality,
    teacher_calls,
    update_quality,
)
from train.cpu import prepare_device
from train.settings import BackboneSettings, EnvSettings, load_settings
from train.setup import build_env, window_for
from train.teacher_log import GoldReader
from train.teachers import compare, rule_teacher

PARALLEL = 16  # episodes run together


@dataclass
class SelectionSettings:
    """Settings of a selection."""

    output_dir: str = "runs/memlora"
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    env: EnvSettings = field(default_factory=lambda: EnvSettings(kwargs={"split": "validation"}))
    extract: list[str] = field(default_factory=list)
    """Folders of the candidates."""
    update: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    reader: str = "extractive"
    """Who sits the exam until the answerer is chosen."""
    episodes: int = 16
    """Validation episodes; of a finite task all there are, if fewer."""
    similar: int = 5
    """Notes looked up per fact."""
    max_new_tokens: int = 160
    """Longest reply of extract and update."""
    teacher: str = "oracle"
    """Whose calls the adapters are tried on by themselves: oracle or annotations."""
    calls: int = 64
    """Most calls per operation; 0 leaves this out."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of the table."""

    operation: str
    adapter: str  # folder
    score: float  # of the pipeline: mean score of the exams, in [0, 1]
    memory_tokens: float  # mean over the episodes
    megabytes: float  # of the adapter's weights, 10^6 bytes
    quality: Quality  # of the adapter by itself
    chosen: bool


class RuleUpdates(MemLoRA):
    """Extracts with an adapter, updates by rule: what ``extract`` is judged in."""

    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """See ``train.teachers.compare``."""
        return [Reply(write_changes([compare(request.fact, request.notes)])) for request in requests]


def main(argv: list[str] | None = None) -> None:
    """Select as the command line says; prints the table."""
    settings = load_settings(SelectionSettings, sys.argv[1:] if argv is None else argv, __doc__ or "")
    prepare_device()
    try:
        table = select(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(format_selection(table))


def select(settings: SelectionSettings) -> list[Candidate]:
    """Score all candidates stage by stage; write the chosen adapters and the table.

    Raises:
        ValueError: An operation has no candidate, a folder holds no adapter, or an episode is not of the validation
            split.
        OSError: The backbone cannot be found.
    """
    for operation in OPERATIONS:
        if not getattr(settings, operation):
            raise ValueError(f"no candidate for {operation}: name at least one folder, --{operation} '[FOLDER]'")
    task = build_env(settings.env, 1).task
    episodes = validation_episodes(settings, task)
    calls = held_out_calls(settings, task, episodes)
    backbone = load_backbone(settings.backbone.name, dtype=settings.backbone.dtype)
    table: list[Candidate] = []
    chosen: dict[str, str] = {}
    for operation in OPERATIONS:
        rows = []
        for number, folder in enumerate(getattr(settings, operation)):
            name = f"{operation}_{number}"
            load_adapter(backbone, folder, name)
            score, tokens = score_pipeline(settings, backbone, {**chosen, operation: name}, episodes)
            quality = adapter_quality(settings, backbone, operation, name, calls)
            size = (Path(folder) / "adapter_model.safetensors").stat().st_size / 1e6
            rows.append(Candidate(operation, str(folder), score, tokens, size, quality, chosen=False))
        best = max(range(len(rows)), key=lambda row: rows[row].score)  # the first one of equals
        rows[best] = replace(rows[best], chosen=True)
        chosen[operation] = f"{operation}_{best}"
        table += rows
    write_selection(settings.output_dir, table)
    return table


def held_out_calls(settings: SelectionSettings, task: Task, episodes: Sequence[int]) -> HeldOutCalls:
    """What the teacher is asked for on the validation episodes, at most ``settings.calls`` per operation.

    Raises:
        ValueError: There is no such teacher, or it does not know this task.
    """
    path = settings.env.kwargs.get("path")
    teacher = rule_teacher(settings.teacher, task, similar=settings.similar, path=path)
    if settings.calls < 1:
        return HeldOutCalls()
    changes = {**teacher.env_overrides, "reader": GoldReader()}
    env = build_env(settings.env, min(len(episodes), PARALLEL), changes)
    return teacher_calls(env, teacher, episodes).at_most(settings.calls)


def adapter_quality(
    settings: SelectionSettings, backbone: Backbone, operation: str, adapter: str, calls: HeldOutCalls
) -> Quality:
    """How well an adapter does its own part; empty where there are no calls to try it on."""
    if not getattr(calls, operation):
        return {}
    limit = settings.max_new_tokens
    if operation == "extract":
        return extract_quality(MemLoRA(backbone, extract=adapter, update=None, max_new_tokens=limit), calls.extract)
    if operation == "update":
        return update_quality(MemLoRA(backbone, extract=None, update=adapter, max_new_tokens=limit), calls.update)
    return answer_quality(AnswerAgent(backbone, adapter), calls.answer)


def validation_episodes(settings: SelectionSettings, task: Task) -> range:
    """Indices of the episodes that are scored.

    Raises:
        ValueError: One of them is not of the validation split, or there are none.
    """
    episodes = range(settings.episodes if task.size is None else min(settings.episodes, task.size))
    if not episodes:
        raise ValueError(f"episodes={settings.episodes}: expected at least 1")
    for index in episodes:
        episode = task.episode(index)
        if episode.split != "validation":
            raise ValueError(
                f"task {task.name}: conversation {episode.id!r} is of the {episode.split} split; adapters are chosen "
                "on validation conversations: set env.kwargs.split to validation"
            )
    return episodes


def score_pipeline(
    settings: SelectionSettings, backbone: Backbone, adapters: Mapping[str, str], episodes: Sequence[int]
) -> tuple[float, float]:
    """Run the pipeline with these adapters; rules and the fixed reader stand in for what is missing.

    Args:
        settings: Environment, reader and limits.
        backbone: Holds the adapters.
        adapters: Operation -> name of its adapter; "extract" at least.
        episodes: Indices in the task.

    Returns:
        Mean score of the exams, in [0, 1], and mean size of the memory in tokens.
    """
    kind = MemLoRA if "update" in adapters else RuleUpdates
    policy = kind(
        backbone,
        extract=adapters["extract"],
        update=adapters.get("update"),
        similar=settings.similar,
        max_new_tokens=settings.max_new_tokens,
    )
    reader: str | Reader = settings.reader
    if "answer" in adapters:
        reader = AnswerAgent(backbone, adapters["answer"], window=window_for(settings.env.kwargs))
    env = build_env(settings.env, min(len(episodes), PARALLEL), {**policy.env_overrides, "reader": reader})
    trajectories = rollout(env, policy, episodes)
    tokens = fmean(trajectory.memory_tokens for trajectory in trajectories)
    return fmean(trajectory.score for trajectory in trajectories), tokens


def write_selection(output_dir: str | Path, table: Sequence[Candidate]) -> None:
    """Copy the chosen adapters and write ``selection.json`` and ``selection.md``."""
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for row in table:
        if row.chosen:
            _replace_folder(folder / row.operation, row.adapter)
    rows = json.dumps([asdict(row) for row in table], indent=1, ensure_ascii=False)
    (folder / "selection.json").write_text(rows + "\n", encoding="utf-8")
    (folder / "selection.md").write_text(format_selection(table) + "\n", encoding="utf-8")


def _replace_folder(folder: Path, source: str) -> None:
    """Make ``folder`` a copy of ``source``, with nothing left of what was there, such as an earlier winner's Engram."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def format_selection(table: Sequence[Candidate]) -> str:
    """The table in Markdown, the chosen ones in bold; then what each adapter does by itself, where that was tried."""
    lines = ["| operation | adapter | pipeline score | memory tokens | MB |", "|---|---|---|---|---|"]
    for row in table:
        lines.append(
            f"| {row.operation} | {_name(row)} | {row.score:.3f} | {row.memory_tokens:.0f} | {row.megabytes:.2f} |"
        )
    for operation in OPERATIONS:
        rows = [row for row in table if row.operation == operation and row.quality]
        if rows:
            lines += ["", f"| {operation} | {' | '.join(rows[0].quality)} |", "|---" * (len(rows[0].quality) + 1) + "|"]
            lines += [f"| {_name(row)} | {' | '.join(f'{v:.3f}' for v in row.quality.values())} |" for row in rows]
    return "\n".join(lines)


def _name(row: Candidate) -> str:
    return f"**{row.adapter}**" if row.chosen else row.adapter


if __name__ == "__main__":
    main()
