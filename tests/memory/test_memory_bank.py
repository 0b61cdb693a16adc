import json
import math
import sqlite3

import pytest

from memgym.memory import UNLIMITED, Budget, Entry, MemoryBank, Operation
from memgym.memory.bank import MAX_RESULTS
from memgym.memory.query import MAX_TERMS, match_expression
from memgym.memory.validation import MAX_SOURCES


@pytest.fixture
def bank():
    with MemoryBank() as bank:
        yield bank


def filled():
    """A bank after three steps of every kind of change."""
    bank = MemoryBank()
    bank.update("core", "Ann is a nurse.", timestamp="2024-01-01")
    bank.insert("semantic", "Ann likes tea.", sources=("D1:1", "D1:2"))
    bank.insert("episodic", "Ann moved to Oslo.", timestamp="2024-01-02T08:30")
    bank.step = 1
    bank.update("semantic", "Ann likes coffee.", entry_id=1, sources=("D2:1",))
    bank.delete("episodic", entry_id=2)
    bank.insert("semantic", "Ann likes coffee.")
    bank.step = 2
    bank.delete("core")
    bank.insert("episodic", "Ann adopted a cat.")
    bank.apply(Operation("search", text="coffee"))
    bank.noop()
    return bank


# Operations


def test_insert_stores_the_stripped_text_with_id_time_sources_and_step(bank):
    bank.step = 4
    result = bank.insert("semantic", "  Ann likes tea.\n", timestamp="2024-05-08", sources=["D1:3"])
    assert result.ok
    assert result.after == Entry(1, "semantic", "Ann likes tea.", "2024-05-08", ("D1:3",), 4, 4)
    assert bank.get(1) == result.after
    assert bank.entries() == [result.after]


def test_ids_are_one_counter_over_both_stores_and_never_reused(bank):
    bank.insert("semantic", "a")
    bank.insert("episodic", "b")
    bank.delete("episodic", entry_id=2)
    assert bank.insert("episodic", "b").after.id == 3


def test_time_of_an_operation_comes_before_the_time_of_the_chunk(bank):
    dated = bank.apply(Operation("insert", "episodic", "a", timestamp="2023-01-01"), timestamp="2024-01-01")
    undated = bank.apply(Operation("insert", "episodic", "b"), timestamp="2024-01-01 09:30")
    assert (dated.after.timestamp, undated.after.timestamp) == ("2023-01-01", "2024-01-01T09:30")


def test_update_keeps_id_creation_step_and_old_time_and_adds_sources(bank):
    bank.insert("semantic", "a", timestamp="2024-05-08", sources=("D1:1",))
    bank.step = 3
    result = bank.update("semantic", "b", entry_id=1, sources=("D2:1", "D1:1"))
    assert result.before == Entry(1, "semantic", "a", "2024-05-08", ("D1:1",), 0, 0)
    assert result.after == Entry(1, "semantic", "b", "2024-05-08", ("D1:1", "D2:1"), 0, 3)
    assert bank.entries() == [result.after]


def test_sources_of_an_entry_rewritten_for_ever_are_the_last_ones(bank):
    bank.insert("semantic", "a", sources=[f"D1:{i}" for i in range(MAX_SOURCES)])
    after = bank.update("semantic", "b", entry_id=1, sources=["D2:1"]).after
    assert len(after.sources) == MAX_SOURCES
    assert (after.sources[0], after.sources[-1]) == ("D1:1", "D2:1")


def test_core_is_rewritten_by_update_and_cleared_by_delete(bank):
    assert bank.update("core", "Ann is a nurse.").before is None
    result = bank.update("core", "Ann is a doctor.", entry_id=77)
    assert (result.before.text, result.after.text, result.after.id) == ("Ann is a nurse.", "Ann is a doctor.", 0)
    assert bank.core == "Ann is a doctor."
    assert bank.delete("core").before.text == "Ann is a doctor."
    assert bank.core == ""


def test_store_left_open_means_the_store_of_the_entry(bank):
    bank.insert("episodic", "a")
    assert bank.update("", "b", entry_id=1).after.store == "episodic"
    assert bank.delete("", entry_id=1).ok
    assert bank.entries() == []


@pytest.mark.parametrize(
    ("operation", "code", "words"),
    [
        (Operation("invalid", text="no tool call"), "parse", "no tool call"),
        (Operation("merge", "semantic", "x"), "parse", "unknown operation 'merge'"),
        (Operation("insert", "facts", "x"), "unknown_store", "use one of core, episodic, semantic"),
        (Operation("insert", "", "x"), "unknown_store", "no store ''"),
        (Operation("update", "facts", "x", 1), "unknown_store", "facts"),
        (Operation("search", "facts", "x"), "unknown_store", "facts"),
        (Operation("insert", "core", "x"), "wrong_store", "update"),
        (Operation("search", "core", "x"), "wrong_store", "episodic and semantic"),
        (Operation("update", "semantic", "x", 9), "unknown_id", "no entry 9"),
        (Operation("update", "semantic", "x"), "unknown_id", "needs the id"),
        (Operation("update", "episodic", "x", 1), "unknown_id", "it is in semantic"),
        (Operation("delete", "semantic", entry_id=0), "unknown_id", "no entry 0"),
        (Operation("delete", "", entry_id=-1), "unknown_id", "no entry -1"),
        (Operation("delete", "", entry_id=2**64), "unknown_id", "no entry"),
        (Operation("delete", "", entry_id=10**5000), "unknown_id", "no entry"),
        (Operation("delete", "core"), "unknown_id", "core is empty"),
        (Operation("insert", "semantic", " \n"), "empty_text", "empty"),
        (Operation("update", "core", ""), "empty_text", "empty"),
        (Operation("search", text=" "), "empty_text", "query"),
        (Operation("insert", "semantic", " Ann likes tea. "), "duplicate", "entry 1 of semantic"),
        (Operation("update", "semantic", "Ann likes tea.", 2), "duplicate", "entry 1 of semantic"),
        (Operation("insert", "semantic", "cut \ud83d"), "parse", "character 4"),
        (Operation("insert", "semantic", "x", timestamp="yesterday"), "parse", "ISO 8601"),
        (Operation("insert", "semantic", "x", timestamp="2024-13-01"), "parse", "ISO 8601"),
        (Operation("insert", "semantic", "x", timestamp="2024-05-08T25:00"), "parse", "ISO 8601"),
        (Operation("insert", "\ud83d", "x"), "unknown_store", "no store"),
        (Operation("invalid", text="\ud83d"), "parse", "\\ud83d"),
    ],
)
def test_mistakes_of_a_model_fail_with_a_reason_and_change_nothing(bank, operation, code, words):
    bank.insert("semantic", "Ann likes tea.")
    bank.insert("semantic", "Ann likes cats.")
    before = bank.state_hash()
    result = bank.apply(operation)
    assert (result.status, result.code) == ("failed", code)
    assert words in result.reason
    result.reason.encode()
    assert bank.state_hash() == before
    row = bank.journal()[-1]
    assert (row.status, row.code, row.reason, row.before, row.after) == ("failed", code, result.reason, None, None)


def test_the_same_text_may_be_in_both_stores_and_come_back_after_deletion(bank):
    assert bank.insert("semantic", "a").ok
    assert bank.insert("episodic", "a").ok
    assert bank.delete("semantic", entry_id=1).ok
    assert bank.insert("semantic", "a").ok


def test_rewriting_an_entry_or_core_with_its_own_text_is_no_duplicate(bank):
    bank.insert("semantic", "a")
    bank.update("core", "b")
    assert bank.update("semantic", "a", entry_id=1, timestamp="2024-05-08").after.timestamp == "2024-05-08"
    assert bank.update("core", "b").ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda bank: bank.apply("insert"), "expected an Operation, got str"),
        (lambda bank: bank.insert("semantic", None), "operation.text: expected a str, got NoneType"),
        (lambda bank: bank.delete("semantic", entry_id="1"), "operation.entry_id: expected an int or None, got str"),
        (lambda bank: bank.apply(Operation("search", text="a", k=2.0)), "operation.k: expected an int, got float"),
        (lambda bank: bank.insert("semantic", "a", sources="D1:1"), "sources: expected a sequence"),
        (lambda bank: bank.insert("semantic", "a", sources=[1]), "sources: expected a sequence"),
        (lambda bank: bank.apply(Operation("noop"), timestamp=None), "timestamp: expected a str"),
        (lambda bank: bank.apply(Operation("noop"), timestamp="8 May"), "expected ISO 8601"),
        (lambda bank: bank.entries("core"), "store 'core': expected one of episodic, semantic"),
        (lambda bank: bank.entries(newest=-1), "newest=-1"),
        (lambda bank: bank.search("a", store="facts"), "store 'facts'"),
        (lambda bank: bank.tokens("facts"), "store 'facts'"),
        (lambda bank: bank.undo("1"), "expected a step"),
        (lambda bank: bank.undo(1), "expected -1 to 0"),
        (lambda bank: setattr(bank, "step", True), "expected an int, got bool"),
        (lambda bank: setattr(bank, "step", -1), "step -1"),
        (lambda bank: MemoryBank(budget=100), "expected a Budget, got int"),
        (lambda bank: MemoryBank(count_tokens=100), "expected a function"),
    ],
)
def test_errors_of_a_programmer_raise_one_line(bank, call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(bank)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert bank.journal() == []


# Budget


def test_budget_is_hard_and_says_by_how_much():
    bank = MemoryBank(budget=Budget(core=3, semantic=8, total=10))
    assert bank.insert("semantic", "one two three four five six").ok
    failed = bank.insert("semantic", "one two three four five")
    assert (failed.code, failed.ok) == ("over_budget", False)
    assert "over the semantic budget by 3 tokens (6 of 8 used, 5 more asked for)" in failed.reason
    assert bank.insert("episodic", "one two three four").ok  # 10 of 10 in total
    assert "over the total budget by 1 tokens" in bank.update("core", "one").reason
    assert "over the core budget by 1 tokens" in bank.update("core", "one two three four").reason
    assert bank.budget_left() == {"core": 3, "episodic": None, "semantic": 2, "total": 0}


def test_update_counts_the_difference_only():
    bank = MemoryBank(budget=Budget(semantic=4))
    bank.insert("semantic", "one two three four")
    assert bank.update("semantic", "five six seven eight", entry_id=1).ok
    assert not bank.update("semantic", "one two three four five", entry_id=1).ok
    assert bank.update("semantic", "one", entry_id=1).ok
    assert bank.budget_left()["semantic"] == 3


def test_a_bank_opened_over_its_budget_may_shrink_but_not_grow(tmp_path):
    path = tmp_path / "bank.db"
    with MemoryBank(path) as bank:
        bank.insert("semantic", "one two three four five six")
    with MemoryBank(path, Budget(semantic=2)) as bank:
        assert bank.budget_left()["semantic"] == 0
        assert bank.update("semantic", "one two three four", entry_id=1).ok
        assert bank.insert("semantic", "one").code == "over_budget"


def test_tokens_follow_every_change_in_the_unit_of_the_counter():
    bank = MemoryBank(budget=UNLIMITED, count_tokens=len)
    bank.update("core", "abc")
    bank.insert("semantic", "defgh")
    bank.insert("episodic", "ij")
    bank.update("episodic", "ijkl", entry_id=2)
    assert {store: bank.tokens(store) for store in ("core", "episodic", "semantic")} == {
        "core": 3,
        "episodic": 4,
        "semantic": 5,
    }
    bank.delete("semantic", entry_id=1)
    bank.delete("core")
    assert bank.tokens() == 4


def test_times_and_sources_are_outside_the_budget():
    bank = MemoryBank(budget=Budget(semantic=1))
    assert bank.insert("semantic", "one", timestamp="2024-05-08T13:56", sources=("D1:1",)).ok


# Search and reading


def test_search_scores_are_bm25():
    bank = MemoryBank()
    texts = ["tea tea water", "coffee", "milk and sugar and honey", "water", "bread"]
    for text in texts:
        bank.insert("semantic", text)

    def bm25(frequency, length, having):
        idf = math.log((5 - having + 0.5) / (having + 0.5))
        return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / (11 / 5)))

    found = bank.search_scored("tea or water?")
    assert [entry.id for entry, _ in found] == [1, 4]
    assert [score for _, score in found] == pytest.approx([bm25(2, 3, 1) + bm25(1, 3, 2), bm25(1, 1, 2)])


def test_search_stems_and_ignores_case_and_accents(bank):
    bank.insert("semantic", "Anna visited several cafés")
    bank.insert("semantic", "nothing of the kind")
    for query in ("VISITS", "cafe", "cafe\u0301s", "Café?"):
        assert [entry.id for entry in bank.search(query)] == [1], query


def test_equal_scores_are_in_the_order_of_ids(bank):
    for letter in "edcba":
        bank.insert("semantic", f"tea {letter}")
    assert [entry.id for entry in bank.search("tea", k=3)] == [1, 2, 3]


def test_search_can_be_limited_to_one_store(bank):
    bank.insert("semantic", "tea a")
    bank.insert("episodic", "tea b")
    bank.insert("semantic", "tea c")
    assert [entry.id for entry in bank.search("tea", store="semantic")] == [1, 3]
    assert [entry.id for entry in bank.search("tea", store="episodic")] == [2]
    assert [entry.id for entry in bank.search("tea")] == [1, 2, 3]


def test_search_sees_updates_and_deletions_and_never_core(bank):
    bank.update("core", "tea")
    bank.insert("semantic", "tea")
    bank.update("semantic", "milk", entry_id=1)
    assert bank.search("tea") == []
    assert [entry.id for entry in bank.search("milk")] == [1]
    bank.delete("semantic", entry_id=1)
    assert bank.search("milk") == []


@pytest.mark.parametrize(
    "query",
    ["", " ", '"', '""', "\0", "tea\0milk", "\ud800", "NEAR(tea milk)", "tea AND", "NOT", "*", "^tea", "text:tea", "-"]
    + ["(", "tea*", "_", "\u0301", "½", "x" * 100_000, "tea " * 25_000, '"tea', "{a b}: c", ";--", "tea OR OR"],
)
def test_no_query_raises(bank, query):
    bank.insert("semantic", "tea and milk")
    bank.insert("semantic", "water")
    found = bank.search(query)
    assert [entry.id for entry in found] == ([1] if "tea" in query else [])
    assert bank.apply(Operation("search", text=query)).found == tuple(found)


def test_words_of_operators_are_words(bank):
    bank.insert("semantic", "neither near nor far")
    assert [entry.id for entry in bank.search("NEAR(")] == [1]


def test_a_long_query_is_cut_to_its_first_distinct_words():
    words = [f"w{i}" for i in range(MAX_TERMS + 1)]
    assert match_expression(" ".join(words + words)) == " OR ".join(f'"{word}"' for word in words[:-1])
    assert match_expression("Tea, tea - TEA!") == '"tea"'


@pytest.mark.parametrize(("k", "count"), [(-5, 1), (0, 1), (1, 1), (7, 7), (10**30, MAX_RESULTS)])
def test_number_of_results_a_model_asks_for_is_clamped(bank, k, count):
    for number in range(MAX_RESULTS + 5):
        bank.insert("semantic", f"tea {number}")
    result = bank.apply(Operation("search", text="tea", k=k))
    assert len(result.found) == count


def test_number_of_results_of_a_reader_is_not_clamped(bank):
    for number in range(MAX_RESULTS + 5):
        bank.insert("semantic", f"tea {number}")
    assert len(bank.search("tea", k=10**30)) == MAX_RESULTS + 5
    assert bank.search("tea", k=0) == []


def test_newest_are_the_last_written_in_the_order_of_ids(bank):
    for step, (store, text) in enumerate([("semantic", "a"), ("episodic", "b"), ("semantic", "c"), ("semantic", "d")]):
        bank.step = step
        bank.insert(store, text)
    bank.step = 9
    bank.update("semantic", "A", entry_id=1)
    assert [entry.id for entry in bank.entries(newest=2)] == [1, 4]
    assert [entry.id for entry in bank.entries("episodic", newest=2)] == [2]
    assert [entry.id for entry in bank.entries("semantic", newest=2)] == [1, 4]
    assert bank.entries(newest=0) == []
    assert [entry.id for entry in bank.entries(newest=10**30)] == [1, 2, 3, 4]


@pytest.mark.parametrize("entry_id", [0, -1, 2, 2**63, 10**30])
def test_get_of_an_unknown_id_is_none(bank, entry_id):
    bank.update("core", "core is no entry")
    bank.insert("semantic", "a")
    assert bank.get(entry_id) is None


# Journal


def test_journal_has_one_row_per_operation_failed_ones_included():
    rows = filled().journal()
    assert [(row.step, row.operation.kind, row.status) for row in rows] == [
        (0, "update", "ok"),
        (0, "insert", "ok"),
        (0, "insert", "ok"),
        (1, "update", "ok"),
        (1, "delete", "ok"),
        (1, "insert", "failed"),
        (2, "delete", "ok"),
        (2, "insert", "ok"),
        (2, "search", "ok"),
        (2, "noop", "ok"),
    ]
    assert (rows[3].before.text, rows[3].after.text) == ("Ann likes tea.", "Ann likes coffee.")
    assert (rows[4].before.text, rows[4].after) == ("Ann moved to Oslo.", None)
    assert rows[8].found == (1,)
    assert rows[0].operation == Operation("update", "core", "Ann is a nurse.", timestamp="2024-01-01")


def test_journal_since_a_step_leaves_earlier_rows_out():
    assert {row.step for row in filled().journal(since_step=1)} == {1, 2}


def test_journal_keeps_what_the_model_wrote_even_half_characters(bank):
    operation = Operation("insert", "sem\ud83d", "a\0\ud83d", 5, "\udfff", -3)
    bank.apply(operation)
    assert bank.journal()[0].operation == operation


def test_journal_clamps_numbers_no_database_holds(bank):
    bank.apply(Operation("delete", "semantic", entry_id=-(10**30), k=10**5000))
    assert bank.journal()[0].operation == Operation("delete", "semantic", entry_id=-(2**63 - 1), k=2**63 - 1)


def test_reading_is_not_journaled(bank):
    bank.insert("semantic", "tea")
    bank.search("tea")
    bank.entries()
    assert len(bank.journal()) == 1


def test_step_does_not_go_back_behind_the_journal(bank):
    bank.step = 3
    bank.step = 2  # nothing was done at 3
    bank.noop()
    with pytest.raises(ValueError, match="the journal is at step 2"):
        bank.step = 1


# Undo, copies, files


def test_undo_restores_every_earlier_step_and_the_id_counter():
    bank, hashes, ids = MemoryBank(), [], []
    for step in range(5):
        bank.step = step
        bank.update("core", f"core {step}")
        ids.append(bank.insert("semantic", f"fact {step}").after.id)
        bank.update("semantic", f"newer {step}", entry_id=ids[-1])
        if step % 2:
            bank.delete("semantic", entry_id=ids[-2])
        hashes.append((bank.state_hash(), bank.tokens(), len(bank.journal())))
    for step in (4, 3, 1, 0):
        bank.undo(step)
        assert (bank.state_hash(), bank.tokens(), len(bank.journal())) == hashes[step]
        assert bank.step == step
    assert bank.insert("semantic", "again").after.id == ids[1]
    assert [entry.text for entry in bank.search("newer")] == ["newer 0"]
    bank.undo(-1)
    assert (bank.entries(), bank.core, bank.journal(), bank.tokens()) == ([], "", [], 0)


def test_state_hash_sees_every_field_and_not_the_journal():
    def bank_of(text="a", store="semantic", timestamp="", sources=(), step=0, core=""):
        bank = MemoryBank()
        bank.step = step
        bank.insert(store, text, timestamp=timestamp, sources=sources)
        if core:
            bank.update("core", core)
        return bank

    variants = [
        bank_of(),
        bank_of(text="b"),
        bank_of(store="episodic"),
        bank_of(timestamp="2024-05-08"),
        bank_of(sources=["D1:1"]),
        bank_of(step=1),
        bank_of(core="c"),
    ]
    assert len({bank.state_hash() for bank in variants}) == len(variants)
    variants[0].noop()
    assert variants[0].state_hash() == bank_of().state_hash()


def test_fork_is_an_independent_copy_with_journal_step_and_budget():
    bank = filled()
    bank.step = 5
    fork = bank.fork()
    assert (fork.state_hash(), fork.journal(), fork.step) == (bank.state_hash(), bank.journal(), 5)
    assert (fork.tokens(), fork.budget) == (bank.tokens(), bank.budget)
    fork.insert("semantic", "only in the fork")
    bank.delete("semantic", entry_id=1)
    assert [entry.text for entry in fork.search("fork")] == ["only in the fork"]
    assert bank.search("fork") == []
    assert fork.get(1).text == "Ann likes coffee."
    assert bank.insert("semantic", "x").after.id == fork.entries()[-1].id


def test_snapshot_restores_state_journal_totals_and_counter():
    bank = filled()
    saved, state, journal = bank.snapshot(), bank.state_hash(), bank.journal()
    bank.step = 8
    bank.insert("semantic", "later")
    bank.restore(saved)
    assert (bank.state_hash(), bank.journal(), bank.step) == (state, journal, 2)
    assert bank.tokens() == MemoryBank.tokens(filled())
    assert bank.insert("semantic", "later").after.id == 4


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"SQLite?", lambda data: data[:5000], lambda d: 7])
def test_a_damaged_snapshot_is_refused_and_changes_nothing(damage):
    bank = filled()
    state = bank.state_hash()
    with pytest.raises((TypeError, ValueError), match="snapshot"):
        bank.restore(damage(bank.snapshot()))
    assert bank.state_hash() == state


def test_export_and_import_lose_nothing(tmp_path):
    bank = filled()
    bank.insert("semantic", "line\u2028break \0 \u00e9 'quotes' \"more\"")
    bank.apply(Operation("insert", "semantic", "\ud83d"))
    bank.export_jsonl(tmp_path / "bank.jsonl")
    copy = MemoryBank.import_jsonl(tmp_path / "bank.jsonl", budget=Budget(semantic=99))
    assert (copy.state_hash(), copy.journal(), copy.step) == (bank.state_hash(), bank.journal(), bank.step)
    assert copy.budget_left()["semantic"] == 99 - bank.tokens("semantic")
    assert [entry.id for entry in copy.search("coffee")] == [1]
    assert copy.insert("semantic", "next").after.id == bank.insert("semantic", "next").after.id
    copy.undo(1)
    assert copy.core == "Ann is a nurse."


def test_export_is_one_json_object_per_line(tmp_path):
    filled().export_jsonl(tmp_path / "bank.jsonl")
    header, *rows = [json.loads(line) for line in (tmp_path / "bank.jsonl").read_text().splitlines()]
    assert header == {"memgym_bank": 1}
    assert [next(iter(row)) for row in rows] == ["entry"] * 2 + ["journal"] * 10
    assert rows[0]["entry"]["text"] == "Ann likes coffee."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no bank export"),
        (["{}"], "no bank export"),
        (["not json"], "no bank export"),
        (['{"memgym_bank": 2}'], "upgrade memgym"),
        (['{"memgym_bank": 1}', '{"entry": {"id": 1}}'], "line 2"),
        (['{"memgym_bank": 1}', '{"page": {}}'], "line 2"),
        (['{"memgym_bank": 1}', "[]"], "line 2"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path, lines, message):
    (tmp_path / "bank.jsonl").write_text("".join(line + "\n" for line in lines))
    with pytest.raises(ValueError, match=message):
        MemoryBank.import_jsonl(tmp_path / "bank.jsonl")


def test_import_of_an_impossible_bank_is_refused(tmp_path):
    filled().export_jsonl(tmp_path / "bank.jsonl")
    lines = (tmp_path / "bank.jsonl").read_text().splitlines()
    (tmp_path / "twice.jsonl").write_text("\n".join([*lines[:2], lines[1], ""]))
    with pytest.raises(ValueError, match="no memory bank"):
        MemoryBank.import_jsonl(tmp_path / "twice.jsonl")


def test_import_needs_an_empty_bank(tmp_path):
    filled().export_jsonl(tmp_path / "bank.jsonl")
    MemoryBank.import_jsonl(tmp_path / "bank.jsonl", path=tmp_path / "bank.db").close()
    with pytest.raises(ValueError, match="already holds something"):
        MemoryBank.import_jsonl(tmp_path / "bank.jsonl", path=tmp_path / "bank.db")
    with MemoryBank(tmp_path / "bank.db") as bank:  # the refusal has unlocked it
        assert bank.state_hash() == filled().state_hash()


def test_a_file_keeps_the_bank(tmp_path):
    path = tmp_path / "bank.db"
    with MemoryBank(path) as bank:
        bank.restore(filled().snapshot())
        bank.insert("semantic", "one more")
        expected = (bank.state_hash(), bank.journal(), bank.tokens())
    assert [file.name for file in tmp_path.iterdir()] == ["bank.db"]
    with MemoryBank(str(path)) as bank:
        assert (bank.state_hash(), bank.journal(), bank.tokens()) == expected
        assert bank.step == 2
        assert bank.insert("semantic", "and another").after.id == 5
        fork = bank.fork()
    assert fork.insert("semantic", "the fork outlives its file").ok


def test_a_file_has_one_user_at_a_time(tmp_path):
    with MemoryBank(tmp_path / "bank.db"), pytest.raises(ValueError, match="one user at a time"):
        MemoryBank(tmp_path / "bank.db")


def other_database(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (id)")
    database.close()


def newer_bank(path):
    MemoryBank(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("a shopping list, long enough to be no empty file"), "is not a memgym bank"),
        (other_database, "not a memgym bank"),
        (newer_bank, "bank schema 2, this memgym reads up to 1; upgrade memgym"),
        (lambda path: path.mkdir(), "cannot open bank"),
    ],
)
def test_a_file_that_is_no_bank_is_refused(tmp_path, make, message):
    path = tmp_path / "bank.db"
    make(path)
    with pytest.raises(ValueError, match=message) as caught:
        MemoryBank(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "a\0b", 3, None])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises((TypeError, ValueError), match="bank path"):
        MemoryBank(path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="check that its folder exists"):
        MemoryBank(tmp_path / "absent" / "bank.db")


def test_a_failure_inside_a_transaction_leaves_nothing_behind(bank):
    class FailingCounter(Exception):
        pass

    bank.insert("semantic", "a")
    state, journal = bank.state_hash(), bank.journal()
    database = bank._storage._database
    database.execute("CREATE TEMP TRIGGER fail BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'disk on fire'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk on fire"):
        bank.insert("semantic", "b")
    database.execute("DROP TRIGGER fail")
    assert (bank.state_hash(), bank.journal(), bank.search("b"), bank.tokens()) == (state, journal, [], 1)
    assert bank.insert("semantic", "b").after.id == 2


def test_cost_of_a_chunk_does_not_grow_with_the_bank():
    """Counts SQLite's virtual-machine instructions, so that no clock is needed."""
    bank, count = MemoryBank(), 0

    def tick():
        nonlocal count
        count += 1

    bank._storage._database.set_progress_handler(tick, 20)

    def cost_of_chunks(first, last):
        nonlocal count
        count = 0
        for step in range(first, last):
            bank.step = step
            bank.insert("semantic", f"fact number {step}")
            bank.insert("episodic", f"event number {step}")
            bank.update("semantic", f"newer fact number {step}", entry_id=2 * step + 1)
            bank.update("core", f"all about {step}", sources=[f"D{step}:1"])
            bank.entries(newest=5)
            bank.journal(since_step=step)
        return count

    early = cost_of_chunks(0, 100)
    cost_of_chunks(100, 1000)
    assert cost_of_chunks(1000, 1100) < 1.5 * early
