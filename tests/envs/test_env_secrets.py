"""The exam stays secret: marks planted in its fields never reach an observation or a prompt."""

import pytest

from memgym.memory.codecs import CODECS
from memgym.memory.operations import Operation
from memgym.tasks.episode import Chunk, Episode, GoldMemory, Question, Turn
from tests.scripted import FakeReader, fact, make_env, make_vector

QUESTION, ANSWER, CATEGORY, EVIDENCE, QUESTION_ID, GOLD, ASKED = (
    f"canary{name}" for name in ("Question", "Answer", "Category", "Evidence", "QuestionId", "Gold", "Asked")
)
SECRETS = (QUESTION, ANSWER, CATEGORY, EVIDENCE, QUESTION_ID, GOLD)


def marked_episode() -> Episode:
    """Two questions and three chunks; whatever the exam alone may know bears a mark, turn ids included."""
    chunks = [
        Chunk(
            index,
            tuple(Turn(f"{EVIDENCE}{index}-{i}", "Ann", f"Tea number {index} {i}.", "2024-05-01") for i in range(2)),
        )
        for index in range(3)
    ]
    questions = [
        Question(
            id=f"{QUESTION_ID}{n}",
            text=f"{QUESTION}{n} which tea?",
            answers=(f"{ANSWER}{n}", f"{ANSWER}{n} tea"),
            category=f"{CATEGORY}{n}",
            evidence=(f"{EVIDENCE}{n}-0", f"{EVIDENCE}{n}-1"),
            timestamp="2031-07-09",
        )
        for n in range(2)
    ]
    gold = (GoldMemory(f"{GOLD} tea", (f"{EVIDENCE}0-0",), "2024-05-01"),)
    return Episode("marked", "scripted", "test", tuple(chunks), tuple(questions), gold)


# One action per step: writes with and without provenance, searches that stay, every kind of failure.
SCRIPT = [
    [fact("Tea number 0 0."), fact("Tea number 0 1."), fact("Tea number 0 0."), Operation("search", text="tea number")],
    [Operation("search", text="which tea", k=100), Operation("update", "core", "Ann drinks tea")],
    [Operation("delete", "core"), Operation("delete", "semantic", entry_id=1)],
    [Operation("update", "semantic", "Tea number 1 0.", entry_id=2), Operation("insert", "core", "tea")],
    [Operation("invalid", text="unreadable"), fact("tea " * 400), Operation("insert", "attic", "tea")],
]


def everything_shown(**config) -> list[dict]:
    """The observations of a whole episode, with infos before the exam and rendered frames as further items."""
    env = make_env(marked_episode(), budget=200, render_mode="ansi", **config)
    observation, info = env.reset(seed=0)
    shown = [observation, {"info": info, "frame": env.render()}]
    for number, action in enumerate(SCRIPT):
        observation, _, terminated, _, info = env.step(action)
        assert terminated == (number == len(SCRIPT) - 1)
        shown += [observation, {"info": {} if terminated else info, "frame": env.render()}]
    return shown


def prompts(observations: list[dict], *, search: bool = False) -> list[str]:
    """What every prompt style tells a model, in every codec that fits."""
    manager = pytest.importorskip("agents.prompts.manager")
    texts = []
    for observation in observations:
        for codec in CODECS.values():
            for style in manager.STYLES.values():
                try:
                    system = style.system_text(codec, manager.usable_stores(observation, codec), search=search)
                except ValueError:
                    continue  # a style that does not know the codec, a codec that has no search
                texts.append(system + style.user_text(observation))
    assert len(texts) >= len(manager.STYLES) * len(observations)
    return texts


@pytest.mark.parametrize("config", [{}, {"show": "relevant"}, {"reward": "mem_alpha", "exam_context": "stream"}])
def test_nothing_of_the_exam_is_ever_shown(config):
    shown = everything_shown(**config)
    assert "Tea number" in repr(shown), "the stream itself must have been shown"
    for item in shown:
        assert "questions" not in item
        assert not any(secret in repr(item) for secret in (*SECRETS, "2031-07-09"))


def test_a_vector_environment_shows_no_more():
    vector = make_vector(marked_episode(), num_envs=2, autoreset_mode="SameStep")
    batches = [vector.reset(seed=0)[0], *(vector.step([action, action])[0] for action in SCRIPT)]
    assert not any(secret in repr(batches) for secret in SECRETS)


@pytest.mark.parametrize("search", [False, True])
def test_nothing_of_the_exam_is_in_a_prompt(search):
    texts = prompts([item for item in everything_shown() if "chunk" in item], search=search)
    assert any("Tea number" in text for text in texts)
    assert not any(secret in text for text in texts for secret in SECRETS)


def test_visible_questions_are_their_texts_alone():
    shown = everything_shown(question_visible=True)
    observations = [item for item in shown if "chunk" in item]
    texts = (f"{QUESTION}0 which tea?", f"{QUESTION}1 which tea?")
    assert all(observation["questions"] == texts for observation in observations)
    for item in shown:
        rest = repr({key: value for key, value in item.items() if key != "questions"})
        assert QUESTION not in rest
        assert not any(secret in repr(item) for secret in SECRETS if secret != QUESTION)
    for text in prompts(observations):
        assert not any(secret in text for secret in SECRETS if secret != QUESTION)


def test_the_reader_is_given_the_question_and_neither_answers_nor_stream():
    reader = FakeReader()
    env = make_env(marked_episode(), reader=reader)
    env.reset(seed=0)
    env.step([fact("Ann drinks tea")])
    env.step([])
    env.step([])
    (tasks,) = reader.batches
    assert [task.question for task in tasks] == [f"{QUESTION}0 which tea?", f"{QUESTION}1 which tea?"]
    assert "Tea number" not in repr(tasks)
    assert not any(secret in repr(tasks) for secret in (ANSWER, CATEGORY, QUESTION_ID, GOLD))


def test_the_answer_prompt_names_no_evidence():
    answer = pytest.importorskip("agents.prompts.answer")
    reader = FakeReader()
    env = make_env(marked_episode(), reader=reader)
    env.reset(seed=0)
    for _ in range(3):
        env.step([fact("Tea number 0 0.")])
    texts = [answer.SYSTEM + answer.user_text(task) for task in reader.batches[0]]
    assert all("Tea number 0 0." in text for text in texts)
    assert not any(secret in text for text in texts for secret in (ANSWER, CATEGORY, EVIDENCE, QUESTION_ID, GOLD))
