import pytest

from agents.facts import Change, Note
from memgym.rollout import rollout
from memgym.tasks.episode import Chunk, Episode, GoldMemory, Turn
from memgym.tasks.procedural import DialogueGenerator
from memgym.tasks.task import EpisodeList, ProceduralTask
from tests.scripted import make_episode, make_question, make_vector
from train.statements import date_note, statement
from train.teachers import KnownFact, RuleTeacher, annotated_facts, compare, oracle_facts, revise

DAY = "2023-05-08T13:56"
OLD = "Ann works as a baker."
NEW = "Ann works as a nurse."
NOTES = (Note(5, "Ann skis."), Note(2, OLD))


# --- Statements ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "dated"),
    [
        ("Ann visited a museum recently.", "Ann visited a museum recently (7 May 2023)."),
        ("Ann took her kids to a museum.", "Ann took her kids to a museum (7 May 2023)."),
        ("Ann loves museums.", "Ann loves museums."),
        ("Ann visited a museum last Friday.", "Ann visited a museum last Friday (5 May 2023)."),
    ],
)
def test_a_note_of_an_event_gets_the_only_date_of_its_turn(note, dated):
    assert date_note(note, Turn("t", "Ann", "Yesterday I went to the museum.", DAY)) == dated


def test_a_turn_with_two_dates_dates_no_note():
    turn = Turn("t", "Ann", "Yesterday I went to the museum, on 3 May to the zoo.", DAY)
    assert date_note("Ann visited a museum.", turn) == "Ann visited a museum."


def test_a_turn_becomes_who_said_what_without_questions_and_exclamations():
    turn = Turn("t", "Ann", "Hey you! How are you? I adopted a small cat yesterday.", DAY)
    assert statement(turn) == "Ann said: I adopted a small cat yesterday (7 May 2023)."
    assert statement(Turn("t", "Ann", "Hi!", DAY)) == "Ann said: Hi!"
    assert statement(Turn("t", "", "The cat sat on the mat.", DAY)) == "The cat sat on the mat."


# --- Updates by rule -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("update", Change("UPDATE", 2, f"{NEW} Until 8 May 2023: {OLD}")),
        ("correction", Change("UPDATE", 2)),
        ("withdrawal", Change("DELETE", 2)),
    ],
)
def test_what_ends_a_note_changes_it_by_how_it_ends_it(change, expected):
    assert revise(KnownFact(NEW, ("t",), OLD, change), NOTES, DAY) == expected


def test_a_note_that_keeps_what_held_before_is_found_by_what_holds_now():
    notes = (Note(2, f"{OLD} Until 1 May 2023: Ann works as a pilot."),)
    expected = Change("UPDATE", 1, f"{NEW} Until 8 May 2023: {OLD}")
    assert revise(KnownFact(NEW, ("t",), OLD, "update"), notes, DAY) == expected


def test_what_ends_no_note_that_is_shown_is_added():
    assert revise(KnownFact(NEW, ("t",), "Ann was a pilot.", "update"), NOTES, DAY) == Change("ADD")


@pytest.mark.parametrize(
    ("fact", "change"),
    [
        ("Ann works as a baker", Change("NONE")),
        ("Ann works as a baker in Bern.", Change("UPDATE", 2)),
        ("Ann works as a nurse.", Change("ADD")),
        ("Per swims.", Change("ADD")),
    ],
)
def test_words_decide_where_nothing_is_known(fact, change):
    assert compare(fact, NOTES) == change


# --- Where facts come from -------------------------------------------------------------------------------------------


def test_the_facts_of_a_dialogue_are_those_it_was_generated_from():
    generator = DialogueGenerator(chunks=4, turns_per_chunk=6, update_rate=0.4)
    facts = oracle_facts(ProceduralTask(generator, 3, "train"))(5)
    told = generator.dialogue(3, 5, "train").facts
    assert [fact.text for fact in facts] == [fact.text for fact in told]
    ended = [
        (fact, told[original.replaces]) for fact, original in zip(facts, told, strict=True) if original.change != "told"
    ]
    assert ended
    assert all(fact.replaces == old.text for fact, old in ended)


def test_topics_that_are_never_asked_are_not_worth_a_fact():
    generator = DialogueGenerator(chunks=3, turns_per_chunk=6, asked_topics=("food", "pets"))
    facts = oracle_facts(ProceduralTask(generator))(0)
    told = generator.dialogue(0, 0).facts
    assert 0 < len(facts) < len(told)
    assert [fact.text for fact in facts] == [fact.text for fact in told if fact.topic in ("food", "pets")]


def test_gold_memories_come_before_evidence():
    chunk = Chunk(0, (Turn("a", "Ann", "I skied."), Turn("b", "Ann", "I fell yesterday.", DAY)))
    questions = (make_question("Who fell?", "Ann", "b"),)
    plain = Episode("e", "s", "train", (chunk,), questions)
    memories = (GoldMemory("Ann skis.", ("a",)), GoldMemory("Ann skied.", ("b",), supersedes=0))
    rich = Episode("g", "s", "train", (chunk,), questions, memories)
    source = oracle_facts(EpisodeList("s", [plain, rich]))
    assert source(0) == [KnownFact("Ann said: I fell yesterday (7 May 2023).", ("b",))]
    assert source(1) == [
        KnownFact("Ann skis.", ("a",), "", "update"),
        KnownFact("Ann skied.", ("b",), "Ann skis.", "update"),
    ]


def test_annotations_are_those_of_locomo_alone():
    with pytest.raises(ValueError, match="teacher 'annotations' knows LoCoMo only, not 's'"):
        annotated_facts(EpisodeList("s", [make_episode(["Hm."])]))


# --- The teacher -----------------------------------------------------------------------------------------------------


def test_the_teacher_keeps_the_memory_that_its_facts_and_rules_make():
    story = make_episode(["I bake.", "Hm."], ["Now I nurse."], ["No, forget it."])
    facts = [
        KnownFact(OLD, ("t0",)),
        KnownFact("Notes:", ("t1",)),
        KnownFact(NEW, ("t2",), OLD, "update"),
        KnownFact("Ann took back what was said about Ann's job and works.", ("t3",), NEW, "withdrawal"),
    ]
    held = []
    for days in (1, 2, 3):
        vector = make_vector(make_episode(*[[t.text for t in c.turns] for c in story.chunks][:days]))
        teacher = RuleTeacher("oracle", vector.task, lambda index: facts)
        rollout(vector, teacher, [0])
        held.append([entry.text for entry in vector.envs[0].bank.entries()])
    assert held == [[OLD], [f"{NEW} Until 2 May 2024: {OLD}"], []]
