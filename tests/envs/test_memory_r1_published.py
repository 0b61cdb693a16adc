"""Memory-R1's counts on the published LoCoMo file. Skipped where the file is not at hand."""

import os
from collections import Counter
from pathlib import Path

import pytest

from memgym.envs.memory_r1_answer import MemoryR1AnswerEnv
from memgym.envs.memory_r1_manager import MemoryR1ManagerEnv

REAL = Path(os.environ.get("MEMGYM_DATA") or Path(__file__).parents[3] / "shared" / "data") / "locomo" / "locomo10.json"
pytestmark = pytest.mark.skipif(not REAL.is_file(), reason="the LoCoMo file is not at hand")
SOURCE = {"source_kwargs": {"path": str(REAL)}}


@pytest.mark.parametrize(("split", "turns", "questions"), [("train", 133, 152), ("validation", 74, 81)])
def test_the_split_of_the_paper_has_its_questions_and_manager_prompts(split, turns, questions):
    assert MemoryR1ManagerEnv(split=split, **SOURCE).task.size == turns
    assert MemoryR1AnswerEnv(split=split, **SOURCE).task.size == questions


def test_the_test_questions_by_category_add_up_to_those_of_the_paper():
    env = MemoryR1AnswerEnv(split="test", **SOURCE)
    counts = Counter(question.category for episode in env.task.source for question in episode.questions)
    assert (env.task.size, counts) == (1307, {"1": 239, "2": 258, "3": 83, "4": 727})


def test_category_5_is_out_even_where_the_source_has_it():
    source = {"source_kwargs": {"path": str(REAL), "categories": ["1", "2", "3", "4", "5"]}}
    assert MemoryR1ManagerEnv(**source).task.size == 133
    assert MemoryR1AnswerEnv(**source).task.size == 152


def test_sixty_memories_are_thirty_of_each_speaker_for_every_training_question():
    env = MemoryR1AnswerEnv(**SOURCE)
    for index in range(env.task.size):
        env.begin(env.task.episode(index))
        speakers = Counter(memory["speaker"] for memory in env.observation()["memories"])
        assert speakers == {"Caroline": 30, "Melanie": 30}
    assert isinstance(env.task.episode(0).questions[0].answers[0], str)


def test_manager_prompts_have_their_window_and_their_203_links():
    task = MemoryR1ManagerEnv(**SOURCE).task
    episodes = [task.episode(index) for index in range(task.size)]
    (dialogue,) = task.source
    places = {turn.id: place for place, turn in enumerate(dialogue.turns)}
    assert sum(len(episode.questions) for episode in episodes) == 203
    assert len({question.id for episode in episodes for question in episode.questions}) == 150, "two have no evidence"
    assert all(len(e.memory) == min(50, places[e.chunks[0].turn_ids[0]]) for e in episodes)


def test_the_annotations_are_an_offline_extractor_of_the_window():
    task = MemoryR1ManagerEnv(**SOURCE, bank="annotations").task
    episodes = [task.episode(index) for index in range(task.size)]
    assert all({memory.store for memory in episode.memory} <= {"semantic"} for episode in episodes)
    sizes = sorted(len(episode.memory) for episode in episodes)
    assert sizes[len(sizes) // 2] > 10
