"""What the exam gives the reader, how it grades, and that it leaves the memory alone."""

import json

import pytest

from memgym.exam.exam import Exam, Paper
from memgym.exam.extractive import ExtractiveReader
from memgym.exam.reader import ReadingTask
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import count_lexical_tokens, first_lexical_tokens
from tests.scripted import FakeReader, make_episode, make_question, tea_story


def bank_with(semantic=(), episodic=(), core="") -> MemoryBank:
    bank = MemoryBank()
    for store, texts in (("semantic", semantic), ("episodic", episodic)):
        for text in texts:
            assert bank.insert(store, text, sources=[f"turn of {text}"]).ok
    if core:
        assert bank.update("core", core).ok
    return bank


def task_for(bank: MemoryBank, question: str, **exam) -> ReadingTask:
    reader = exam.pop("reader", None) or FakeReader()
    return Exam(reader, **exam).reading_task(Paper(bank, ()), make_question(question, "x"))


def texts(task: ReadingTask) -> list[str]:
    return [entry.text for entry in task.context]


# --- what the reader is given ---


def test_the_best_entries_of_every_store_come_best_first():
    bank = bank_with(
        semantic=["red tea", "red tea cup of clay", "green tea", "sugar"],
        episodic=["red tea pot", "bought tea on a rainy day in May"],
    )
    task = task_for(bank, "red tea?", k=2)
    best = [
        *bank.search_scored("red tea?", store="episodic", k=2),
        *bank.search_scored("red tea?", store="semantic", k=2),
    ]
    assert list(task.context) == [entry for entry, _ in sorted(best, key=lambda pair: (-pair[1], pair[0].id))]
    assert texts(task)[0] == "red tea"
    assert {entry.store for entry in task.context} == {"semantic", "episodic"}
    assert len(task.context) == 4


def test_equal_scores_are_ordered_by_id_whatever_the_store():
    bank = MemoryBank()
    for store in ("semantic", "episodic", "semantic"):
        bank.insert(store, f"tea {'abc'[len(bank.entries())]}")
    assert [entry.id for entry in task_for(bank, "tea").context] == [1, 2, 3]


def test_entries_that_share_no_word_with_the_question_are_not_given():
    assert texts(task_for(bank_with(["red tea", "cold milk"]), "Which tea?")) == ["red tea"]


def test_a_lower_rank_never_displaces_a_higher_one():
    bank = bank_with(["tea tea", "tea and a long tail of eight", "tea with milk and sugar and then some"])
    ranked = texts(task_for(bank, "tea"))
    sizes = [count_lexical_tokens(text) for text in ranked]
    assert sizes == [2, 7, 8]
    given = {limit: len(task_for(bank, "tea", context_tokens=limit).context) for limit in (1, 2, 8, 9, 16, 17)}
    assert given == {1: 0, 2: 1, 8: 1, 9: 2, 16: 2, 17: 3}


def test_what_fits_after_an_entry_that_does_not_is_still_left_out():
    bank = bank_with(["tea tea tea of green leaves", "tea"])
    ranked = texts(task_for(bank, "tea leaves"))
    assert ranked == ["tea tea tea of green leaves", "tea"]
    assert texts(task_for(bank, "tea leaves", context_tokens=5)) == []


def test_the_core_is_given_in_full_and_counts():
    bank = bank_with(["red tea", "tea green"], core="Ann drinks a lot")
    assert task_for(bank, "tea", context_tokens=6).core == "Ann drinks a lot"
    assert len(task_for(bank, "tea", context_tokens=6).context) == 1
    assert len(task_for(bank, "tea", context_tokens=8).context) == 2


def test_no_memory_is_larger_than_the_limit_not_even_a_core():
    task = task_for(bank_with(["red tea"], core="Ann drinks a lot of tea."), "tea", context_tokens=3)
    assert (task.core, task.context) == ("Ann drinks a", ())


def test_the_window_of_the_reader_is_a_limit_too():
    bank = bank_with(["red tea", "tea green"])
    assert len(task_for(bank, "tea", reader=FakeReader(window=3)).context) == 1


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, ""), (1, "Ann"), (2, "Ann,"), (3, "Ann, who"), (9, "Ann, who  left. ")]
)
def test_the_first_lexical_tokens_of_a_text(limit, kept):
    assert first_lexical_tokens("Ann, who  left. ", limit) == kept
    assert count_lexical_tokens(kept) <= limit


def test_the_question_comes_with_its_own_time():
    reader = FakeReader()
    question = make_question("tea?", "x", timestamp="2024-07-01")
    assert Exam(reader).reading_task(Paper(MemoryBank(), ()), question).timestamp == "2024-07-01"


def test_the_memory_exam_never_hands_over_the_stream():
    episode = tea_story()
    reader = FakeReader()
    Exam(reader).grade([Paper(MemoryBank(), episode.questions, episode.chunks)])
    assert all((task.core, task.context) == ("", ()) for task in reader.batches[0])


def test_the_stream_exam_hands_over_the_newest_turns_that_fit_and_no_memory():
    episode = make_episode(["oldest of them", "older"], ["newer"], questions=[make_question("?", "x")])
    bank = bank_with(["memory"], core="core")
    paper = Paper(bank, episode.questions, episode.chunks)

    def given(limit):
        task = Exam(FakeReader(), context_tokens=limit, context="stream").reading_task(paper, episode.questions[0])
        assert task.core == ""
        return texts(task)

    assert given(2000) == ["Ann: newer", "Ann: older", "Ann: oldest of them"]
    assert given(6) == ["Ann: newer", "Ann: older"]
    assert given(5) == ["Ann: newer"]
    newest = Exam(FakeReader(), context="stream").reading_task(paper, episode.questions[0]).context[0]
    assert (newest.sources, newest.timestamp, newest.created_step) == (("t2",), "2024-05-02T09:00", 1)


# --- batches ---


def test_all_questions_of_all_papers_are_one_call():
    reader = FakeReader(lambda task: task.question.upper())
    first = [make_question("a", "A"), make_question("b", "no")]
    second = [make_question("c", "C")]
    exam = Exam(reader)
    results = exam.grade(
        [Paper(MemoryBank(), tuple(first)), Paper(MemoryBank(), ()), Paper(MemoryBank(), tuple(second))]
    )
    assert [[task.question for task in batch] for batch in reader.batches] == [["a", "b", "c"]]
    assert [[answer.prediction for answer in result.answers] for result in results] == [["A", "B"], [], ["C"]]
    # An empty normalised answer ("A" is an article) matches itself.
    assert [result.score for result in results] == [0.5, 0.0, 1.0]


@pytest.mark.parametrize("papers", [[], [Paper(MemoryBank(), ())]])
def test_without_questions_the_reader_is_not_asked_and_the_score_is_zero(papers):
    reader = FakeReader()
    assert [result.score for result in Exam(reader).grade(papers)] == [0.0] * len(papers)
    assert reader.batches == []


@pytest.mark.parametrize("answers", [[], ["one"], ["one", "two", "three"]])
def test_a_reader_that_gives_another_number_of_answers_is_refused(answers):
    class Wrong(FakeReader):
        def answer(self, tasks):
            return answers

    with pytest.raises(ValueError, match=f"reader 'fake' gave {len(answers)} answers to 2 questions"):
        Exam(Wrong()).grade([Paper(MemoryBank(), tea_story().questions)])


# --- grades ---


def test_an_answer_is_graded_by_the_metric_of_its_question():
    bank = bank_with(["red tea"])
    questions = (
        make_question("tea f1?", "red tea", "turn of red tea", "elsewhere", metric="squad_f1"),
        make_question("tea em?", "red tea", "elsewhere", metric="squad_em"),
        make_question("milk?", "No information available", metric="abstain"),
    )
    reader = FakeReader(lambda task: "No information available" if "milk" in task.question else "red")
    (result,) = Exam(reader).grade([Paper(bank, questions)])
    assert [answer.score for answer in result.answers] == [pytest.approx(2 / 3), 0.0, 1.0]
    assert result.score == pytest.approx((2 / 3 + 1) / 3)
    assert [answer.evidence_recall for answer in result.answers] == [0.5, 0.0, None]
    assert [answer.retrieved for answer in result.answers] == [(1,), (1,), ()]
    assert [answer.context_tokens for answer in result.answers] == [2, 2, 0]


def test_a_graded_answer_survives_json():
    (result,) = Exam(FakeReader()).grade([Paper(bank_with(["red tea"]), (make_question("tea?", "red", "t0"),))])
    row = result.answers[0].to_dict()
    assert json.loads(json.dumps(row)) == row
    assert row["question"] == "tea?"
    assert row["answers"] == ["red"]
    assert row["retrieved"] == [1]


# --- acceptance: no memory and the exam's own effect ---


def test_with_an_empty_store_every_answer_equals_that_without_memory():
    questions = (
        *tea_story().questions,
        make_question("Is Ann happy?", "yes"),
        make_question("When did Ann buy it?", "1 May 2024"),
        make_question("How many cats does Ann have?", "1"),
    )
    reader = ExtractiveReader()
    emptied = bank_with(["Ann bought a red bicycle"], core="Ann")
    emptied.delete("semantic", entry_id=1)
    emptied.delete("core")
    without = reader.answer([ReadingTask(question.text, "", ()) for question in questions])
    for bank in (MemoryBank(), emptied):
        (result,) = Exam(reader).grade([Paper(bank, questions)])
        assert [answer.prediction for answer in result.answers] == without
        assert all(answer.context_tokens == 0 for answer in result.answers)


@pytest.mark.parametrize("context", ["memory", "stream"])
def test_the_exam_leaves_bank_and_journal_as_they_were(context):
    episode = tea_story()
    bank = bank_with(["Ann bought a red bicycle in Bern", "Moss is Ann's cat"], ["Ines bakes"], core="Ann")
    before, journal = bank.state_hash(), bank.journal()
    for _ in range(2):
        Exam(ExtractiveReader(), context=context).grade([Paper(bank, episode.questions, episode.chunks)])
    assert bank.state_hash() == before
    assert bank.journal() == journal


def test_keeping_everything_without_a_budget_finds_no_less_evidence_than_keeping_some():
    episode = tea_story()
    everything = MemoryBank()
    some = MemoryBank()
    for turn in episode.turns:
        everything.insert("episodic", turn.line, sources=[turn.id])
    some.insert("episodic", episode.turns[0].line, sources=["t0"])
    full, part = Exam(ExtractiveReader()).grade([Paper(bank, episode.questions) for bank in (everything, some)])
    recall = [[answer.evidence_recall for answer in result.answers] for result in (full, part)]
    assert recall == [[1.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "exam k=0, context_tokens=2000: both must be at least 1"),
        ({"context_tokens": 0}, "context_tokens=0"),
        ({"context": "web"}, "exam context='web': expected 'memory' or 'stream'"),
    ],
)
def test_wrong_settings_raise_one_line(settings, message):
    with pytest.raises(ValueError, match=message):
        Exam(FakeReader(), **settings)
