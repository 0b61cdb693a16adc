"""The protocol of a run: everything about environment and task that decides its scores, in plain types."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from memgym.envs.vector import MemoryVectorEnv
from memgym.records import plain
from memgym.tasks.task import Task


def describe_env(env: MemoryVectorEnv) -> dict[str, Any]:
    """The fields ``reader``, ``reward``, ``budget``, ``config`` and ``data`` of a manifest."""
    single = env.envs[0]
    recipe = single.recipe
    weights = {
        kind: {name: recipe.total({name: 1.0}) for name in terms}
        for kind, terms in (("step_terms", recipe.step_terms), ("episode_terms", recipe.episode_terms))
    }
    return {
        "reader": env.exam.reader.name,
        "reward": recipe.name,
        "budget": asdict(single.config.make_budget()),
        "config": plain(single.config.in_effect() | {"reward": weights}),
        "data": describe_task(env.task),
    }


def category_names(task: Task) -> dict[str, str]:
    """Category of a question -> its name, for tasks that have such names."""
    return dict(getattr(task, "category_names", {}))


def describe_task(task: Task) -> dict[str, Any]:
    """Name, arguments and digest of a task, the last two as far as it has them."""
    return {
        "task": task.name,
        "arguments": plain(getattr(task, "arguments", {})),
        "sha256": getattr(task, "sha256", None),
    }
