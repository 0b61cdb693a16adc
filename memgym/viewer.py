"""An episode for a human reader: what was read, what was done, what the memory became, what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memgym.rollout import Trajectory, TrajectoryStep
from memgym.tasks.episode import Episode

_SIGNS = {"insert": "+", "update": "~", "delete": "-", "search": "?", "noop": ".", "invalid": "!"}


def show_trajectory(trajectory: Trajectory, episode: Episode) -> str:
    """The trajectory as text.

    Args:
        trajectory: What a policy did.
        episode: What it did it to; trajectories do not repeat the stream.
    """
    lines = [f"episode {trajectory.episode_id}, policy {trajectory.policy}"]
    for step in trajectory.steps:
        lines += ["", *_step_lines(step, episode)]
    lines += ["", "Exam"]
    for answer in trajectory.exam["answers"]:
        lines += _answer_lines(answer)
    terms = ", ".join(f"{name} {value:.3f}" for name, value in trajectory.terms.items())
    lines += ["", f"score {trajectory.score:.3f}, return {trajectory.reward:.3f} ({terms})"]
    lines.append(f"memory {trajectory.memory_tokens} of {trajectory.stream_tokens} tokens")
    return "\n".join(lines)


def _step_lines(step: TrajectoryStep, episode: Episode) -> list[str]:
    chunk = episode.chunks[step.chunk]
    lines = [f"Chunk {step.chunk + 1} of {len(episode.chunks)}  {chunk.timestamp}"]
    lines += [f"  | {line}" for line in chunk.text.splitlines()]
    lines += [f"  {_operation_line(operation)}" for operation in step.operations] or ["  (no operation)"]
    lines.append(f"  memory {step.tokens['total']} tokens, step reward {step.reward:.3f}")
    return lines


def _operation_line(operation: Mapping[str, Any]) -> str:
    number = "" if operation["result_id"] is None else f" #{operation['result_id']}"
    line = f"{_SIGNS[operation['kind']]} {operation['kind']} {operation['store']}{number}: {operation['text']}"
    if operation["status"] == "failed":
        return f"{line}  [failed: {operation['reason']}]"
    if operation["kind"] == "search":
        return f"{line}  [found {', '.join(f'#{id_}' for id_ in operation['found']) or 'nothing'}]"
    return line


def _answer_lines(answer: Mapping[str, Any]) -> list[str]:
    mark = "ok " if answer["score"] == 1.0 else "   "
    return [
        f"  {mark}[{answer['category']}] {answer['question']}",
        f"      answered {answer['prediction']!r}, expected {' / '.join(map(repr, answer['answers']))}; "
        f"{answer['metric']} {answer['score']:.3f}",
    ]
