"""Episodes for a trainer that wants one row per prompt: the grid of turns.

TRL's GRPO asks for one completion per prompt, but an episode is many independent contexts. So the dataset is a grid:
for each episode K slots, each repeated G times by TRL's sampler. One call rolls G trajectories per episode, draws K of
its turns, and returns in row (episode, slot, g) the prompt and completion of that turn in trajectory g. GRPO's group
of a row is then the G trajectories at the same turn, which is the fair comparison. The same turn is the n-th step on
the same chunk (train/turns.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from accelerate.utils import gather_object

from memgym.envs.vector import MemoryVectorEnv
from memgym.rollout import Trajectory, rollout
from memgym.statistics import mean_or_zero
from memgym.tasks.task import Task
from train.credit import Credit, CreditSettings
from train.curriculum import Curriculum
from train.setup import TrainedPolicy
from train.turns import is_generated, no_tokens, own_rewards, same_turns


def grid_prompts(episodes: Sequence[int], slots: int) -> list[str]:
    """The dataset's prompts: every slot of every episode, in order."""
    return [f"{episode}:{slot}" for episode in episodes for slot in range(slots)]


def numbered_episodes(task: Task, start: int, count: int) -> list[int]:
    """Indices of ``count`` episodes from ``start`` on; finite tasks start over when their episodes run out."""
    return [index if task.size is None else index % task.size for index in range(start, start + count)]


def sampling_seed(seed: int, step: int, process: int) -> int:
    """Of a policy's samples at one step on one process."""
    return random.Random(f"{seed}:{step}:{process}").getrandbits(40)


class GridRollouts:
    """TRL's ``rollout_func`` over a memory environment, and the reward function that goes with it."""

    def __init__(
        self,
        env: MemoryVectorEnv | Curriculum,
        manager: TrainedPolicy,
        *,
        group_size: int,
        slots: int,
        seed: int,
        credit: Credit | None = None,
    ) -> None:
        """Create the rollouts of one process.

        Args:
            env: The training environment, or one for each step.
            manager: The policy being trained, be it a Memory Manager or an Answer Agent; it acts with the trainer's own
                weights.
            group_size: G, trajectories per episode.
            slots: K, turns trained per trajectory.
            seed: With the optimiser step and the process, seeds every sample and every draw of turns.
            credit: What each turn is rewarded with; None shares the trajectory's reward.
        """
        self.env = env
        self.manager = manager
        self.group_size = group_size
        self.slots = slots
        self.seed = seed
        self.credit = credit or Credit(CreditSettings(), group_size, self._env(0).envs[0].recipe)
        self._metrics: dict[str, float] = {}

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """Roll the episodes that the prompts name and return one turn per row, as TRL expects it."""
        episodes = self._episodes(prompts)
        step, process = trainer.state.global_step, trainer.accelerator.process_index
        self.manager.reseed(sampling_seed(self.seed, step, process))
        env = self._env(step)
        trajectories = rollout(env, self.manager, [episode for episode in episodes for _ in range(self.group_size)])
        rewards = self.credit.turn_rewards(env, trajectories)
        rows: dict[str, list[Any]] = {
            key: [] for key in ("prompt_ids", "completion_ids", "logprobs", "env_mask", "turn_reward")
        }
        for number, episode in enumerate(episodes):
            members = range(number * self.group_size, (number + 1) * self.group_size)
            group = [trajectories[member] for member in members]
            for turn in self._turns(group, f"{self.seed}:{step}:{process}:{number}:{episode}"):
                for place, member in enumerate(members):
                    self._append(rows, trajectories[member], rewards[member], turn.get(place))
        rows["logprobs"] = None  # type: ignore[assignment]  # sampled by the trained weights themselves
        generated = sum(gather_object([generated_tokens(trajectories)]))
        self._metrics = average(gather_object([summarise(trajectories)])) | {"generated_tokens": generated}
        return rows

    def turn_reward(self, turn_reward: list[float | None], log_metric: Any, **columns: Any) -> list[float | None]:
        """TRL's reward function: the rewards the rollout attached to its rows; None leaves a row unscored."""
        for name, value in self._metrics.items():
            log_metric(name, value)
        return turn_reward

    def _episodes(self, prompts: Sequence[str]) -> list[int]:
        """The episodes of a batch, after checking that it is a whole part of the grid."""
        rows = self.slots * self.group_size
        if len(prompts) % rows:
            raise ValueError(
                f"a batch of {len(prompts)} rows does not hold whole episodes of {self.slots} slots x "
                f"{self.group_size} trajectories: make per_device_train_batch_size x steps_per_generation a multiple "
                f"of {rows}"
            )
        episodes = [int(prompts[start].partition(":")[0]) for start in range(0, len(prompts), rows)]
        expected = [p for p in grid_prompts(episodes, self.slots) for _ in range(self.group_size)]
        if list(prompts) != expected:
            raise ValueError("the rows of a batch are not in grid order: set shuffle_dataset to False")
        return episodes

    def _turns(self, group: Sequence[Trajectory], seed: str) -> list[dict[int, int]]:
        """K turns of an episode in order: the step of each trajectory that generated there, by its place in the group.

        Empty ones fill up where there are fewer.
        """
        turns = [_trained(turn, group) for turn in same_turns(group)]
        turns = [turn for turn in turns if turn]
        if not turns:
            raise no_tokens(group[0].policy)
        drawn = sorted(random.Random(seed).sample(range(len(turns)), min(self.slots, len(turns))))
        return [*(turns[number] for number in drawn), *({} for _ in range(self.slots - len(drawn)))]

    def _env(self, step: int) -> MemoryVectorEnv:
        return self.env.env(step) if isinstance(self.env, Curriculum) else self.env

    def _append(
        self, rows: dict[str, list[Any]], trajectory: Trajectory, rewards: Sequence[float], step: int | None
    ) -> None:
        if step is None:
            # A slot without a turn, or without its tokens: one token that no loss sees (mask 0) and no group counts
            # (reward None).
            end = self.manager.backbone.tokenizer.eos_token_id
            row: tuple[Any, ...] = ([end], [end], [0], None)
        else:
            decision = trajectory.steps[step].decision
            completion = list(decision.completion_ids)
            row = (list(decision.prompt_ids), completion, [1] * len(completion), rewards[step])
        for key, value in zip(("prompt_ids", "completion_ids", "env_mask", "turn_reward"), row, strict=True):
            rows[key].append(value)


def _trained(turn: dict[int, int], group: Sequence[Trajectory]) -> dict[int, int]:
    return {place: step for place, step in turn.items() if is_generated(group[place].steps[step].decision)}


def generated_tokens(trajectories: Sequence[Trajectory]) -> int:
    """Tokens that were sampled, whether they are trained or not: those of MemLoRA's updates too."""
    return sum(len(step.decision.completion_ids) for trajectory in trajectories for step in trajectory.steps)


def summarise(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """What a training step logs about its rollouts: score, reward terms by name, failures by code, memory size."""
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    operations = [operation for step in steps for operation in step.operations]
    metrics = {
        "score": mean_or_zero([trajectory.score for trajectory in trajectories]),
        "return": mean_or_zero([trajectory.reward for trajectory in trajectories]),
        "memory_tokens": mean_or_zero([trajectory.memory_tokens for trajectory in trajectories]),
        "operations_per_step": len(operations) / len(steps),
        "parse_failures": mean_or_zero([operation["code"] == "parse" for operation in operations]),
        "failed_operations": mean_or_zero([operation["status"] == "failed" for operation in operations]),
        "truncated": mean_or_zero([step.decision.truncated for step in steps]),
    }
    for name in steps[0].terms:
        metrics[f"terms/{name}"] = mean_or_zero([step.terms[name] for step in steps])
    for name in trajectories[0].terms:
        metrics[f"terms/{name}"] = mean_or_zero([trajectory.terms[name] for trajectory in trajectories])
    return metrics


def mean_turn_reward(trajectories: Sequence[Trajectory]) -> float:
    """What GRPO logs as reward: each turn's own terms and its trajectory's."""
    return mean_or_zero(
        [
            trajectory.episode_reward + own
            for trajectory in trajectories
            for step, own in zip(trajectory.steps, own_rewards(trajectory), strict=True)
            if is_generated(step.decision)
        ]
    )


def average(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean over processes, which roll equally many episodes."""
    return {name: mean_or_zero([report[name] for report in reports]) for name in reports[0]}
