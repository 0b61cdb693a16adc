"""An exam that shares what it retrieves equally among the speakers, as the training of an Answer Agent does."""

import pytest

from memgym.envs.answer import AnswerEnv
from memgym.exam.exam import Exam, Paper
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.tasks.retrieved_questions import RetrievedQuestions
from memgym.tasks.task import EpisodeList
from tests.scripted import FakeReader, make_chat, make_env, make_question

QUESTION = make_question("Who is number 61 of the metres?", "Per", "t61")


def filled(chat) -> MemoryBank:
    """Every turn of a chat, word for word."""
    bank = MemoryBank(budget=UNLIMITED)
    for turn in chat.turns:
        assert bank.insert("episodic", turn.line, timestamp=turn.timestamp, sources=[turn.id]).ok
    return bank


def context(chat, bank=None, **exam) -> list[str]:
    """The texts that a reader is given for the question."""
    settings = {"k": 60, "context_tokens": 10_000, "per_speaker": True, **exam}
    paper = Paper(bank or filled(chat), (QUESTION,), chat.chunks)
    return [entry.text for entry in Exam(FakeReader(), **settings).reading_task(paper, QUESTION).context]


def counts(texts) -> dict[str, int]:
    names = [text.partition(":")[0] for text in texts]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize(
    ("speakers", "k", "shares"),
    [
        (["Ulla", "Per"], 60, {"Per": 30, "Ulla": 30}),
        (["Ulla", "Per"], 7, {"Per": 3, "Ulla": 4}),
        (["A", "B", "C"], 60, {"A": 20, "B": 20, "C": 20}),
        (["Ulla"], 60, {"Ulla": 60}),
        (["Ulla", "Ulla", "Ulla", "Ulla", "Ulla", "Ulla", "Ulla", "Per"], 60, {"Per": 10, "Ulla": 30}),
    ],
)
def test_every_speaker_has_an_equal_share_of_what_is_retrieved(speakers, k, shares):
    assert counts(context(make_chat(80, speakers=speakers), k=k)) == shares


def test_without_shares_the_best_are_taken_whoever_said_them():
    chat = make_chat(80, speakers=["Ulla", "Ulla", "Ulla", "Per"])
    bank = filled(chat)
    best = [entry.text for entry in bank.search(QUESTION.text, store="episodic", k=20)]
    assert context(chat, bank, k=20, per_speaker=False) == best
    assert counts(context(chat, bank, k=20)) == {"Per": 10, "Ulla": 10} != counts(best)


def test_the_best_of_each_speaker_come_in_turn_so_that_a_short_context_holds_both_sides():
    chat = make_chat(80)
    found = context(chat)
    assert [text.partition(":")[0] for text in found] == ["Ulla", "Per"] * 30
    assert found[1] == "Per: Number 61 is 61 metres long."
    assert context(chat, context_tokens=2 * 9) == found[:2]


def test_both_stores_share_one_number_of_entries():
    chat = make_chat(80)
    bank = filled(chat)
    for number in range(20):
        bank.insert("semantic", f"Per knows number 61 by {number} names.", sources=[f"t{2 * number + 1}"])
    found = context(chat, bank, k=20)
    assert len(found) == 20
    assert sum(text.startswith("Per knows") for text in found) + counts(found).get("Per", 0) == 10


def test_without_known_speakers_all_is_one_share():
    chat = make_chat(80)
    paper = Paper(filled(chat), (QUESTION,))
    task = Exam(FakeReader(), k=60, context_tokens=10_000, per_speaker=True).reading_task(paper, QUESTION)
    assert len(task.context) == 60


def test_an_exam_gives_what_an_answer_agent_is_trained_on():
    chat = make_chat(80, [QUESTION])
    env = AnswerEnv(RetrievedQuestions(EpisodeList("chats", [chat])))
    memories = env.reset(options={"episode": 0})[0]["memories"]
    trained = {name: [m["text"] for m in memories if m["speaker"] == name] for name in ("Ulla", "Per")}
    examined = context(chat)
    assert {name: [text for text in examined if text.startswith(name)] for name in trained} == trained


def test_an_environment_shares_by_its_setting():
    chat = make_chat(80, [QUESTION])

    def retrieved(**settings):
        env = make_env(chat, retrieve=60, context_tokens=10_000, budget=None, **settings)
        env.reset(seed=0)
        for turn in chat.turns:
            env.bank.insert("episodic", turn.line, sources=[turn.id])
        (task,) = env.exam._reading_tasks(env.paper())
        return counts(entry.text for entry in task.context)

    assert retrieved(per_speaker=True) == {"Per": 30, "Ulla": 30}
