"""Environment steps per second under a policy that stores every turn, the exam timed apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, cast

import gymnasium

from agents.baselines.append_all import AppendAll
from memgym.envs.memory import MemoryEnv
from memgym.envs.spaces import unbatch
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.exam import Exam, ExamResult, Paper

ENV = "memgym:memgym/Dialogue-v0"


class TimedExam:
    """An exam that adds up the seconds it takes, so that they can be told apart from the steps."""

    def __init__(self, exam: Exam) -> None:
        self.exam = exam
        self.seconds = 0.0
        self.questions = 0

    def grade(self, papers: Sequence[Paper]) -> list[ExamResult]:
        """Grade the papers and add the time to the total."""
        start = time.perf_counter()
        results = self.exam.grade(papers)
        self.seconds += time.perf_counter() - start
        self.questions += sum(len(result.answers) for result in results)
        return results


def measure_envs(*, num_envs: int, chunks: int, repeats: int) -> dict[str, Any]:
    """Steps per second of one environment and of ``num_envs`` in lockstep, by turns on the same episodes."""
    scalar, exam = _make(chunks)
    vector = cast(MemoryVectorEnv, gymnasium.make_vec(ENV, num_envs=num_envs, dialogue={"chunks": chunks}))
    vector_exam = TimedExam(vector.exam)
    vector.exam = cast(Exam, vector_exam)
    seconds: dict[str, list[float]] = {"scalar": [], "vector": []}
    for number in range(repeats):
        episodes = list(range(number * num_envs, (number + 1) * num_envs))
        seconds["scalar"].append(sum(sum(step_seconds(scalar, exam, episode)) for episode in episodes))
        seconds["vector"].append(_vector_seconds(vector, vector_exam, episodes))
    scalar.close()
    vector.close()
    return {
        "scalar_steps_per_s": num_envs * chunks / median(seconds["scalar"]),
        "vector_steps_per_s": num_envs * chunks / median(seconds["vector"]),
        "num_envs": num_envs,
        "chunks": chunks,
        "exam_questions_per_s": exam.questions / exam.seconds,
    }


def _make(chunks: int) -> tuple[gymnasium.Env[Any, Any], TimedExam]:
    """An environment as users make it, and its exam."""
    env = gymnasium.make(ENV, dialogue={"chunks": chunks})
    inner = cast(MemoryEnv, env.unwrapped)
    exam = TimedExam(inner.exam)
    inner.exam = cast(Exam, exam)
    return env, exam


def step_seconds(env: gymnasium.Env[Any, Any], exam: TimedExam, episode: int) -> list[float]:
    """Seconds of each step of an episode, without its exam."""
    policy, seconds, finished = AppendAll(), [], False
    observation, _ = env.reset(options={"episode": episode})
    while not finished:
        action = policy.act([observation], [episode])[0].operations
        start, examined = time.perf_counter(), exam.seconds
        observation, _, finished, _, _ = env.step(action)
        seconds.append(time.perf_counter() - start - (exam.seconds - examined))
    return seconds


def _vector_seconds(env: MemoryVectorEnv, exam: TimedExam, episodes: Sequence[int]) -> float:
    """Seconds of all steps of equally long episodes in lockstep, without their exam."""
    policy, seconds, finished = AppendAll(), 0.0, False
    observations, _ = env.reset(options={"episodes": list(episodes)})
    while not finished:
        singles = [unbatch(observations, index) for index in range(env.num_envs)]
        actions = [decision.operations for decision in policy.act(singles, episodes)]
        start, examined = time.perf_counter(), exam.seconds
        observations, _, terminations, _, _ = env.step(actions)
        seconds += time.perf_counter() - start - (exam.seconds - examined)
        finished = bool(terminations.all())
    return seconds


def grow(chunks: int) -> list[float]:
    """Seconds of each step of one episode of ``chunks`` chunks."""
    env, exam = _make(chunks)
    seconds = step_seconds(env, exam, 0)
    env.close()
    return seconds
