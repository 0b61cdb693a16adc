"""What a reply of the Answer Agent says, and the shortest reply that says it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.exam.reply import MAX_ROWS, Reply, quotable, read_reply, write_reply

MEMORIES = [
    "I went to a support group yesterday.",
    "I went to the beach with the kids.",
    "Thanks!",
    "I went to the beach with Tom.",
]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Answer:** 7 May 2023", "7 May 2023"),
        ("**Answer:**\n\n 7 May 2023 \nbecause", "7 May 2023"),
        ("thinking **Answer:** a **Answer:** b", "a **Answer:** b"),
        ("**Answer:**", ""),
        ("**Answer:** \n \n", ""),
        ("Answer: 7 May 2023", ""),
        ("**answer:** 7 May 2023", ""),
        ("7 May 2023", ""),
        ("", ""),
    ],
)
def test_the_answer_is_the_first_line_after_the_first_mark_and_empty_without_one(text, answer):
    assert read_reply(text, []).answer == answer


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("I went to a", 0),
        ("i  went to THE beach", 1),
        ("I went to the beach with Tom.", 3),
        ("- Thanks!", 2),
        ("2. I went to a support", 0),
        ("8 May 2023: Caroline: I went to a support group yesterday.", 0),
        ("I went to the beach wi", 1),
        ("Thanks", 2),
        ("**I went to a** support", 0),
        ("- **#3** i went to the beach with tom", 3),
        ("#12 I went to a", 0),
        ("[2] I went to the", 1),
        ("8 May 2023: Caroline: I went to the beach", 1),
        ("* Caroline: Thanks!", 2),
    ],
)
def test_a_row_names_the_first_memory_that_it_opens_or_holds(row, place):
    assert read_reply(f"{row}\n**Answer:** x", MEMORIES) == Reply((place,), "x")


@pytest.mark.parametrize(
    "row",
    [
        "We went",
        "so they said thanks!",
        "I went to a support group yesterday. Or not.",
        "7",
        "i",
        "I went",
        "I went t",
        "#1",
        "**",
        "- Caroline: ",
    ],
)
def test_other_rows_name_nothing_and_are_counted(row):
    assert read_reply(f"{row}\n**Answer:** x", MEMORIES) == Reply((), "x", unknown=1)


def test_memories_are_told_in_the_order_named_each_once_and_blank_rows_say_nothing():
    reply = read_reply("Thanks\n\n  \nI went to a\nThanks!\nnonsense\n**Answer:** x", MEMORIES)
    assert reply == Reply((2, 0), "x", unknown=1)


def test_without_the_mark_nothing_is_selected_either():
    assert read_reply("I went to a\nThanks", MEMORIES) == Reply((), "")


def test_rows_beyond_the_limit_are_not_read():
    assert read_reply("nonsense\n" * (MAX_ROWS + 9) + "**Answer:** x", MEMORIES) == Reply((), "x", unknown=MAX_ROWS)


def test_the_shortest_reply_uses_the_fewest_first_words_but_three():
    assert (
        write_reply("7 May", [3, 0, 2], MEMORIES)
        == "I went to the beach with Tom.\nI went to\nThanks!\n**Answer:** 7 May"
    )
    assert write_reply("7 May", [1], MEMORIES) == "I went to the\n**Answer:** 7 May"


def test_an_answer_is_written_on_one_line():
    assert write_reply("a\n b", [], MEMORIES) == "**Answer:** a b"


WORDS = st.lists(
    st.sampled_from(["I", "go", "to", "Bern", "- no", "1. so", "now", "Ulla:", "**I**", "#3"]), min_size=1, max_size=6
).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_what_was_written_is_read_but_for_memories_that_repeat_another(memories, data):
    place = data.draw(st.integers(0, len(memories) - 1))
    reply = read_reply(write_reply("yes", [place], memories), memories)
    assert reply == Reply((memories.index(memories[place]),), "yes")


@given(st.text(), st.lists(st.text(), max_size=4))
def test_any_text_is_read_without_an_error(text, memories):
    reply = read_reply(text, memories)
    assert set(reply.selected) <= set(range(len(memories)))


def test_a_turn_is_named_without_its_speaker():
    assert quotable("Ulla: I see.", "Ulla") == "I see."
    assert quotable("Per: I see.", "Ulla") == "Per: I see."
    assert quotable("Ulla sails.", "") == "Ulla sails."
