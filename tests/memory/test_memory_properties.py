"""What holds for any text and any operation, by random search with a fixed seed."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from memgym.memory import CODECS, FAILURE_CODES, OPERATION_KINDS, STORES, Budget, MemoryBank, Operation, get_codec
from memgym.memory.codecs import MemoryR1Codec

FIXED = settings(max_examples=300, deadline=None, derandomize=True)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates and NUL included
PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", '{"name": "', "new_memory_insert", '", "arguments": ', "core_memory"),
        *('{"memory_type": "semantic", ', '"content": "', '"memory_id": ', '{"memory": [', '"}', "}", "]", ","),
        *('{"event": "ADD", "text": "', '{"event": "DELETE", "id": ', '"', "'", "\\", "\n", "\n+ ", "\n@ 2024-05-08 "),
        *("\n= ", "\n~1 ", "\n-1", "\n-", "\n? ", "\n.", "```", "done", "1", "0", "-1", "99999999999999999999"),
        *("1e999", "NaN", "tea", "\ud83d", "\0", "<think>", "</think>"),
    ]
)
REPLY = st.lists(PIECES | ANY_TEXT, max_size=14).map("".join)

WORDS = st.text(st.sampled_from("abc \"'"), min_size=1, max_size=9)
ANY_OPERATION = st.builds(
    Operation,
    kind=st.sampled_from(OPERATION_KINDS) | ANY_TEXT,
    store=st.sampled_from((*STORES, "")) | ANY_TEXT,
    text=WORDS | ANY_TEXT,
    entry_id=st.none() | st.integers(-1, 6) | st.integers(),
    timestamp=st.sampled_from(["", "2024-05-08", "2024-05-08T13:56"]) | ANY_TEXT,
    k=st.integers(-2, 9) | st.integers(),
    quote=st.integers(-1, 3) | st.integers(),
)

TEXT = ANY_TEXT.filter(str.strip)
TIME = st.just("") | st.datetimes().map(lambda time: time.replace(fold=0).isoformat())
TIME |= st.dates().map(lambda day: day.isoformat())
ENTRY_STORE = st.sampled_from(["episodic", "semantic"])
ENTRY_ID = st.integers(0, 10**18 - 1)
LINE = TEXT.map(lambda text: " ".join(text.replace("\r", "\n").split("\n")).strip()).filter(bool)


def operations(text, inserted, changed, *, core=True, search=True):
    """Complete operations: ``inserted`` and ``changed`` are the stores of inserts and of updates and deletes."""
    kinds = [
        st.builds(Operation, st.just("insert"), inserted, text, timestamp=TIME),
        st.builds(Operation, st.just("update"), changed, text, ENTRY_ID, TIME),
        st.builds(Operation, st.just("delete"), changed, entry_id=ENTRY_ID),
    ]
    if core:
        kinds += [st.builds(Operation, st.just("update"), st.just("core"), text, timestamp=TIME)]
        kinds += [st.just(Operation("delete", "core"))]
    if search:
        searched = inserted | st.just("")
        kinds += [st.builds(Operation, st.just("search"), searched, text, k=st.integers(1, 10**9 - 1))]
    return st.lists(st.one_of(kinds), min_size=1, max_size=6)


def small_bank():
    bank = MemoryBank(budget=Budget(core=6, semantic=12, total=20))
    bank.insert("semantic", "Ann likes tea")
    bank.update("core", "Ann")
    return bank


def check_index(bank):
    """Raise unless the full-text index equals the entries."""
    database = sqlite3.connect(":memory:")
    database.deserialize(bank.snapshot())
    database.execute("INSERT INTO entries_index (entries_index, rank) VALUES ('integrity-check', 1)")
    database.close()


def recounted(bank):
    entries = bank.entries()
    return {
        "core": bank.count_tokens(bank.core),
        **{
            store: sum(bank.count_tokens(e.text) for e in entries if e.store == store)
            for store in ("episodic", "semantic")
        },
    }


@FIXED
@given(REPLY)
def test_any_reply_is_read_and_applied_without_an_exception(reply):
    for name in CODECS:
        bank = small_bank()
        parsed = get_codec(name).parse(reply)
        assert parsed
        for operation in parsed:
            before = bank.state_hash()
            result = bank.apply(operation, sources=("D1:1",), timestamp="2024-05-08")
            assert result.ok or (result.code in FAILURE_CODES and result.reason and bank.state_hash() == before)


@FIXED
@given(st.lists(ANY_OPERATION, max_size=12))
def test_any_operations_keep_the_bank_whole(written):
    bank, hashes = small_bank(), []
    for step, operation in enumerate(written):
        bank.step = step
        before = bank.state_hash()
        result = bank.apply(operation)
        hashes.append(bank.state_hash())
        assert result.ok or (result.code in FAILURE_CODES and result.reason and hashes[-1] == before)
        row = bank.journal()[-1]
        assert (row.status, row.before, row.after) == (result.status, result.before, result.after)
    assert {store: bank.tokens(store) for store in STORES} == recounted(bank)
    assert all(left is None or left >= 0 for left in bank.budget_left().values())
    assert bank.tokens() <= 20
    check_index(bank)
    for step in reversed(range(len(written))):
        bank.undo(step)
        assert bank.state_hash() == hashes[step]
    assert {store: bank.tokens(store) for store in STORES} == recounted(bank)
    check_index(bank)


@FIXED
@given(st.lists(ANY_TEXT, min_size=1, max_size=5), ANY_TEXT)
def test_any_text_can_be_searched_for_and_found_texts_share_a_word(texts, query):
    bank = MemoryBank()
    for text in texts:
        bank.insert("semantic", text)
    found = bank.search_scored(query)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert {entry.id for entry, _ in found} == {entry.id for entry in bank.search(query, store="semantic")}
    for entry in bank.entries():
        if entry.text.isascii() and any(character.isalnum() for character in entry.text):
            assert entry in bank.search(entry.text)


@FIXED
@given(operations(TEXT, ENTRY_STORE, ENTRY_STORE | st.just("")))
def test_mem_alpha_round_trip(written):
    codec = get_codec("mem_alpha")
    assert codec.parse(codec.render(written)) == written


@FIXED
@given(operations(TEXT, st.just("episodic"), st.just("episodic"), core=False, search=False))
def test_memory_r1_round_trip(written):
    codec = MemoryR1Codec("episodic")
    assert codec.parse(codec.render(written)) == written


@FIXED
@given(operations(LINE, ENTRY_STORE, st.just("")))
def test_lines_round_trip(written):
    codec = get_codec("lines")
    assert codec.parse(codec.render(written)) == written
