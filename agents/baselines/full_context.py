"""The reader sees the stream itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from agents.baselines.no_memory import NoMemory


class FullContext(NoMemory):
    """No memory at all: the reader is given the newest turns that fit its window and the exam's context limit."""

    name = "full_context"
    env_overrides: ClassVar[Mapping[str, Any]] = {"exam_context": "stream"}
