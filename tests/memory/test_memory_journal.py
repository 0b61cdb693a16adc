import json
import sqlite3

import pytest

from memgym.memory import Budget, MemoryBank, Operation


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


def test_the_journal_keeps_every_field_of_an_operation(tmp_path):
    operation = Operation("insert", "episodic", "Ann left.", None, "2024-05-08", 7, 2)
    bank = MemoryBank()
    bank.apply(operation)
    bank.export_jsonl(tmp_path / "bank.jsonl")
    for copy in (bank, bank.fork(), MemoryBank.import_jsonl(tmp_path / "bank.jsonl")):
        assert [row.operation for row in copy.journal()] == [operation]


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
    (tmp_path / "odd.jsonl").write_text("".join(line.replace('"id":1', '"id":"one"') + "\n" for line in lines))
    with pytest.raises(ValueError, match="no memory bank"):
        MemoryBank.import_jsonl(tmp_path / "odd.jsonl")


@pytest.mark.parametrize(("kept", "cut"), [(2, 0), (4, 0), (4, 9), (12, 1), (12, 9)])
def test_an_export_that_is_not_whole_is_refused(tmp_path, kept, cut):
    """Cut off at the end of a line, before its line break, or within it."""
    filled().export_jsonl(tmp_path / "bank.jsonl")
    whole = "".join((tmp_path / "bank.jsonl").read_text().splitlines(keepends=True)[:kept])
    (tmp_path / "bank.jsonl").write_text(whole[: len(whole) - cut])
    with pytest.raises(ValueError, match="entries and journal disagree"):
        MemoryBank.import_jsonl(tmp_path / "bank.jsonl")


def test_an_export_that_was_edited_is_refused(tmp_path):
    filled().export_jsonl(tmp_path / "bank.jsonl")
    header, first, *rest = (tmp_path / "bank.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "bank.jsonl").write_text("".join([header, first.replace("coffee", "tea"), *rest]))
    with pytest.raises(ValueError, match="entries and journal disagree"):
        MemoryBank.import_jsonl(tmp_path / "bank.jsonl")


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


def test_an_id_deleted_before_the_file_was_closed_is_not_given_again(tmp_path):
    with MemoryBank(tmp_path / "bank.db") as bank:
        bank.insert("semantic", "a")
        bank.delete("semantic", entry_id=1)
    with MemoryBank(tmp_path / "bank.db") as bank:
        assert bank.insert("semantic", "a").after.id == 2


def test_snapshot_of_a_file_opens_in_memory_and_the_other_way_round(tmp_path):
    with MemoryBank(tmp_path / "bank.db") as bank:
        bank.insert("semantic", "tea")
        copy = MemoryBank()
        copy.restore(bank.snapshot())
        copy.insert("semantic", "more tea")
        bank.restore(copy.snapshot())
    with MemoryBank(tmp_path / "bank.db") as bank:
        assert bank.state_hash() == copy.state_hash()
        assert [entry.id for entry in bank.search("tea")] == [1, 2]


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
