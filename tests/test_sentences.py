"""Lines of a dialogue, cut into their sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.memory.budget import count_lexical_tokens
from memgym.sentences import LEAST, sentence_lines, split_sentences, split_speaker

LONG = "I bought a red bicycle in the town of Bern."
LONGER = "It is the fastest one that I have ever had, so far."


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (f"Ann: {LONG} {LONGER}", [f"Ann: {LONG}", f"Ann: {LONGER}"]),
        (f"{LONG} {LONGER}", [LONG, LONGER]),
        (f"Ann: Wow! {LONG} {LONGER}", [f"Ann: Wow! {LONG}", f"Ann: {LONGER}"]),
        (f"Ann: {LONG} {LONGER} Great!", [f"Ann: {LONG}", f"Ann: {LONGER} Great!"]),
        ("Ann: Hi! How are you?", ["Ann: Hi! How are you?"]),
        ("Ann:", ["Ann:"]),
        ("", [""]),
    ],
)
def test_a_line_becomes_its_sentences_each_with_the_speaker_and_short_ones_together(line, lines):
    assert sentence_lines(*split_speaker(line)) == lines


def test_a_speaker_is_a_word_or_two_names_before_a_colon():
    assert split_speaker("Ann: It is: late.") == ("Ann", "It is: late.")
    assert split_speaker("Mary Jane: It is late.") == ("Mary Jane", "It is late.")
    assert split_speaker("What I mean: it is late.") == ("", "What I mean: it is late.")


def test_a_sentence_may_end_within_quotation_marks_or_with_dots():
    assert split_sentences('She said "go!" We went… And? (Yes.) Fine.') == [
        *('She said "go!"', "We went…", "And?", "(Yes.)", "Fine.")
    ]


@given(st.lists(st.sampled_from(["Hi!", "So it goes.", LONG, LONGER, "Why? ", "no mark "]), min_size=1, max_size=8))
def test_nothing_is_lost_and_nothing_is_short_unless_it_is_alone(parts):
    text = " ".join(" ".join(parts).split())
    pieces = [split_speaker(line)[1] for line in sentence_lines("Ann", text)]
    assert " ".join(pieces) == text
    assert len(pieces) == 1 or min(map(count_lexical_tokens, pieces)) >= LEAST
    assert " ".join(split_sentences(text)) == text
