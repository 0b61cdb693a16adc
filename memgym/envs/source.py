"""The task of another environment, for those that are made from its dialogues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from memgym.envs.memory import MemoryEnv
from memgym.tasks.task import Task


def source_task(source: str | Task, split: str | None, kwargs: Mapping[str, Any]) -> Task:
    """The task that a registered memory environment takes its episodes from; a task passes through.

    Args:
        source: Id, such as "memgym/LoCoMo-v0", or a task.
        split: Which split of it.
        kwargs: Further arguments of that environment, such as ``path``.

    Raises:
        ValueError: The id is of no memory environment, or the task cannot be made.
    """
    if not isinstance(source, str):
        return source
    env = gymnasium.make(source, split=split, **kwargs).unwrapped
    if not isinstance(env, MemoryEnv):
        raise ValueError(f"source={source!r} is a {type(env).__name__}: expected a memory environment")
    return env.task
