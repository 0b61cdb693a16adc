"""A killed process loses nothing that it was told is stored."""

import subprocess
import sys
from pathlib import Path

import pytest

from memgym.memory import MemoryBank

WRITER = """
import sys
from memgym.memory import MemoryBank

bank = MemoryBank(sys.argv[1])
for step in range(100_000):
    bank.step = step
    match step % 4:
        case 0:
            bank.insert("semantic", f"fact {step}")
        case 1:
            bank.update("core", f"all about {step}")
        case 2:
            bank.update("semantic", f"fact {step}", entry_id=bank.entries()[-1].id)
        case 3:
            if step % 8 == 3:
                bank.delete("semantic", entry_id=bank.entries()[0].id)
            else:
                bank.insert("core", "refused")
    print(bank.state_hash(), flush=True)
"""


def state_of(journal):
    """Core and entries as the journal tells them."""
    entries = {}
    for row in journal:
        if row.before:
            assert entries.pop(row.before.id) == row.before
        if row.after:
            entries[row.after.id] = row.after
    core = entries.pop(0, None)
    return core.text if core else "", [entries[entry_id] for entry_id in sorted(entries)]


@pytest.mark.parametrize("acknowledged", [1, 8, 33])
def test_a_killed_writer_loses_no_acknowledged_operation(tmp_path, acknowledged):
    path = tmp_path / "bank.db"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as writer:
        hashes = [writer.stdout.readline().strip() for _ in range(acknowledged)]
        writer.kill()
        hashes += writer.stdout.read().split()  # written before the signal arrived
    assert all(len(state) == 64 for state in hashes)
    with MemoryBank(path) as bank:
        journal = bank.journal()
        assert len(hashes) <= len(journal) <= len(hashes) + 1  # at most one was stored and not yet acknowledged
        assert [row.step for row in journal] == list(range(len(journal)))
        assert (bank.core, bank.entries()) == state_of(journal)
        bank.undo(len(hashes) - 1)
        assert bank.state_hash() == hashes[-1]
        assert bank.insert("semantic", "life goes on").ok
