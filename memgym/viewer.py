"""An episode for a human reader: what was read, what was done, what the memory became, what was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from memgym.rollout import Trajectory, TrajectoryStep
from memgym.tasks.episode import Episode

_SIGNS = {"insert": "+", "update": "~", "delete": "-", "search": "?", "noop": ".", "invalid": "!"}

# Half a surrogate pair, which no terminal takes, and control characters, which it would obey.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# Entry id -> store and text, followed through the operations, to say what an update or a delete did away with.
_Texts = dict[int, tuple[str, str]]


def show_trajectory(trajectory: Trajectory, episode: Episode) -> str:
    """The trajectory as text.

    Args:
        trajectory: What a policy did.
        episode: What it did it to; trajectories do not repeat the stream.
    """
    texts: _Texts = {}
    lines = [f"episode {trajectory.episode_id}, policy {trajectory.policy}"]
    for step in trajectory.steps:
        lines += ["", *_step_lines(step, episode, texts)]
    lines += ["", "Exam"]
    for answer in trajectory.exam["answers"]:
        lines += _answer_lines(answer)
    terms = ", ".join(f"{name} {value:.3f}" for name, value in trajectory.terms.items())
    lines += ["", f"score {trajectory.score:.3f}, return {trajectory.reward:.3f} ({terms})"]
    lines.append(f"memory {trajectory.memory_tokens} of {trajectory.stream_tokens} tokens")
    return _UNPRINTABLE.sub(lambda match: ascii(match.group())[1:-1], "\n".join(lines))


def _step_lines(step: TrajectoryStep, episode: Episode, texts: _Texts) -> list[str]:
    chunk = episode.chunks[step.chunk]
    lines = [f"Chunk {step.chunk + 1} of {len(episode.chunks)}  {chunk.timestamp}".rstrip()]
    lines += [f"  | {line}" for line in chunk.text.splitlines()]
    lines += [f"  {_operation_line(operation, texts)}" for operation in step.operations] or ["  (no operation)"]
    lines.append(f"  memory {step.tokens['total']} tokens, step reward {step.reward:.3f}")
    return lines


def _operation_line(operation: Mapping[str, Any], texts: _Texts) -> str:
    kind, written = operation["kind"], " ".join(operation["text"].split())
    if kind == "invalid":  # its text is the reason
        return _line(kind, note=f"failed: {operation['reason']}")
    if operation["status"] == "failed":
        target = "" if operation["entry_id"] is None else f"#{operation['entry_id']}"
        return _line(kind, operation["store"], target, written, f"failed: {operation['reason']}")
    if kind == "search":
        found = ", ".join(f"#{entry_id}" for entry_id in operation["found"])
        return _line(kind, operation["store"], "", written, f"found {found or 'nothing'}")
    if kind == "noop":
        return _line(kind)
    entry_id = operation["result_id"]
    store, old = texts.get(entry_id, (operation["store"], ""))
    if kind == "delete":
        texts.pop(entry_id, None)
    else:
        texts[entry_id] = store, written
    number = "" if store == "core" else f"#{entry_id}"
    if kind == "delete":
        return _line(kind, store, number, old)
    return _line(kind, store, number, written, f"was: {old}" if old else "")


def _line(kind: str, store: str = "", number: str = "", text: str = "", note: str = "") -> str:
    head = " ".join(part for part in (_SIGNS.get(kind, "!"), kind, store, number) if part)
    return head + (f": {text}" if text else "") + (f"  [{note}]" if note else "")


def _answer_lines(answer: Mapping[str, Any]) -> list[str]:
    mark = "ok " if answer["score"] == 1.0 else "   "
    return [
        f"  {mark}[{answer['category']}] {answer['question']}",
        f"      answered {answer['prediction']!r}, expected {' / '.join(map(repr, answer['answers']))}; "
        f"{answer['metric']} {answer['score']:.3f}",
    ]
