"""Who facts are about, and the words that depend on it: ``{I} work{s}`` is "I work" or "Ilse works"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """A speaker, or a person or pet of one."""

    name: str
    kind: str  # "speaker", "person", "dog", "cat" or "pet"
    gender: str  # "female" or "male"
    owner: str = ""  # name of the speaker it belongs to, "" for a speaker
    relation: str = ""  # "sister", "boss", "dog"..., "" for a speaker


FIRST_PERSON: dict[str, str] = {
    "I": "I",
    "i": "I",
    "My": "my",
    "my": "my",
    "Me": "me",
    "me": "me",
    "I'm": "I'm",
    "I've": "I've",
    "im": "I'm",
    "ive": "I've",
    "have": "have",
    "am": "am",
    "was": "was",
    "do": "do",
    "s": "",
    "es": "",
    "self": "myself",
}


def third_person(name: str, gender: str) -> dict[str, str]:
    """Words for talking about somebody; ``name`` may be a phrase such as "Mara's sister"."""
    he, him, his = ("she", "her", "her") if gender == "female" else ("he", "him", "his")
    return {
        "I": name,
        "i": he,
        "My": f"{name}'s",
        "my": his,
        "Me": name,
        "me": him,
        "I'm": f"{name} is",
        "I've": f"{name} has",
        "im": f"{he}'s",
        "ive": f"{he}'s",
        "have": "has",
        "am": "is",
        "was": "was",
        "do": "does",
        "s": "s",
        "es": "es",
        "self": f"{him}self" if gender == "male" else "herself",
    }


def with_article(article: str, value: str) -> str:
    """``a``, ``optician`` -> ``an optician``; no article leaves the value alone."""
    if article == "a" and value[0].lower() in "aeiou" and not value.startswith(("uni", "one")):
        article = "an"
    return f"{article} {value}" if article else value
