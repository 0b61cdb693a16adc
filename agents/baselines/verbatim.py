"""Storing turns word for word: what most baselines do with what they keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memgym.envs.spaces import Observation
from memgym.memory.operations import STORES, Operation

# Baselines store whole chunks and look at all they hold: lift the limits that keep a model's reply and prompt short.
SEES_EVERYTHING: Mapping[str, Any] = {"shown": 1 << 20, "max_operations": 1 << 20}


def turn_lines(observation: Observation) -> list[str]:
    """The lines of the chunk, one per turn."""
    return [line for line in observation["chunk"].split("\n") if line.strip()]


def room(observation: Observation) -> int | None:
    """Tokens that still fit into the episodic store, by its own limit and the total one; None without a limit."""
    left = observation["budget_left"]
    limits = (int(left[STORES.index("episodic")]), int(left[-1]))
    return min((tokens for tokens in limits if tokens >= 0), default=None)


def insert_verbatim(line: str) -> Operation:
    """Store a turn as it was said; the bank dates it by its chunk."""
    return Operation("insert", "episodic", line)
