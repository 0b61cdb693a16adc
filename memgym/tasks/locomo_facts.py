"""LoCoMo's own annotations of what is worth remembering: third-person statements with the turns they come from.

The file calls them ``observation``. They were written by a language model and are no gold: they are part of no episode
and seen by no policy. They serve as a teacher that needs no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memgym.tasks.episode import GoldMemory, Turn
from memgym.tasks.locomo import read_sessions, resolve_evidence
from memgym.tasks.locomo_file import field, read_records


def read_annotated_facts(path: str | Path | None = None) -> dict[str, tuple[GoldMemory, ...]]:
    """The annotated facts of every conversation, in the order of the turns they come from.

    Statements that name no turn of the conversation are left out.

    Args:
        path: As for ``LoCoMo``.

    Returns:
        Conversation id -> facts; the timestamp of a fact is that of its first turn.

    Raises:
        FileNotFoundError: No file there.
        ValueError: The file has another schema, or no annotations.
    """
    records, where, _ = read_records(path)
    return {record["sample_id"]: _facts(record, f"{where} {record['sample_id']}") for record in records}


def _facts(record: Mapping[str, Any], where: str) -> tuple[GoldMemory, ...]:
    turns = {
        turn.id: turn
        for session in read_sessions(field(record, "conversation", dict, where), where)
        for turn in session
    }
    order = {id_: number for number, id_ in enumerate(turns)}
    facts = [
        fact
        for session in field(record, "observation", dict, where).values()
        for statements in (session or {}).values()
        for statement in statements
        if (fact := _fact(statement, turns, where))
    ]
    return tuple(sorted(facts, key=lambda fact: order[fact.turn_ids[0]]))


def _fact(statement: Any, turns: Mapping[str, Turn], where: str) -> GoldMemory | None:
    """One ``[text, id or ids]``; None where no id is a turn's."""
    if not (isinstance(statement, list) and len(statement) == 2 and isinstance(statement[0], str)):
        raise ValueError(f"{where}: observation {statement!r}: expected [text, turn id]: this is not the LoCoMo schema")
    text, named = statement
    ids, _ = resolve_evidence([named] if isinstance(named, str) else named, set(turns))
    return GoldMemory(" ".join(text.split()), ids, turns[ids[0]].timestamp) if ids else None
