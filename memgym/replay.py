"""Re-execute recorded operations: memory and scores have to come out the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from memgym.envs.memory import MemoryEnv
from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ReadingTask
from memgym.memory.bank import MemoryBank
from memgym.rollout import Decision, Trajectory, rollout
from memgym.tasks.episode import Episode
from memgym.tasks.task import Task


class RecordedAnswers:
    """A reader that answers from the record, for runs whose own reader is not at hand, such as a language model.

    Banks, retrieval and grades are verified all the same; only that the reader would answer so again is not.
    """

    def __init__(self, name: str, window: int, trajectories: Sequence[Trajectory]) -> None:
        """Create the reader.

        Args:
            name: Of the run's own reader.
            window: Its longest context, in lexical tokens, which decides what was retrieved for it.
            trajectories: The record, in the order in which its exams are held again.
        """
        self.name = name
        self.window = window
        answers = (answer for trajectory in trajectories for answer in trajectory.exam["answers"])
        self._answers = ((answer["question"], answer["prediction"]) for answer in answers)

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """The recorded answers to the next questions.

        Raises:
            ValueError: The record answers other questions.
        """
        recorded = list(islice(self._answers, len(tasks)))
        if [question for question, _ in recorded] != [task.question for task in tasks]:
            raise ValueError(
                "the record answers other questions than the exam asks: it was made in another environment or from "
                "other data"
            )
        return [prediction for _, prediction in recorded]


class ReplayPolicy:
    """Acts out recorded trajectories."""

    env_overrides: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *trajectories: Trajectory) -> None:
        """Create the policy; it acts once per recorded step.

        Args:
            trajectories: At least one, each of another episode.

        Raises:
            ValueError: Two are of one episode.
        """
        episodes = [trajectory.episode for trajectory in trajectories]
        if len(set(episodes)) < len(episodes):
            raise ValueError(f"records of episodes {', '.join(map(str, episodes))}: expected one of each")
        self.name = trajectories[0].policy
        self._decisions = {one.episode: iter([step.decision for step in one.steps]) for one in trajectories}

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """The next recorded decision of each episode.

        Raises:
            ValueError: The environment asks for more steps than were recorded: it is not the recorded one.
        """
        return [self._next(episode) for episode in episodes]

    def _next(self, episode: int) -> Decision:
        decision = next(self._decisions[episode], None)
        if decision is None:
            raise ValueError("the record ends before the episode does: it was made in another environment")
        return decision


def replay(env: MemoryVectorEnv, trajectories: Sequence[Trajectory]) -> Iterator[Trajectory]:
    """Run each recorded trajectory's operations through ``env`` again, one episode at a time.

    Yields:
        The trajectory as it comes out now, in the order of the records.

    Raises:
        ValueError: The environment's episode is not the recorded one.
    """
    for recorded in trajectories:
        recorded_episode(env.task, recorded)
        yield rollout(env, ReplayPolicy(recorded), [recorded.episode])[0]


def replay_steps(env: MemoryEnv, recorded: Trajectory) -> Iterator[MemoryBank]:
    """Carry out the recorded operations again, without any exam.

    Yields:
        The memory that the episode begins with, then the memory after each step. It is the environment's own, and
        changes with the next step.

    Raises:
        ValueError: The environment's episode is not the recorded one.
    """
    env.begin(recorded_episode(env.task, recorded))
    yield env.paper().bank
    for step in recorded.steps:
        env.advance(step.decision.operations)
        yield env.paper().bank


def recorded_episode(task: Task, recorded: Trajectory) -> Episode:
    """The episode that a trajectory was recorded in.

    Raises:
        ValueError: The task has another one in its place, or none.
    """
    try:
        episode = task.episode(recorded.episode)
    except IndexError as error:
        raise ValueError(f"{error}; the record was made from other data") from error
    if episode.id != recorded.episode_id:
        raise ValueError(
            f"episode {recorded.episode} of this environment is {episode.id!r}, the record is of "
            f"{recorded.episode_id!r}: it was made in another environment or from other data"
        )
    return episode


def differences(recorded: Trajectory, replayed: Trajectory) -> list[str]:
    """What came out differently, in words; empty when the replay matches the record."""
    found = []
    if len(recorded.steps) != len(replayed.steps):
        found.append(f"{len(recorded.steps)} steps recorded, {len(replayed.steps)} replayed")
    for number, (old, new) in enumerate(zip(recorded.steps, replayed.steps, strict=False)):
        if old.operations != new.operations or old.tokens != new.tokens:
            found.append(f"step {number}: operations did something else")
        if old.terms != new.terms or abs(old.reward - new.reward) > 1e-9:
            found.append(f"step {number}: reward {old.reward} recorded, {new.reward} replayed")
    if recorded.exam != replayed.exam:
        found.append(f"exam: score {recorded.score} recorded, {replayed.score} replayed")
    if recorded.terms != replayed.terms or abs(recorded.episode_reward - replayed.episode_reward) > 1e-9:
        found.append(f"episode reward {recorded.episode_reward} recorded, {replayed.episode_reward} replayed")
    if recorded.stream_tokens != replayed.stream_tokens:
        found.append(f"stream of {recorded.stream_tokens} tokens recorded, {replayed.stream_tokens} replayed")
    return found
