"""Credit assignment: which turn gets which part of a trajectory's reward.

    trajectory    the episode reward as it is; in GRPO all turns share it (Mem-alpha, arXiv 2509.25911, Eq. 5)
    same_turn     step rewards and the episode reward, each against the group at the same turn (GiGPO)
    local_exams   the exam's score as it grows: what is due is asked after each step (memgym/local_exams.py)
    evidence      the exam's score to the turns that wrote what it was answered from (memgym/attribution.py)

GRPO compares one number per turn within a group, to which later rewards are discounted back (``turn_rewards``). PPO
wants rewards that add up over time (``step_rewards``): the episode reward stands at the last turn, where it is paid,
and GAE carries it back (train/advantages.py). The same turn is the n-th step on the same chunk, and a turn is credited
with the untrained steps after it as well (train/turns.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memgym.answer_rewards import AnswerReward
from memgym.attribution import credit_by_step
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.metrics import exact_match, score
from memgym.local_exams import AnswerWorth, worth_after_steps
from memgym.rewards import Recipe
from memgym.rollout import Trajectory
from memgym.tasks.episode import Question
from train.advantages import discounted_returns, group_relative
from train.turns import given_to_turns, own_rewards, same_turns

KINDS = ("trajectory", "same_turn", "local_exams", "evidence")
LOCAL_KINDS = ("local_exams", "evidence")
GRPO_ONLY = ("discount", "trajectory_weight")  # settings of ``turn_rewards`` alone
Rewards = list[list[float]]  # by trajectory and step


@dataclass
class CreditSettings:
    """How a trajectory's reward is divided among its turns."""

    kind: str = "trajectory"
    """trajectory, same_turn, local_exams or evidence; train/credit.py says what they do."""
    discount: float = 0.95
    """GRPO with all but trajectory: of a later chunk's reward, per chunk. PPO has the group gae instead."""
    local_share: float = 1.0
    """local_exams, evidence: share of the local reward; the rest goes as with trajectory."""
    trajectory_weight: float = 1.0
    """GRPO with same_turn: weight of the episode reward beside the step rewards; PPO adds up what both are."""


class Credit:
    """Divides the rewards of groups of trajectories, G of the same episode one after the other."""

    def __init__(self, settings: CreditSettings, group_size: int, recipe: Recipe | AnswerReward) -> None:
        """Create the assignment.

        Args:
            settings: What it is.
            group_size: G.
            recipe: The reward of the environment.

        Raises:
            SystemExit: The settings have no meaning, or none with this reward; one line says why.
        """
        self.settings = settings
        self.group_size = group_size
        if settings.kind not in KINDS:
            raise SystemExit(f"error: credit.kind={settings.kind!r}: expected one of {', '.join(KINDS)}")
        for name, value in (("discount", settings.discount), ("local_share", settings.local_share)):
            if not 0 <= value <= 1:
                raise SystemExit(f"error: credit.{name}={value}: expected a number in [0, 1]")
        if settings.kind == "same_turn" and group_size < 2:
            raise SystemExit(
                f"error: credit.kind=same_turn compares trajectories of one episode, group_size={group_size}: set it "
                "to 2 or more"
            )
        if settings.kind in LOCAL_KINDS:
            answer_worth(recipe)  # what it cannot divide is to be known now

    def turn_rewards(self, env: MemoryVectorEnv, trajectories: Sequence[Trajectory]) -> Rewards:
        """For GRPO: what each turn is compared by with the same turn of its group.

        Args:
            env: The environment of the trajectories, between two rollouts.
            trajectories: Whole groups.
        """
        own = [own_rewards(trajectory) for trajectory in trajectories]
        shared = [[t.episode_reward + reward for reward in row] for t, row in zip(trajectories, own, strict=True)]
        if self.settings.kind == "same_turn":
            return [row for group in self._groups(trajectories) for row in self._same_turn(group)]
        if self.settings.kind not in LOCAL_KINDS:
            return shared
        returns = self._returns(trajectories, self._earned(env, trajectories))
        local = [_sums(*rows) for rows in zip(own, returns, strict=True)]
        return self._mixed(shared, local)

    def step_rewards(self, env: MemoryVectorEnv, trajectories: Sequence[Trajectory]) -> Rewards:
        """For PPO: rewards of the turns, which add up to the trajectory's (with same_turn: to its lead on the group).

        Args:
            env: The environment of the trajectories, between two rollouts.
            trajectories: Whole groups.
        """
        recorded = [[step.reward for step in trajectory.steps] for trajectory in trajectories]
        if self.settings.kind == "same_turn":
            return [row for group in self._groups(trajectories) for row in _centred(group)]
        if self.settings.kind not in LOCAL_KINDS:
            return recorded
        pairs = zip(trajectories, self._earned(env, trajectories), strict=True)
        return self._mixed(recorded, [_sums(paid_step_terms(trajectory), row) for trajectory, row in pairs])

    def _groups(self, trajectories: Sequence[Trajectory]) -> list[Sequence[Trajectory]]:
        size = self.group_size
        return [trajectories[start : start + size] for start in range(0, len(trajectories), size)]

    def _returns(self, trajectories: Sequence[Trajectory], rewards: Rewards) -> Rewards:
        return [
            discounted_returns(row, [step.chunk for step in trajectory.steps], self.settings.discount)
            for trajectory, row in zip(trajectories, rewards, strict=True)
        ]

    def _mixed(self, shared: Rewards, local: Rewards) -> Rewards:
        share = self.settings.local_share
        pairs = zip(shared, local, strict=True)
        return [[(1 - share) * a + share * b for a, b in zip(*rows, strict=True)] for rows in pairs]

    def _earned(self, env: MemoryVectorEnv, trajectories: Sequence[Trajectory]) -> Rewards:
        """The exam's score where it was earned; what else the episode gave, at the last turn."""
        worth = answer_worth(env.envs[0].recipe)  # a curriculum may change it
        if self.settings.kind == "evidence":
            earned = [credit_by_step(env, trajectory, worth) for trajectory in trajectories]
        else:
            earned = [_differences(values) for values in worth_after_steps(env, trajectories, worth)]
        for trajectory, row in zip(trajectories, earned, strict=True):
            row[-1] += trajectory.episode_reward - sum(row)
        return earned

    def _same_turn(self, group: Sequence[Trajectory]) -> Rewards:
        """A = norm(G) + weight norm(R) over the group at the same turn, on top of the turn's mean reward.

        G is the discounted sum of step rewards from the turn on, R the episode reward. The mean, which GRPO takes off
        again, keeps the logged reward readable.
        """
        own = [own_rewards(trajectory) for trajectory in group]
        returns = self._returns(group, own)
        rows: Rewards = [[0.0] * len(rewards) for rewards in own]
        for turn in same_turns(group):
            places = list(turn.items())
            steps = group_relative([returns[number][step] for number, step in places])
            episodes = group_relative([group[number].episode_reward for number, _ in places])
            mean = sum(group[number].episode_reward + own[number][step] for number, step in places) / len(places)
            for (number, step), of_steps, of_episode in zip(places, steps, episodes, strict=True):
                rows[number][step] = mean + of_steps + self.settings.trajectory_weight * of_episode
        return rows


def _own_metric(question: Question, prediction: str) -> float:
    return score(question.metric, prediction, question.answers)


def _exact_match(question: Question, prediction: str) -> float:
    return exact_match(question.metric, prediction, question.answers)


def _em_else_f1(question: Question, prediction: str) -> float:
    return max(_exact_match(question, prediction), _own_metric(question, prediction))


# The episode terms of memgym.rewards that are means over the exam's answers: what each says of one answer.
ANSWER_TERMS: dict[str, AnswerWorth] = {
    "correctness": _own_metric,
    "exact_match": _exact_match,
    "em_else_f1": _em_else_f1,
}


def answer_worth(recipe: Recipe | AnswerReward) -> AnswerWorth:
    """What the episode terms of a recipe pay for one answer, before it is divided by the number of questions.

    Raises:
        SystemExit: They pay nothing for the answers of an exam.
    """
    if isinstance(recipe, AnswerReward):
        raise SystemExit(
            "error: credit.kind local_exams and evidence divide an exam among the turns before it, and in an answer "
            "environment there is one turn, the answer: choose trajectory or same_turn"
        )
    terms = recipe.episode_terms
    weights = {name: terms[name][0] for name in ANSWER_TERMS if name in terms and terms[name][0]}
    if not weights:
        raise SystemExit(
            f"error: reward {recipe.name!r} has no weight on {', '.join(ANSWER_TERMS)}, and local_exams and evidence "
            "divide what these give: choose another reward, or credit.kind trajectory or same_turn"
        )

    def worth(question: Question, prediction: str) -> float:
        return sum(weight * ANSWER_TERMS[name](question, prediction) for name, weight in weights.items())

    return worth


def paid_step_terms(trajectory: Trajectory) -> list[float]:
    """What the environment paid for each step's own terms, without the episode terms that the last reward holds."""
    paid = [step.reward for step in trajectory.steps]
    paid[-1] -= trajectory.episode_reward
    return paid


def _centred(group: Sequence[Trajectory]) -> Rewards:
    """Step rewards less the group's mean at the same turn, and the episode reward less the group's mean."""
    rewards = [given_to_turns(trajectory, paid_step_terms(trajectory)) for trajectory in group]
    for turn in same_turns(group):
        mean = sum(rewards[number][step] for number, step in turn.items()) / len(turn)
        for number, step in turn.items():
            rewards[number][step] -= mean
    mean = sum(trajectory.episode_reward for trajectory in group) / len(group)
    for row, trajectory in zip(rewards, group, strict=True):
        row[-1] += trajectory.episode_reward - mean
    return rewards


def _sums(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip(first, second, strict=True)]


def _differences(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in zip([0.0, *values], values, strict=False)]
