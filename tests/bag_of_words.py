"""An encoder whose every cosine is known beforehand, and banks that are searched with it."""

from __future__ import annotations

import numpy as np

from memgym.memory import MemoryBank

WORDS = ("tea", "coffee", "milk", "water", "noon")


class BagOfWords:
    """One dimension per word; espresso means coffee. Vectors are not normalised, as an encoder's need not be."""

    def __init__(self, name="words", words=WORDS):
        self.name, self.words, self.calls = name, words, []

    @property
    def dimension(self):
        return len(self.words)

    def encode(self, texts):
        self.calls.append(list(texts))
        for text in texts:
            text.encode()  # as a tokenizer would, it refuses half a surrogate pair
        counted = [text.lower().replace("espresso", "coffee").split() for text in texts]
        return np.array([[words.count(word) for word in self.words] for words in counted])

    @property
    def encoded(self):
        return [text for call in self.calls for text in call]


def bank_of(*texts, encoder=None, **kwargs):
    bank = MemoryBank(encoder=encoder or BagOfWords(), **kwargs)
    for text in texts:
        assert bank.insert("semantic", text).ok
    return bank


def found(bank, query, **kwargs):
    return [(entry.text, score) for entry, score in bank.search_scored(query, **kwargs)]


def vectors_stored(bank):
    return bank._storage._database.execute("SELECT count(*) FROM vectors").fetchone()[0]
