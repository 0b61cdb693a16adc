"""Vectors are derived data: right after anything that changes a bank, and no loss when they are lost."""

import json
import math
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memgym.memory import MemoryBank
from tests.bag_of_words import WORDS, BagOfWords, bank_of, found, vectors_stored


def test_vectors_are_stored_normalised_for_entries_alone_and_removed_with_them():
    bank = bank_of("tea milk", "noon", retrieval="dense")
    bank.update("core", "tea")
    bank.search("tea")
    rows = bank._storage._database.execute("SELECT id, encoder, vector FROM vectors ORDER BY id").fetchall()
    assert [(id_, encoder, np.frombuffer(vector, "<f4").tolist()) for id_, encoder, vector in rows] == [
        (1, "words", pytest.approx([math.sqrt(0.5), 0, math.sqrt(0.5), 0, 0])),
        (2, "words", [0, 0, 0, 0, 1]),
    ]
    bank.delete("semantic", entry_id=2)
    bank.update("semantic", "water", entry_id=1)
    assert vectors_stored(bank) == 0
    assert found(bank, "water") == [("water", 1)]


def test_search_leaves_no_trace_in_state_and_journal():
    bank = bank_of("tea", "milk")
    before = (bank.state_hash(), bank.journal(), bank.step)
    bank.search("tea")
    assert (bank.state_hash(), bank.journal(), bank.step) == before


def test_a_fork_has_the_vectors_and_goes_its_own_way():
    bank = bank_of("tea", "milk")
    bank.search("tea")
    with bank.fork() as fork:
        encoder = fork._storage._encoder
        encoder.calls.clear()
        assert found(fork, "tea") == found(bank, "tea")
        assert encoder.encoded == ["tea"]  # the query
        fork.update("semantic", "water", entry_id=1)
        assert [text for text, _ in found(fork, "water")] == ["water", "milk"]
    assert [text for text, _ in found(bank, "tea")] == ["tea", "milk"]


def test_a_snapshot_brings_its_vectors_and_one_without_gets_them():
    bank, plain = bank_of("tea", "milk"), MemoryBank()
    plain.insert("semantic", "noon")
    bank.search("tea")
    saved = bank.snapshot()
    bank.restore(plain.snapshot())
    assert [text for text, _ in found(bank, "noon")] == ["noon"]
    bank._storage._encoder.calls.clear()
    bank.restore(saved)
    assert [text for text, _ in found(bank, "milk")] == ["milk", "tea"]
    assert bank._storage._encoder.encoded == ["milk"]
    plain.restore(saved)  # nor does a bank without an encoder mind them
    assert plain.state_hash() == bank.state_hash()


def test_undo_brings_back_the_vectors_of_the_old_texts():
    bank = bank_of("tea", "milk", retrieval="dense")
    before = found(bank, "tea")
    bank.step = 1
    bank.update("semantic", "water", entry_id=1)
    bank.delete("semantic", entry_id=2)
    assert found(bank, "water") == [("water", 1)]
    bank.undo(0)
    assert found(bank, "tea") == before


def test_an_export_holds_no_vectors_and_an_import_makes_them(tmp_path):
    bank = bank_of("tea", "milk")
    bank.search("tea")
    bank.export_jsonl(tmp_path / "bank.jsonl")
    kinds = [set(json.loads(line)) for line in (tmp_path / "bank.jsonl").read_text().splitlines()]
    assert kinds == [{"memgym_bank"}, {"entry"}, {"entry"}, {"journal"}, {"journal"}]
    with MemoryBank.import_jsonl(tmp_path / "bank.jsonl", encoder=BagOfWords()) as copy:
        assert found(copy, "milk") == found(bank, "milk")


def test_a_file_is_reopened_with_its_vectors(tmp_path):
    with bank_of("tea", "milk", path=tmp_path / "bank.db") as bank:
        before = found(bank, "tea")
    with MemoryBank(tmp_path / "bank.db", encoder=BagOfWords()) as bank:
        assert found(bank, "tea") == before
        assert bank._storage._encoder.encoded == ["tea"]  # the query


@pytest.mark.parametrize("other", [BagOfWords("other"), BagOfWords(words=WORDS[::-1][:3])])
def test_vectors_of_another_encoder_are_made_anew(tmp_path, other):
    with bank_of("noon tea", "milk", path=tmp_path / "bank.db", retrieval="dense") as bank:
        bank.search("tea")
    other.calls.clear()
    with MemoryBank(tmp_path / "bank.db", encoder=other, retrieval="dense") as bank:
        assert found(bank, "milk") == [("milk", 1), ("noon tea", 0)]
        assert other.encoded == ["noon tea", "milk", "milk"]
        assert vectors_stored(bank) == 2


def test_a_file_that_was_changed_without_an_encoder_is_searched_as_it_is(tmp_path):
    with bank_of("tea", "milk", "noon", path=tmp_path / "bank.db", retrieval="dense") as bank:
        bank.search("tea")
    with MemoryBank(tmp_path / "bank.db") as plain:
        plain.update("semantic", "water", entry_id=1)
        plain.delete("semantic", entry_id=2)
        plain.insert("semantic", "tea milk")
        assert vectors_stored(plain) == 1
    with MemoryBank(tmp_path / "bank.db", encoder=BagOfWords(), retrieval="dense") as bank:
        assert found(bank, "tea") == [("tea milk", 0.707107), ("water", 0), ("noon", 0)]
        assert bank._storage._encoder.encoded == ["water", "tea milk", "tea"]


KILLED = """
import os, signal, sys
from memgym.memory import MemoryBank

class Deadly:
    name, dimension = "words", 5

    def encode(self, texts):
        os.kill(os.getpid(), signal.SIGKILL)

bank = MemoryBank(sys.argv[1], encoder=Deadly())
bank.insert("semantic", "tea")
bank.insert("semantic", "milk")
bank.search("tea")
"""


def test_a_process_killed_while_it_encodes_loses_nothing_but_vectors(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "bank.db")], cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    with MemoryBank(tmp_path / "bank.db", encoder=BagOfWords(), retrieval="dense") as bank:
        assert [row.operation.kind for row in bank.journal()] == ["insert", "insert"]
        assert found(bank, "milk") == [("milk", 1), ("tea", 0)]


def test_vectors_that_cannot_be_stored_are_made_again():
    bank = bank_of("tea", "milk")
    bank.search("tea")
    bank.insert("semantic", "noon")
    database = bank._storage._database
    database.execute("CREATE TEMP TRIGGER fail BEFORE INSERT ON vectors BEGIN SELECT RAISE(ABORT, 'disk on fire'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk on fire"):
        bank.search("noon")
    database.execute("DROP TRIGGER fail")
    assert [text for text, _ in found(bank, "noon")] == ["noon", "tea", "milk"]
    assert vectors_stored(bank) == 3


def change_at_random(bank, rng, number):
    text = " ".join(rng.choices(WORDS, k=rng.randrange(1, 5))) + f" {number}"
    match rng.randrange(8):
        case 0:
            bank.delete("", entry_id=rng.randrange(1, number + 2))
        case 1 | 2:
            bank.update("", text, entry_id=rng.randrange(1, number + 2))
        case 3:
            bank.undo(rng.randrange(bank.step + 1))
        case 4:
            bank.restore(bank.snapshot())
        case _:
            bank.insert(rng.choice(["episodic", "semantic"]), text)
    bank.step += rng.randrange(2)


@pytest.mark.parametrize("retrieval", ["dense", "hybrid"])
@pytest.mark.parametrize("seed", range(10))
def test_a_bank_with_any_history_is_searched_like_a_new_one(tmp_path, seed, retrieval):
    rng = random.Random(seed)
    encoder = BagOfWords()
    bank = MemoryBank(encoder=encoder, retrieval=retrieval)
    for number in range(40):
        change_at_random(bank, rng, number)
        if rng.random() < 0.5:
            query = " ".join(rng.choices([*WORDS, "3", "nowhere"], k=rng.randrange(1, 4)))
            store, k = rng.choice([None, "episodic", "semantic"]), rng.choice([1, 3, 100])
            bank.export_jsonl(tmp_path / "bank.jsonl")
            with (
                MemoryBank.import_jsonl(tmp_path / "bank.jsonl", encoder=encoder, retrieval=retrieval) as new,
                bank.fork() as fork,
            ):
                expected = new.search_scored(query, store=store, k=k)
                assert fork.search_scored(query, store=store, k=k) == expected
                assert bank.search_scored(query, store=store, k=k) == expected
