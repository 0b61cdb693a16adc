import pytest

from agents.fact_pipeline import ExtractRequest, Reply, UpdateRequest
from agents.facts import Change, Note, read_changes
from memgym.exam.reader import ABSTENTION, ReadingTask
from tests.scripted import make_question
from train.cleaning import Cleaner
from train.fact_checks import change_fault, contradicts, fact_fault, support

CHUNK = "Ann: I adopted a cat yesterday!\nPer: Nice. What is it called?\nAnn: Moss. And Ines moved to Bern."
EXTRACT = ExtractRequest(CHUNK, "2024-05-02T09:00", 0, 0)
NOTES = (Note(7, "Ann lives in Bern."), Note(3, "Per skis."))
UPDATE = UpdateRequest("Ann no longer lives in Bern.", NOTES, "2024-05-02T09:00", 0, 0)
TASK = ReadingTask("Where does Ann live?", "", ())


@pytest.fixture
def cleaner():
    return Cleaner()


# --- Facts and changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "fault"),
    [
        ("Ann adopted a cat on 1 May 2024.", ""),
        ("Ann's cat is called Moss.", ""),
        ("Ines moved to Bern.", ""),
        ("Ann won a medal in judo.", "unsupported_fact"),
        ("Zoe adopted a cat.", "nobody"),
        ("Everyone adopted a cat.", "nobody"),
        ("It is called moss.", "nobody"),
        ("ann's cat is called Moss", "duplicate_fact"),
    ],
)
def test_facts_without_support_about_nobody_or_said_twice_are_found(fact, fault):
    accepted = ["Ann's cat is called Moss."] if fault == "duplicate_fact" else []
    assert fact_fault(fact, CHUNK, accepted) == fault


def test_support_is_the_share_of_stems_in_two_neighbouring_lines():
    assert support("Ann adopts cats.", CHUNK) == 1.0
    assert support("Ann adopted a dog on 3 June 2024.", "Ann: I adopted a cat.") == 2 / 3
    assert support("red blue", "red\ngreen\nblue") == 0.5
    assert support("12 May 2024", CHUNK) == 0.0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("UPDATE 3 Ann skis.", "unknown_id"),
        ("DELETE 0", "unknown_id"),
        ("UPDATE 1 ann lives in Bern", "unchanged"),
        ("UPDATE 1", ""),
        ("DELETE 1", ""),
        ("DELETE 2", "unjustified_delete"),
        ("NONE", ""),
    ],
)
def test_changes_of_unknown_notes_of_nothing_and_without_contradiction_are_found(line, fault):
    (change,) = read_changes(line)
    assert change_fault(change, UPDATE.fact, NOTES) == fault


def test_only_what_is_about_the_same_somebody_and_thing_is_taken_back():
    assert contradicts("Ann took back what was said about Ann's job.", "Ann works as a baker.")
    assert contradicts("Ann lives in Porto.", "Ann lives in Bern.")
    assert not contradicts("Ann likes tea.", "Ann lives in Bern.")
    assert not contradicts("Per no longer skis.", "Ann skis.")


# --- Extractions -----------------------------------------------------------------------------------------------------


def test_an_extraction_is_repaired_and_what_was_left_out_is_counted(cleaner):
    reply = Reply(
        "Facts:\n- Ann adopted a cat.\n- Ann won a medal in judo.\n- Zoe adopted a cat.\n- Ann adopted a cat."
    )
    lesson = cleaner.extract(EXTRACT, reply)
    assert lesson.completion == "Ann adopted a cat."
    assert lesson.user == f"2 May 2024\n{CHUNK}"
    assert cleaner.counts == {"extract": {"unsupported_fact": 1, "nobody": 1, "duplicate_fact": 1}}


def test_an_extraction_of_which_nothing_is_left_teaches_nothing(cleaner):
    assert cleaner.extract(EXTRACT, Reply("Zoe adopted a cat.")) is None
    assert cleaner.counts["extract"] == {"nobody": 1, "no_fact_left": 1}
    assert cleaner.extract(EXTRACT, Reply("None")).completion == "."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("Ann adopted a cat.", truncated=True), "truncated"),
        (Reply(" \n"), "empty"),
        (Reply("Here you are:"), "unreadable"),
        (Reply("Ann adopted a cat. " * 60), "reply_too_long"),
    ],
)
def test_unusable_extractions_are_rejected(cleaner, reply, reason):
    assert cleaner.extract(EXTRACT, reply) is None
    assert cleaner.counts == {"extract": {reason: 1}}


def test_a_prompt_and_reply_beyond_the_context_limit_are_rejected():
    cleaner = Cleaner(max_tokens=20)
    assert cleaner.extract(EXTRACT, Reply("Ann adopted a cat.")) is None
    assert cleaner.counts == {"extract": {"too_long": 1}}


# --- Updates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "completion"),
    [
        ("- Delete [1].", "DELETE 1"),
        ("UPDATE 1: Ann no longer lives in Bern.", "UPDATE 1"),
        ("update 2 Per skis and swims.", "UPDATE 2 Per skis and swims."),
        ("noop", "NONE"),
    ],
)
def test_updates_are_written_in_one_form(cleaner, reply, completion):
    lesson = cleaner.update(UPDATE, Reply(reply))
    assert lesson.completion == completion
    assert lesson.user == "1 Ann lives in Bern.\n2 Per skis.\nNew (2 May 2024): Ann no longer lives in Bern."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("UPDATE 5 Ann lives in Porto."), "unknown_id"),
        (Reply("ADD\nDELETE 2"), "unjustified_delete"),
        (Reply("UPDATE 1 Ann lives in Bern."), "unchanged"),
        (Reply("I would add it"), "unreadable"),
        (Reply("ADD", truncated=True), "truncated"),
    ],
)
def test_faulty_updates_are_rejected(cleaner, reply, reason):
    assert cleaner.update(UPDATE, reply) is None
    assert cleaner.counts == {"update": {reason: 1}}


def test_at_most_three_of_ten_updates_are_none(cleaner):
    completions = ["NONE", "ADD"] * 7
    kept = cleaner.cap_none(completions, seed=0)
    assert kept == sorted(kept)
    assert [completions[row] for row in kept].count("NONE") == 3
    assert len(kept) == 10
    assert cleaner.counts == {"update": {"none_over_cap": 4}}
    assert kept == Cleaner().cap_none(completions, seed=0) != Cleaner().cap_none(completions, seed=1)
    assert cleaner.cap_none(["ADD", "DELETE 1", "ADD", "NONE"], seed=0) == [0, 1, 2, 3]


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_the_teachers_answer_is_kept_if_it_is_right_and_else_the_gold_one(cleaner):
    question = make_question(TASK.question, "in Bern")
    assert cleaner.answer(TASK, question, "Bern, in Switzerland").completion == "Bern, in Switzerland"
    assert cleaner.counts == {}
    assert cleaner.answer(TASK, question, "Oslo").completion == "in Bern"
    assert cleaner.counts == {"answer": {"gold_substituted": 1}}
    assert cleaner.answer(TASK, question, None).completion == "in Bern"
    assert cleaner.counts == {"answer": {"gold_substituted": 1}}


def test_gold_answers_are_what_is_scored(cleaner):
    explained = make_question(TASK.question, "Bern; she says so", metric="locomo_3")
    unanswerable = make_question(TASK.question, "nothing", answerable=False)
    assert cleaner.answer(TASK, explained, None).completion == "Bern"
    assert cleaner.answer(TASK, unanswerable, None).completion == ABSTENTION


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(
        ValueError, match=r"none_share=1.0: expected limits of at least 1 token and a share in \[0, 1\)"
    ):
        Cleaner(none_share=1.0)


def test_a_change_of_an_unreadable_line_is_not_judged():
    assert change_fault(Change("INVALID", text="x"), UPDATE.fact, NOTES) == ""
