"""MemLoRA's update prompt: a new fact and the notes that resemble it."""

from __future__ import annotations

from collections.abc import Sequence

from agents.facts import Note
from agents.prompts.chat import spoken_date

SYSTEM = {
    # For a small model that learns the rest from examples.
    "terse": "What does the new fact do to the notes? ADD, UPDATE n words, DELETE n, or NONE.",
    # For a model that follows instructions, such as a teacher.
    "full": """\
You keep the notes of a long conversation up to date. You see a few numbered notes and a new fact. Reply with one of
ADD, if no note is about the same thing;
UPDATE and the number of a note, then its whole new wording, if the fact adds to the note or replaces what it says; \
mention what used to hold if somebody may ask;
DELETE and the number of a note, if the fact takes back what the note says and puts nothing in its place;
NONE, if a note says it already.
Write nothing else.

With the notes
1 Mina has a cat.
2 Mina works at the harbour.
and the new fact
Mina's cat is called Fig.
you would reply
UPDATE 1 Mina has a cat called Fig.""",
}


def user_text(fact: str, notes: Sequence[Note], timestamp: str) -> str:
    """The notes by number, then the fact with its day, if that is known."""
    day = f" ({spoken_date(timestamp)})" if timestamp else ""
    return "\n".join([*(f"{number} {note.text}" for number, note in enumerate(notes, start=1)), f"New{day}: {fact}"])
