"""Small worlds for tests: episodes, policies and readers whose every effect is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memgym.envs.memory import MemoryEnv
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ABSTENTION, ReadingTask
from memgym.memory.operations import Operation
from memgym.rollout import Decision
from memgym.tasks.episode import Chunk, Episode, Question, Turn
from memgym.tasks.schema import to_record
from memgym.tasks.task import EpisodeList


def make_episode(*chunks: Sequence[str], questions: Sequence[Question] = (), id_: str = "story") -> Episode:
    """One chunk a day from 1 May 2024; turn ids count up as t0, t1, ...; Ann speaks."""
    made, count = [], 0
    for index, texts in enumerate(chunks):
        day = f"2024-05-{index + 1:02}T09:00"
        made.append(Chunk(index, tuple(Turn(f"t{count + i}", "Ann", text, day) for i, text in enumerate(texts))))
        count += len(texts)
    return Episode(id_, "scripted", "test", tuple(made), tuple(questions))


def make_question(text: str, answer: str, *evidence: str, **fields: Any) -> Question:
    """Its id is its text."""
    return Question(
        **{"id": text, "text": text, "answers": (answer,), "category": "any", "evidence": evidence, **fields}
    )


def tea_story(id_: str = "story", days: int = 3) -> Episode:
    """Three facts and small talk, and two questions that the extractive reader answers."""
    chunks = [
        ["I bought a red bicycle in Bern.", "Lovely weather again."],
        ["My sister Ines works as a baker.", "So it goes."],
        ["My cat is called Moss.", "Good night then."],
    ]
    questions = [
        make_question("What colour is the bicycle of Ann?", "red", "t0"),
        make_question("What is the cat of Ann called?", "Moss", "t4"),
    ]
    return make_episode(*chunks[:days], questions=questions[: 1 if days < 3 else 2], id_=id_)


def make_chat(turns: int, questions: Sequence[Question] = (), *, speakers: Sequence[str] = ("Ulla", "Per")) -> Episode:
    """Ten turns a day from 1 May 2024, the speakers in turn; turn t<n> says "Number <n> is <n> metres long."."""
    said = [
        Turn(f"t{n}", speakers[n % len(speakers)], f"Number {n} is {n} metres long.", f"2024-05-{n // 10 + 1:02}T09:00")
        for n in range(turns)
    ]
    chunks = [Chunk(index, tuple(said[start : start + 10])) for index, start in enumerate(range(0, turns, 10))]
    return Episode("chat", "scripted", "test", tuple(chunks), tuple(questions))


def make_env(*episodes: Episode, **config: Any) -> MemoryEnv:
    """A scalar environment over these episodes."""
    return MemoryEnv(EpisodeList("scripted", episodes), **config)


def make_vector(
    *episodes: Episode, num_envs: int = 1, autoreset_mode: str = "NextStep", **config: Any
) -> MemoryVectorEnv:
    """A vector environment over these episodes."""
    return MemoryVectorEnv(make_env(*episodes, **config), num_envs, autoreset_mode)


def fact(text: str, **fields: Any) -> Operation:
    """An insert into the semantic store."""
    return Operation("insert", "semantic", text, **fields)


class Scripted:
    """Acts out one list of operations per chunk, the same in every episode."""

    env_overrides: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *script: Sequence[Operation], name: str = "scripted") -> None:
        self.script = script
        self.name = name

    def act(self, observations: Sequence[Mapping[str, Any]], episodes: Sequence[int]) -> list[Decision]:
        return [Decision(tuple(self.script[int(observation["progress"][0])])) for observation in observations]


class FakePolicy:
    """Asks for what no command line can give."""

    def __init__(self, backbone: object, codec: str, *, style: str = "terse", **options: object) -> None:
        raise AssertionError("it is never made")


class FakeReader:
    """Keeps what it is given; answers by a function of the task, or abstains."""

    name = "fake"

    def __init__(self, answer: Callable[[ReadingTask], str] = lambda task: ABSTENTION, window: int = 10_000) -> None:
        self.window = window
        self.batches: list[list[ReadingTask]] = []
        self._answer = answer

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        self.batches.append(list(tasks))
        return [self._answer(task) for task in tasks]


def same(first: Any, second: Any) -> bool:
    """Whether two observations or infos are equal in structure, types and every bit."""
    if type(first) is not type(second):
        return False
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and first.shape == second.shape and all(map(same, first.flat, second.flat))
    return bool(first == second)


def write_custom(path: Path, *episodes: Episode) -> Path:
    """The episodes as a file of memgym/Custom-v0."""
    path.write_text("".join(json.dumps(to_record(episode)) + "\n" for episode in episodes), encoding="utf-8")
    return path


def write_locomo(path: Path) -> Path:
    """An invented file in the schema of LoCoMo: one conversation per split, of different lengths."""

    def conversation(number: int, sessions: int) -> dict[str, Any]:
        talk: dict[str, Any] = {"speaker_a": "Ulla", "speaker_b": "Per"}
        for n in range(1, sessions + 1):
            talk[f"session_{n}_date_time"] = f"9:00 am on {n} March, 2023"
            talk[f"session_{n}"] = [
                {"speaker": "Ulla", "dia_id": f"D{n}:1", "text": f"Boat {number} left pier {n}."},
                {"speaker": "Per", "dia_id": f"D{n}:2", "text": "I see."},
            ]
        asked = [{"question": f"Which pier did boat {number} leave?", "answer": 1, "evidence": ["D1:1"], "category": 4}]
        return {"sample_id": f"conv-{number}", "conversation": talk, "qa": asked}

    records = [conversation(number, sessions) for number, sessions in ((26, 1), (30, 2), (41, 3), (42, 2))]
    path.write_text(json.dumps(records), encoding="utf-8")
    return path
