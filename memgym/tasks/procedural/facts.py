"""One told fact, with everything needed to check a question against it."""

from __future__ import annotations

from dataclasses import dataclass

from memgym.tasks.procedural.attributes import Attribute
from memgym.tasks.procedural.dates import When
from memgym.tasks.procedural.subjects import Subject, third_person, with_article


@dataclass(frozen=True, slots=True)
class Fact:
    """The (subject, topic, attribute, value, time) that one turn states."""

    index: int  # position among the facts of the episode, in the order told
    subject: Subject
    attribute: Attribute
    value: str  # verbatim in the turn; of a withdrawal, the value taken back
    turn_id: str
    told_by: str  # name of the speaker
    told_on: str  # ISO 8601 timestamp of the turn
    change: str = "told"  # "told", "update", "correction" or "withdrawal"
    when: When | None = None  # of events
    replaces: int | None = None  # index of the fact whose value this one ends

    @property
    def topic(self) -> str:
        """Topic of the attribute."""
        return self.attribute.topic

    @property
    def slot(self) -> tuple[str, str]:
        """(subject name, attribute key)."""
        return (self.subject.name, self.attribute.key)

    @property
    def text(self) -> str:
        """The fact as one clean third-person sentence."""
        words = third_person(self.subject.name, self.subject.gender)
        if self.change == "withdrawal":
            return f"{self.told_by} took back what was said about {self.attribute.noun.format_map(words)}."
        words |= value_words(self.attribute, self.value)
        if self.when is not None:
            words["stated"] = self.when.stated
        return self.attribute.note.format_map(words)


def value_words(attribute: Attribute, value: str, old: str = "") -> dict[str, str]:
    """The slots ``v``, ``av``, ``old`` and ``aold`` of a pattern."""
    article = attribute.article
    return {
        "v": value,
        "av": with_article(article, value),
        "old": old,
        "aold": with_article(article, old) if old else "",
    }
