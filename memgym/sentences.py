"""A line of a dialogue, cut into its sentences: entries that say one thing each."""

from __future__ import annotations

import re

from memgym.memory.budget import count_lexical_tokens

LEAST = 10  # lexical tokens; "Wow, that's great!" is no entry of its own

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, by their closing marks; never empty."""
    return _SENTENCE_END.split(text.strip())


def split_speaker(line: str) -> tuple[str, str]:
    """Speaker of a line and what is said, ("", line) where no name of one word and a colon stand first."""
    speaker, separator, said = line.partition(": ")
    return (speaker.strip(), said) if separator and " " not in speaker.strip() else ("", line)


def sentence_lines(line: str, least: int = LEAST) -> list[str]:
    """The line as one line per sentence, each with its speaker.

    Sentences of less than ``least`` lexical tokens go together with the next one, and the last one with the one before,
    so that a line is cut into lines of at least that length or not at all.
    """
    speaker, said = split_speaker(line)
    pieces: list[str] = []
    for sentence in split_sentences(said):
        if pieces and count_lexical_tokens(pieces[-1]) < least:
            pieces[-1] += f" {sentence}"
        else:
            pieces.append(sentence)
    if len(pieces) > 1 and count_lexical_tokens(pieces[-1]) < least:
        last = pieces.pop()
        pieces[-1] += f" {last}"
    return [f"{speaker}: {piece}" if speaker else piece for piece in pieces]
