"""Held-out evaluation during training, split over the processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from agents import make_agent
from agents.manager import MemoryManager
from memgym.plots import plot_training_curve
from memgym.rollout import rollout
from memgym.statistics import normalised_score
from train.callbacks import METRICS, read_metrics
from train.settings import EnvSettings
from train.setup import build_env


class HeldOut:
    """Grades a policy on the first N held-out episodes, beside floor and ceiling."""

    def __init__(
        self,
        env: EnvSettings,
        changes: Mapping[str, Any],
        episodes: int,
        temperature: float,
        manager: MemoryManager,
    ) -> None:
        """Create the evaluation; floor and ceiling are measured once, on first use.

        Args:
            env: The training environment.
            changes: Keyword arguments that make it the held-out one.
            episodes: How many, from the first.
            temperature: 0 grades the greedy policy; otherwise it samples, with the same seed every time.
            manager: The policy being trained.
        """
        self.temperature = temperature
        if episodes < 1:
            raise ValueError(f"eval_episodes={episodes}: expected at least 1")
        self.settings, self.changes = env, changes
        state = PartialState()
        probe = build_env(env, 1, changes)
        count = episodes if probe.task.size is None else min(episodes, probe.task.size)
        self.indices = list(range(count))
        self.share = self.indices[state.process_index :: state.num_processes]
        self.env = build_env(env, max(len(self.share), 1), changes)
        self.manager = manager
        self._bounds: tuple[float, float] | None = None

    def __call__(self) -> dict[str, float]:
        """Score, floor, ceiling and normalised score; the same on every process."""
        temperature, self.manager.temperature = self.manager.temperature, self.temperature
        self.manager.reseed(0)
        try:
            scores = self._scores(self.manager, self.env)
        finally:
            self.manager.temperature = temperature
        floor, ceiling = self.bounds()
        score = sum(scores) / len(scores)
        figures = {"score": score, "floor": floor, "ceiling": ceiling}
        normalised = normalised_score(score, floor, ceiling)
        return figures if normalised is None else {**figures, "normalised": normalised}

    def bounds(self) -> tuple[float, float]:
        """Mean score of no_memory and of the oracle on the same episodes."""
        if self._bounds is None:
            means = []
            for name in ("no_memory", "oracle"):
                agent = make_agent(name, task=self.env.task)
                env = build_env(self.settings, max(len(self.share), 1), {**self.changes, **agent.env_overrides})
                scores = self._scores(agent, env)
                means.append(sum(scores) / len(scores))
            self._bounds = (means[0], means[1])
        return self._bounds

    def _scores(self, policy: Any, env: Any) -> list[float]:
        return gather_object([trajectory.score for trajectory in rollout(env, policy, self.share)])

    def plot(self, output_dir: Path) -> None:
        """Draw the reward curve of the run that was logged to ``output_dir``."""
        plot_training_curve(read_metrics(output_dir / METRICS), output_dir / "curve.png")
