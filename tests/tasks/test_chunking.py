from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.memory.budget import count_lexical_tokens
from memgym.tasks.chunking import Chunking, chunk_by_sessions, chunk_by_tokens, chunk_by_turns, parse_chunking
from memgym.tasks.episode import Turn


def turns(*words: int, start: int = 0) -> list[Turn]:
    """One turn per number, with that many lexical tokens in its line (speaker and colon included)."""
    return [Turn(f"t{start + i}", "A", " ".join(["w"] * (count - 2))) for i, count in enumerate(words)]


def ids(chunks) -> list[tuple[str, ...]]:
    return [chunk.turn_ids for chunk in chunks]


def test_turns_are_grouped_n_at_a_time_and_the_last_chunk_is_shorter():
    chunks = chunk_by_turns(turns(3, 3, 3, 3, 3), 2)
    assert ids(chunks) == [("t0", "t1"), ("t2", "t3"), ("t4",)]
    assert [chunk.index for chunk in chunks] == [0, 1, 2]


def test_no_turns_give_no_chunks():
    assert chunk_by_turns([], 3) == chunk_by_tokens([], 3) == chunk_by_sessions([]) == ()


def test_sessions_become_chunks_and_empty_ones_are_skipped_without_a_gap_in_the_indices():
    chunks = chunk_by_sessions([turns(3, 3), [], turns(3, start=2)])
    assert ids(chunks) == [("t0", "t1"), ("t2",)]
    assert [chunk.index for chunk in chunks] == [0, 1]


def test_token_chunks_are_filled_up_to_exactly_the_limit():
    assert ids(chunk_by_tokens(turns(4, 6, 5, 5, 1 + 2), 10)) == [("t0", "t1"), ("t2", "t3"), ("t4",)]


def test_a_turn_longer_than_the_limit_is_its_own_chunk_and_is_not_split():
    chunks = chunk_by_tokens(turns(3, 50, 3, 3), 10)
    assert ids(chunks) == [("t0",), ("t1",), ("t2", "t3")]
    assert count_lexical_tokens(chunks[1].text) == 50


def test_the_counter_sees_the_text_that_the_policy_reads():
    # Characters, line breaks included: "A: w" is 4, so two lines are 9.
    stream = turns(3, 3, 3, 3)
    assert ids(chunk_by_tokens(stream, 9, len)) == [("t0", "t1"), ("t2", "t3")]
    assert ids(chunk_by_tokens(stream, 8, len)) == [("t0",), ("t1",), ("t2",), ("t3",)]


@given(st.lists(st.integers(2, 30), max_size=40), st.integers(1, 60))
def test_token_chunks_keep_every_turn_in_order_and_only_single_turns_exceed_the_limit(words, limit):
    stream = turns(*words)
    chunks = chunk_by_tokens(stream, limit)
    assert [turn for chunk in chunks for turn in chunk.turns] == stream
    assert all(len(chunk.turns) == 1 or count_lexical_tokens(chunk.text) <= limit for chunk in chunks)
    # Greedy: the first turn of a chunk would not have fitted into the one before.
    for before, after in pairwise(chunks):
        assert count_lexical_tokens(before.text) + count_lexical_tokens(after.turns[0].line) > limit


SESSIONS = [turns(4, 4, 4), turns(4, 4, start=3)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("session", [("t0", "t1", "t2"), ("t3", "t4")]),
        ("turns:2", [("t0", "t1"), ("t2",), ("t3", "t4")]),
        ("turns:2:across", [("t0", "t1"), ("t2", "t3"), ("t4",)]),
        ("turns:1", [("t0",), ("t1",), ("t2",), ("t3",), ("t4",)]),
        ("tokens:8", [("t0", "t1"), ("t2",), ("t3", "t4")]),
        ("tokens:8:across", [("t0", "t1"), ("t2", "t3"), ("t4",)]),
        ("tokens:100", [("t0", "t1", "t2"), ("t3", "t4")]),
    ],
)
def test_a_spec_cuts_sessions_and_mixes_them_only_when_asked(spec, expected):
    chunks = parse_chunking(spec)(SESSIONS)
    assert ids(chunks) == expected
    assert [chunk.index for chunk in chunks] == list(range(len(expected)))


def test_specs_name_their_parts():
    assert parse_chunking("session") == Chunking("session")
    assert parse_chunking("turns:8") == Chunking("turns", 8)
    assert parse_chunking("tokens:512:across") == Chunking("tokens", 512, across=True)


@pytest.mark.parametrize(
    "spec", ["", "sessions", "session:2", "session:across", "turns", "turns:0", "turns:-1", "turns:1.5", "tokens: 8"]
)
def test_any_other_spec_is_refused_in_one_line_that_says_what_was_expected(spec):
    with pytest.raises(ValueError, match=r"^chunking .*: expected 'session', 'turns:N' or 'tokens:N'") as error:
        parse_chunking(spec)
    assert "\n" not in str(error.value)


def test_a_spec_that_is_no_text_is_a_type_error():
    with pytest.raises(TypeError, match="chunking 8: expected text"):
        parse_chunking(8)


@pytest.mark.parametrize("cut", [chunk_by_turns, chunk_by_tokens])
@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), (True, TypeError)])
def test_sizes_below_one_and_sizes_that_are_no_ints_are_refused(cut, size, error):
    with pytest.raises(error, match="expected"):
        cut(turns(3), size)


@pytest.mark.parametrize("fields", [("words", 3), ("session", 2), ("session", 1, True), ("turns", 0)])
def test_an_impossible_chunking_cannot_be_built(fields):
    with pytest.raises(ValueError, match=r"^chunking |^size="):
        Chunking(*fields)
