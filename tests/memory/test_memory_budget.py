"""The unit of budgets: what a text costs, and that joining its words does not make it cheaper."""

import re
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memgym.memory.budget import count_lexical_tokens, first_lexical_tokens

FIXED = settings(max_examples=300, deadline=None, derandomize=True)
TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("ab1 _.,\n日"), max_size=60)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t", 0),
        ("Ann likes tea.", 4),
        ("Mara's 3rd cat, aged 12", 8),
        ("2024-05-08T13:56", 7),
        ("naïve Łódź Привет", 3),
        ("Ann_likes_tea", 5),
        ("__", 2),
        ("recommendations", 1),  # 15 characters
        ("a" * 16, 1),
        ("a" * 17, 2),
        ("a1" * 24, 3),
        ("안녕하세요 여러분", 2),  # Korean has blanks
        ("我喜欢喝茶。", 6),
        ("お茶がすき", 5),
        ("ชา", 2),
        ("tea茶tea", 3),
        ("tea🙂", 2),
        ("half \ud83d", 2),
    ],
)
def test_words_marks_and_unspaced_characters_are_counted(text, tokens):
    assert count_lexical_tokens(text) == tokens


@FIXED
@given(TEXT, st.sampled_from("_.-'/|·\u200b\u2060\u3000"), st.randoms(use_true_random=False))
def test_joining_words_by_any_mark_is_never_cheaper_than_blanks(text, mark, random):
    joined = re.sub(r"\s", lambda blank: random.choice((blank.group(), mark)), text)
    assert count_lexical_tokens(joined) >= count_lexical_tokens(text)
    underscored = re.sub(r"[\W_]", "_", text)
    assert count_lexical_tokens(underscored) >= count_lexical_tokens(text)


@FIXED
@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_text_costs_the_same_beside_any_other(text):
    assert count_lexical_tokens(f"{text} é") == count_lexical_tokens(text) + 1


@FIXED
@given(TEXT, TEXT)
def test_a_text_costs_as_much_as_its_parts_apart_up_to_the_word_that_is_cut(left, right):
    whole = count_lexical_tokens(left + right)
    apart = count_lexical_tokens(left) + count_lexical_tokens(right)
    assert apart - 1 <= whole <= apart


@FIXED
@given(TEXT, st.integers(0, 20))
def test_a_cut_text_is_the_longest_beginning_that_fits(text, limit):
    kept = first_lexical_tokens(text, limit)
    assert text.startswith(kept)
    assert count_lexical_tokens(kept) == min(limit, count_lexical_tokens(text))


def test_no_character_parts_words_for_the_search_and_joins_them_for_the_budget():
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61')")
    characters = [chr(code) for code in range(0x80, 0x10000) if not 0xD800 <= code < 0xE000]
    database.executemany("INSERT INTO words VALUES (?)", ((f"alpha{character}omega",) for character in characters))
    parted = [text for (text,) in database.execute("SELECT text FROM words WHERE words MATCH 'omega'")]
    database.close()
    assert len(parted) > 5000
    assert [text for text in parted if count_lexical_tokens(text) < 2] == []
