"""A line of a dialogue, cut into its sentences: entries that say one thing each."""

from __future__ import annotations

import re

from memgym.memory.budget import count_lexical_tokens

LEAST = 10  # lexical tokens; "Wow, that's great!" is no entry of its own

_SENTENCE_END = re.compile(r"""(?:(?<=[.!?…])|(?<=[.!?…]["'”’)]))\s+""")
_SPEAKER = re.compile(r"(?P<name>\S+|[A-Z]\S* [A-Z]\S*): (?P<said>.*)", re.DOTALL)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, by their closing marks; never empty."""
    return _SENTENCE_END.split(text.strip())


def split_speaker(line: str) -> tuple[str, str]:
    """Speaker of a line and what is said; ("", line) where no name stands first: a word, or two with capitals."""
    match = _SPEAKER.fullmatch(line)
    return (match["name"], match["said"]) if match else ("", line)


def sentence_lines(speaker: str, said: str) -> list[str]:
    """What is said as one line per sentence, each with its speaker, if there is one.

    Sentences of less than ``LEAST`` lexical tokens go together with the next one, and the last one with the one before,
    so that lines are of at least that length, or there is only one.
    """
    pieces: list[str] = []
    for sentence in split_sentences(said):
        if pieces and count_lexical_tokens(pieces[-1]) < LEAST:
            pieces[-1] += f" {sentence}"
        else:
            pieces.append(sentence)
    if len(pieces) > 1 and count_lexical_tokens(pieces[-1]) < LEAST:
        last = pieces.pop()
        pieces[-1] += f" {last}"
    return [f"{speaker}: {piece}" if speaker else piece for piece in pieces]
