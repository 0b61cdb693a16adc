"""Storing turns word for word: what most baselines do with what they keep."""

from __future__ import annotations

from memgym.envs.spaces import Observation
from memgym.memory.operations import Operation

# Baselines store whole chunks and look at all they hold: lift the limits that keep a model's reply and prompt short.
SEES_EVERYTHING = {"shown": 1 << 20, "max_operations": 1 << 20}


def turn_lines(observation: Observation) -> list[str]:
    """The lines of the chunk, one per turn."""
    return [line for line in observation["chunk"].split("\n") if line.strip()]


def insert_verbatim(line: str) -> Operation:
    """Store a turn as it was said; the bank dates it by its chunk."""
    return Operation("insert", "episodic", line)
