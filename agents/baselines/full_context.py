"""The reader sees the stream itself."""

from __future__ import annotations

from agents.baselines.no_memory import NoMemory


class FullContext(NoMemory):
    """No memory at all: the reader is given the newest turns that fit its window and the exam's context limit."""

    name = "full_context"
    env_overrides = {"exam_context": "stream"}
