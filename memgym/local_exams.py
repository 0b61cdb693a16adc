"""Exams in the middle of an episode: what the memory is worth after each step.

The reward that an exam gives at the end says little about one step of many. Here the questions whose evidence has been
streamed by then are asked after each step; the differences are dense rewards that add up to the final exam's. (The idea
is that of Fine-Mem's step rewards, arXiv 2601.08435. As differences of a potential that starts at 0, they leave the
best policy as it is: Ng et al., 1999.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.exam import Paper
from memgym.exam.reader import ReadingTask
from memgym.replay import recorded_episode, replay_steps
from memgym.rollout import Trajectory
from memgym.tasks.episode import Episode, Question

AnswerWorth = Callable[[Question, str], float]
"""What an answer to a question is worth."""


def worth_after_steps(
    env: MemoryVectorEnv, trajectories: Sequence[Trajectory], worth: AnswerWorth
) -> list[list[float]]:
    """What the memory is worth after each step: the mean over all questions of the exam, those not due counting 0.

    A question is due once all turns of its evidence have been read; one without evidence, after the last chunk. The
    banks are rebuilt from the recorded operations, and all local exams of all trajectories are one call of the reader.

    Args:
        env: The environment that the trajectories were recorded in; no episode of it may be running.
        trajectories: Finished ones.
        worth: Of a question's answer; with its metric's score, the last value of a trajectory is its exam's score.

    Returns:
        One list per trajectory, one value per step.

    Raises:
        ValueError: A trajectory was recorded in another environment.
    """
    tasks: list[ReadingTask] = []
    places: list[tuple[list[float], int, Question, int]] = []  # of each task: where its worth counts, out of how many
    values = []
    for trajectory in trajectories:
        episode, last = recorded_episode(env.task, trajectory), len(trajectory.steps) - 1
        values.append([0.0] * last + [_final(episode, trajectory, worth)])
        banks = replay_steps(env.envs[0], trajectory)
        next(banks)  # as it was before the first step
        for step, bank in zip(range(last), banks, strict=False):
            due = due_questions(episode, trajectory.steps[step].chunk)
            bank.prepare([question.text for question in due])
            for question in due:
                tasks.append(env.exam.reading_task(Paper(bank, (question,), episode.chunks), question))
                places.append((values[-1], step, question, len(episode.questions)))
    predictions = env.exam.reader.answer(tasks) if tasks else []
    for (row, step, question, asked), prediction in zip(places, predictions, strict=True):
        row[step] += worth(question, prediction) / asked
    return values


def due_questions(episode: Episode, chunk: int) -> list[Question]:
    """Questions whose evidence lies wholly in the chunks up to number ``chunk``."""
    read = {turn_id for past in episode.chunks[: chunk + 1] for turn_id in past.turn_ids}
    return [question for question in episode.questions if question.evidence and read.issuperset(question.evidence)]


def _final(episode: Episode, trajectory: Trajectory, worth: AnswerWorth) -> float:
    """The mean worth of the answers that the exam at the end graded."""
    answers = zip(episode.questions, trajectory.exam["answers"], strict=True)
    values = [worth(question, answer["prediction"]) for question, answer in answers]
    return sum(values) / len(values) if values else 0.0
