"""What the extractive reader answers, from dialogue turns, facts and notes; when it abstains."""

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memgym.exam.extractive import ExtractiveReader
from memgym.exam.metrics import score
from memgym.exam.reader import ABSTENTION, ReadingTask
from memgym.memory.operations import Entry
from memgym.tasks.procedural import DialogueGenerator

DAY = "2023-05-08T10:00"


def entries(*texts):
    """Entries from texts, or from (text, timestamp) pairs."""
    pairs = [(text, DAY) if isinstance(text, str) else text for text in texts]
    return tuple(Entry(i, "episodic", text, stamp, (), 0, 0) for i, (text, stamp) in enumerate(pairs, start=1))


def ask(question, *texts, core="", **options):
    return ExtractiveReader(**options).answer([ReadingTask(question, core, entries(*texts))])[0]


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("What instrument does Mara play?", "Mara plays the cello in a quartet", "cello"),
        ("Where does Tomas work?", "Tomas works as a florist at Lindgren & Sons", "Lindgren & Sons"),
        ("What does Tomas work as?", "Tomas works as a florist at Lindgren & Sons", "florist"),
        ("What is Tomas's job?", "Tomas works as a florist at Lindgren & Sons", "florist"),
        ("What is the name of Ana's dog?", "Ana adopted a beagle named Biscuit", "Biscuit"),
        ("What is Ana's dog called?", "Ana: I have a dog called Biscuit.", "Biscuit"),
        ("Where does Mara live?", "Mara: I moved to Lund last week", "Lund"),
        ("Which town does Mara live in?", "Mara: I settled in Lund, finally.", "Lund"),
        ("Who is Mara's boss?", "Mara: My boss, Ines, is on holiday.", "Ines"),
        ("What is Mara's favourite colour?", "Mara: when it comes to my favourite colour, it's teal.", "teal"),
        ("What is Mara allergic to?", "Mara: I'm allergic to peanuts, of all things!", "peanuts"),
        ("What is Mara saving for?", "Mara: I put money aside for a leather backpack.", "leather backpack"),
        ("Which book is Mara reading?", 'Mara: I am reading "The Glass Orchard" these days.', "Glass Orchard"),
        ("Which book is Mara reading?", "Mara: I am reading Letters from the Harbour now.", "Letters from the Harbour"),
        ("Who is Mara's doctor?", "Mara: My doctor is Dr. Lindqvist, as you know.", "Dr. Lindqvist"),
        (
            "What does Mara want to do this year?",
            "Mara: I want to run a half marathon this year.",
            "run a half marathon",
        ),
        ("How many children does Ana have?", "Ana: We have three children and a dog.", "three"),
        ("How long has Ana known Mara?", "Ana: I have known Mara for seven years.", "seven years"),
        ("How often does Ana swim?", "Ana: I swim twice a week.", "twice a week"),
        ("When does Ana's shift start?", "Ana: My shift starts at 7:30 and I hate it.", "7:30"),
        ("Why did Ana quit?", "Ana: I quit because the hours were awful.", "the hours were awful"),
        ("What is Ana's address?", "Ana: My street address is 12 Juniper Lane.", "12 Juniper Lane"),
    ],
)
def test_a_short_span_answers_the_question(question, text, answer):
    assert ask(question, text) == answer


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("When did Mara visit Oslo?", "Mara: I visited Oslo yesterday.", "7 May 2023"),
        ("When did Mara visit Oslo?", "Mara: I visited Oslo two weeks ago.", "24 April 2023"),
        ("When did Mara visit Oslo?", "Mara visited Oslo on 3 April 2022.", "3 April 2022"),
        ("When did Mara visit Oslo?", "Mara: What a trip. I visited Oslo!", "8 May 2023"),
        ("When did Mara visit Oslo?", ("[2023-02-02] Mara: I visited Oslo yesterday.", DAY), "1 February 2023"),
        ("When is Mara's birthday?", "Mara: My birthday is on 13 August.", "13 August"),
        ("In which month did Mara visit Oslo?", "Mara: I visited Oslo yesterday.", "May"),
        ("In which year did Mara visit Oslo?", "Mara: I visited Oslo last year.", "2022"),
    ],
)
def test_dates_are_resolved_against_the_entry(question, text, answer):
    assert ask(question, text) == answer


def test_loose_dates_follow_the_golds_of_locomo():
    text = "Mara: I visited Oslo last Sunday."
    assert ask("When did Mara visit Oslo?", text, loose_dates=True) == "The Sunday before 8 May 2023"
    assert ask("When did Mara visit Oslo?", text) == "7 May 2023"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["Mara plays the cello in a quartet"],
        ["Tomas collects stamps"],
        ["Tomas: my sister collects stamps, Ana."],
        ["Ana: I hear that Tomas collects stamps."],
    ],
)
def test_it_abstains_when_nothing_covers_the_question_for_that_person(texts):
    assert ask("What does Ana collect?", *texts) == ABSTENTION


def test_without_a_coverage_threshold_it_answers_whenever_it_can():
    text = "Ana: Those tiny trains on my shelf!"
    assert ask("What does Ana collect?", text) == ABSTENTION
    assert ask("What does Ana collect?", text, min_coverage=0.0) != ABSTENTION
    assert ask("What does Ana collect?", min_coverage=0.0) == ABSTENTION


def test_first_person_means_the_speaker():
    turns = ("Ana: I play the oboe.", "Mara: I play the cello.")
    assert ask("What instrument does Mara play?", *turns) == "cello"
    assert ask("What instrument does Ana play?", *turns) == "oboe"


def test_a_fact_about_a_relative_is_not_a_fact_about_the_speaker():
    assert ask("What instrument does Mara play?", "Mara: My sister plays the oboe.") == ABSTENTION


@pytest.mark.parametrize("question", ["Where does Mara live?", "Where does Mara live now?"])
def test_the_newest_value_wins_for_the_present(question):
    old, new = ("Mara lives in Lund.", "2023-01-01"), ("Mara lives in Oslo.", "2023-06-01")
    assert ask(question, old, new) == ask(question, new, old) == "Oslo"


@pytest.mark.parametrize(
    "text",
    [
        "Mara: My favourite dish used to be curry, but now it's ramen.",
        "Mara: My favourite dish is ramen now, no longer curry.",
        "Mara: My favourite dish is ramen instead of curry.",
    ],
)
def test_one_sentence_can_hold_the_present_and_the_previous_value(text):
    assert ask("What is Mara's favourite dish?", text) == "ramen"
    assert ask("What was Mara's favourite dish before ramen?", text) == "curry"


def test_the_previous_value_may_stand_in_an_older_entry():
    texts = ("Mara lives in Lund.", "2023-01-01"), ("Mara lives in Oslo.", "2023-03-01"), ("Mara lives in Rome.", DAY)
    assert ask("Where did Mara live before Rome?", *texts) == "Oslo"
    assert ask("Where did Mara live before Oslo?", *texts) == "Lund"


def test_a_change_is_followed_even_when_it_does_not_name_the_attribute():
    told = ("Mara: My favourite restaurant is the Golden Spoon.", "2023-01-01")
    changed = ("Mara: I swapped the Golden Spoon for the Crooked Fig.", "2023-02-01")
    again = ("Mara: I swapped the Crooked Fig for the Salty Hare.", "2023-03-01")
    question = "What is Mara's favourite restaurant?"
    assert [ask(question, told), ask(question, told, changed)] == ["Golden Spoon", "Crooked Fig"]
    assert ask(question, again, told, changed) == "Salty Hare"


def test_what_is_taken_back_is_not_answered():
    told = ("Mara: My lucky charm is a blue marble.", "2023-01-01")
    retracted = ("Mara: Forget what I said about my lucky charm, I made that up.", DAY)
    corrected = ("Mara: Forget what I said about my lucky charm: it is a jade pebble.", DAY)
    assert ask("What is Mara's lucky charm?", told, retracted) == ABSTENTION
    assert ask("What is Mara's lucky charm?", told, corrected) == "jade pebble"


@pytest.mark.parametrize(
    "naming",
    [
        "Mara: My sister is called Ines.",
        "Mara: Ines is my sister.",
        "Mara: I saw my sister Ines.",
        "Mara's sister is Ines.",
    ],
)
def test_a_relation_leads_to_the_facts_of_the_person_it_names(naming):
    facts = (naming, "Mara: I play the cello.", "Mara: Ines plays the oboe.")
    assert ask("What instrument does Mara's sister play?", *facts) == "oboe"


def test_a_relation_that_is_never_named_gives_no_answer():
    assert ask("What instrument does Mara's sister play?", "Mara: I play the cello.") == ABSTENTION


def test_a_date_in_the_question_selects_the_event():
    turns = ("Mara cooked lemon stew on 3 May 2023.", "Mara cooked leek pie on 7 May 2023.")
    assert ask("What did Mara cook on 3 May 2023?", *turns) == "lemon stew"
    assert ask("What did Mara cook on 7 May 2023?", *turns) == "leek pie"


def test_first_and_last_follow_the_day_of_the_event_not_of_the_telling():
    turns = ("Mara cooked lemon stew on 3 May 2022.", DAY), ("Mara cooked leek pie on 7 April 2023.", "2023-04-08")
    assert ask("What did Mara cook first?", *turns) == "lemon stew"
    assert ask("What did Mara cook last?", *turns) == "leek pie"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many days passed between Mara's trip to Oslo and Mara's interview at Harbor Foods?", "14 days"),
        ("How many days were there between Mara's interview at Harbor Foods and Mara's trip to Oslo?", "14 days"),
        ("How many days passed between Mara's trip to Rome and Mara's interview at Harbor Foods?", ABSTENTION),
    ],
)
def test_days_between_two_events(question, answer):
    turns = ("Mara: My trip to Oslo was two weeks ago.", "Mara: I had an interview at Harbor Foods today.")
    assert ask(question, *turns) == answer


def test_yes_or_no_follows_the_negation():
    assert ask("Did Ana run a marathon?", "Ana: I ran a marathon on Sunday.") == "Yes"
    assert ask("Did Ana run a marathon?", "Ana: I never ran a marathon.") == "No"
    assert ask("Did Ana run a marathon?", "Ana: I collect stamps.") == ABSTENTION


def test_a_choice_is_answered_with_the_option_that_was_said():
    assert ask("Does Ana drink tea or coffee?", "Ana: I drink coffee every morning.") == "coffee"


def test_a_plural_question_lists_one_answer_per_statement():
    turns = ("Ana plays the oboe.", "Ana plays the harp.", "Mara plays the cello.")
    assert set(ask("Which instruments does Ana play?", *turns).split(", ")) == {"oboe", "harp"}


def test_core_notes_and_whole_chunks_are_read_as_well():
    notes = "Mara plays the cello. Ana lives in Rome.\n- Tomas works at Harbor Foods."
    assert ask("Where does Tomas work?", core=notes) == "Harbor Foods"
    chunk = "Ana: How are you, Mara?\nMara: Great. I moved to Lund.\nAna: I still live in Rome."
    assert ask("Where does Mara live?", chunk) == "Lund"
    assert ask("Where does Ana live?", chunk) == "Rome"


def test_answers_come_in_the_order_of_the_tasks_and_depend_on_nothing_else():
    tasks = [
        ReadingTask("What instrument does Mara play?", "", entries("Mara plays the cello.")),
        ReadingTask("What instrument does Mara play?", "", ()),
        ReadingTask("Where does Mara live?", "", entries("Mara lives in Lund.")),
    ]
    assert ExtractiveReader().answer(tasks) == ["cello", ABSTENTION, "Lund"]
    assert ExtractiveReader().answer(tasks[::-1]) == ["Lund", ABSTENTION, "cello"]


def test_the_name_tells_readers_apart_that_answer_differently():
    assert len({ExtractiveReader().name, ExtractiveReader(0.0).name, ExtractiveReader(loose_dates=True).name}) == 3


@pytest.mark.parametrize("options", [{"min_coverage": 1.1}, {"min_coverage": -0.1}, {"window": 0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ExtractiveReader(**options)


def test_the_value_before_a_change_is_that_of_the_person_asked_for():
    texts = ("Ana lives in Rome.", "2023-01-01"), ("Mara lives in Lund.", "2023-02-01"), ("Ana lives in Oslo.", DAY)
    other = ("Mara: I left Lund and now live in Oslo.", "2023-03-01")
    assert ask("Where did Ana live before Oslo?", *texts, other) == "Rome"
    assert ask("Where did Mara live before Oslo?", *texts, other) == "Lund"


PIECES = [
    *(
        "What",
        "Where",
        "When",
        "who",
        "is",
        "was",
        "how",
        "many",
        "days",
        "between",
        "before",
        "first",
        "names",
        "because",
    ),
    *(
        "Mara's",
        "Ana",
        "'s",
        "'",
        "my",
        "sister",
        "I",
        "you",
        "it's",
        "called",
        "named",
        "Dr.",
        "cello",
        "plays",
        "Lund",
    ),
    *(
        ",",
        ".",
        ":",
        ";",
        "?",
        "!",
        '"',
        "“",
        "&",
        "-",
        "*",
        "\n",
        "\u200b",
        "İ",
        "no",
        "longer",
        "used",
        "to",
        "swapped",
    ),
    *(
        "the",
        "of",
        "and",
        "or",
        "for",
        "from",
        "in",
        "forget",
        "what",
        "said",
        "about",
        "7:30",
        "$5",
        "31",
        "June",
        "2023",
    ),
    *("last", "Friday", "two", "weeks", "ago", "years", "9999", "9999-12-31", "[2023-05-01]"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join) | st.text(max_size=40)
STAMPS = st.sampled_from(["", DAY, "soon", "9999-12-31", "0001-01-01"])


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, st.lists(st.tuples(TEXTS, STAMPS), max_size=3), st.sampled_from([0.0, 0.38]))
def test_no_question_and_no_memory_make_it_raise_or_answer_nothing(question, core, texts, min_coverage):
    assert ask(question, *texts, core=core, min_coverage=min_coverage)


# --- as an instrument: ceiling and floor ---


def procedural_score(split, memory):
    """Mean score over 12 generated exams of (answerable, unanswerable) questions."""
    scores = {True: [], False: []}
    for index in range(12):
        episode = DialogueGenerator().episode(7, index, split)
        tasks = [ReadingTask(q.text, "", memory(episode, q)) for q in episode.questions]
        for question, answer in zip(episode.questions, ExtractiveReader().answer(tasks), strict=True):
            scores[question.answerable].append(score(question.metric, answer, question.answers))
    return tuple(sum(values) / len(values) for values in scores.values())


def evidence_turns(episode, question):
    return entries(*((turn.line, turn.timestamp) for turn in episode.turns if turn.id in question.evidence))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_gold_evidence_gives_a_high_ceiling_on_procedural_dialogues(split):
    answerable, unanswerable = procedural_score(split, evidence_turns)
    assert answerable > 0.75
    assert unanswerable > 0.9


def test_an_empty_memory_answers_nothing_but_the_unanswerable():
    assert procedural_score("train", lambda episode, question: ()) == (0.0, 1.0)


@pytest.fixture(scope="module")
def conv_26():
    root = os.environ.get("MEMGYM_DATA", Path(__file__).parents[3] / "shared" / "data")
    path = Path(root) / "locomo" / "locomo10.json"
    if not path.exists():
        pytest.skip(f"LoCoMo is not at {path}")
    return json.loads(path.read_text("utf-8"))[0]


def test_gold_evidence_of_locomo_scores_far_above_abstention(conv_26):
    talk, turns = conv_26["conversation"], {}
    for key in filter(re.compile(r"session_\d+").fullmatch, talk):
        day = datetime.strptime(talk[f"{key}_date_time"], "%I:%M %p on %d %B, %Y").isoformat()
        turns |= {turn["dia_id"]: (f"{turn['speaker']}: {turn['text']}", day) for turn in talk[key]}
    scores = []
    for item in conv_26["qa"]:
        if item["category"] < 5:
            evidence = [turns[i] for i in re.findall(r"D\d+:\d+", " ".join(item["evidence"]))]
            answer = ask(item["question"], *evidence, min_coverage=0.0, loose_dates=True)
            scores.append(score(f"locomo_{item['category']}", answer, [str(item["answer"])]))
    assert len(scores) == 152
    assert sum(scores) / len(scores) > 0.3
