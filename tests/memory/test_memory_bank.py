import sqlite3

import pytest

from memgym.memory import UNLIMITED, Budget, Entry, MemoryBank, Operation
from memgym.memory.validation import MAX_SOURCES


@pytest.fixture
def bank():
    with MemoryBank() as bank:
        yield bank


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
        (Operation("insert", "semantic", "x", timestamp="2023-02-31"), "parse", "ISO 8601"),
        (Operation("insert", "semantic", "x", timestamp="0000-01-01"), "parse", "ISO 8601"),
        (Operation("insert", "semantic", "x", timestamp="2024-05-08T13:56+99:99"), "parse", "ISO 8601"),
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


def test_a_failure_inside_a_transaction_leaves_nothing_behind(bank):
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
