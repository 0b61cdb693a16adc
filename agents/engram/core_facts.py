"""A memory's ``core`` paragraph as facts, so that a model can know it without being shown it.

edit = write_facts(model, tokenizer, core_facts(bank.core))
...
edit.undo(model)  # before the next paragraph is written
"""

from __future__ import annotations

import re

from agents.engram.facts import Fact

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def core_facts(paragraph: str, *, words: int = 3) -> list[Fact]:
    """Split every sentence of a paragraph into its start and its rest.

    The start is as short as possible: at least ``words`` words, and more where other sentences start alike ("The user
    likes tea." and "The user likes hiking." differ from the fourth word on), for facts with equal starts contradict
    each other. Repeated sentences count once; sentences of one word say nothing that could be continued, so they are
    left out.

    Args:
        paragraph: ``bank.core``, for example.
        words: Fewest words of a start.

    Raises:
        ValueError: ``words`` is less than 1.
    """
    if words < 1:
        raise ValueError(f"words={words}: a fact needs a text of at least 1 word")
    sentences = list(dict.fromkeys(tuple(text.split()) for text in _SENTENCE_END.split(paragraph.strip())))
    return [
        Fact(" ".join(sentence[:cut]), " " + " ".join(sentence[cut:]))
        for sentence in sentences
        if len(sentence) > 1
        for cut in [_cut(sentence, sentences, words)]
    ]


def _cut(sentence: tuple[str, ...], sentences: list[tuple[str, ...]], words: int) -> int:
    """Words of the start: enough to tell the sentence from the others, but never the whole of it."""
    others = [other for other in sentences if other != sentence]
    needed = next(
        (n for n in range(words, len(sentence)) if all(other[:n] != sentence[:n] for other in others)), len(sentence)
    )
    return min(needed, len(sentence) - 1)
