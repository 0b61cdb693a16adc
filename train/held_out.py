"""Held-out evaluation during training, split over the processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from agents import make_agent
from memgym.plots import plot_training_curve
from memgym.rollout import rollout
from memgym.statistics import normalised_score
from train.callbacks import METRICS, read_metrics
from train.settings import EnvSettings
from train.setup import TrainedPolicy, answers_itself, build_env


class HeldOut:
    """Grades a policy on the first N held-out episodes, beside floor and ceiling where there are such."""

    def __init__(
        self,
        env: EnvSettings,
        changes: Mapping[str, Any],
        episodes: int,
        temperature: float,
        policy: TrainedPolicy,
    ) -> None:
        """Create the evaluation; floor and ceiling are measured once, on first use.

        Args:
            env: The training environment.
            changes: Keyword arguments that make it the held-out one.
            episodes: How many, from the first.
            temperature: 0 grades the greedy policy; otherwise it samples, with the same seed every time.
            policy: The one being trained.
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
        self.policy = policy
        self._bounds: dict[str, float] | None = None

    def __call__(self) -> dict[str, float]:
        """Score and, if there are bounds, floor, ceiling and normalised score; the same on every process."""
        temperature, self.policy.temperature = self.policy.temperature, self.temperature
        self.policy.reseed(0)
        try:
            scores = self._scores(self.policy, self.env)
        finally:
            self.policy.temperature = temperature
        score, bounds = sum(scores) / len(scores), self.bounds()
        figures = {"score": score, **bounds}
        normalised = normalised_score(score, bounds["floor"], bounds["ceiling"]) if bounds else None
        return figures if normalised is None else {**figures, "normalised": normalised}

    def bounds(self) -> dict[str, float]:
        """Floor and ceiling: the mean scores of no_memory and of the oracle on the same episodes.

        Both differ from the policy in what they write into a memory. An answer environment has none to write to, and so
        no bounds: there a score is compared with that of the policy before its training.
        """
        if self._bounds is None:
            agents = {} if answers_itself(self.env) else {"floor": "no_memory", "ceiling": "oracle"}
            self._bounds = {bound: self._mean_score(name) for bound, name in agents.items()}
        return self._bounds

    def _mean_score(self, name: str) -> float:
        """Of a baseline, in the environment it is defined by."""
        agent = make_agent(name, task=self.env.task)
        env = build_env(self.settings, max(len(self.share), 1), {**self.changes, **agent.env_overrides})
        scores = self._scores(agent, env)
        return sum(scores) / len(scores)

    def _scores(self, policy: Any, env: Any) -> list[float]:
        return gather_object([trajectory.score for trajectory in rollout(env, policy, self.share)])

    def plot(self, output_dir: Path) -> None:
        """Draw the reward curve of the run that was logged to ``output_dir``."""
        plot_training_curve(read_metrics(output_dir / METRICS), output_dir / "curve.png")
