"""The clause that states a fact, an update, a correction or a withdrawal."""

from __future__ import annotations

from random import Random

from memgym.tasks.procedural.attributes import Attribute
from memgym.tasks.procedural.dates import When
from memgym.tasks.procedural.facts import Fact, value_words
from memgym.tasks.procedural.grammar import expand, pick
from memgym.tasks.procedural.subjects import FIRST_PERSON, Subject, third_person

# "" as often as not: a bare clause is the commonest way to say how things are.
NOW = ("",) * 6 + (" these days", " at the moment", " right now", " at present", " currently", " for now")

CORRECTIONS: tuple[str, ...] = (
    "[actually|wait|sorry|hold on|oops|no, wait], [I misspoke|I got that wrong|I mixed that up|I said it wrong]"
    "[| before| earlier]: {np} is {av}, not {aold}",
    "[I made a mistake|I was wrong|I mixed things up|I told you wrong] about {np}: [it's|it is|it should be] {av}"
    "[, not {aold}|]",
    "[let me|I need to|I have to|I should] [correct|fix] "
    "[myself|one thing I said|something]: {np} is {av}[, not {aold}|]",
    "[scratch|forget|ignore] what I [said|told you] about {np}: [it's|it is] [really|actually|in fact] {av}",
    "[correction|I misspoke earlier|I got it wrong before|my mistake earlier|wrong information from me before]: {tell}",
    "{np} is [really|actually|in fact] {av}, [I confused it with|I mixed it up with|not] {aold}",
)
WITHDRAWALS: tuple[str, ...] = (
    "[forget|ignore|disregard] what I [said|told you] about {np}, [I made that up|that was not true|it was a joke]",
    "what I [said|told you] about {np} was [wrong|not true|a joke|nonsense], so [forget it|please ignore it]",
    "I [take|must take|have to take] back what I said about {np}, [I had no idea|I was only guessing|it was a mix-up]",
    "[please don't|do not] rely on what I said about {np}, [I don't really know|it was just a guess|I was mistaken]",
)


def tell_clause(rng: Random, subject: Subject, attribute: Attribute, value: str, when: When | None) -> str:
    """A new fact."""
    words = _words(rng, subject, attribute) | value_words(attribute, value)
    if when is not None:
        words["when"] = when.phrase
    return expand(rng, pick(rng, attribute.tell)).format_map(words)


def update_clause(rng: Random, old: Fact, value: str) -> str:
    """The slot of an earlier fact has a new value."""
    words = _words(rng, old.subject, old.attribute) | value_words(old.attribute, value, old.value)
    return expand(rng, pick(rng, old.attribute.change)).format_map(words)


def correction_clause(rng: Random, old: Fact, value: str) -> str:
    """An earlier fact was told wrongly; this is how it really is."""
    attribute = old.attribute
    pattern = pick(rng, CORRECTIONS).replace("{np}", attribute.noun).replace("{tell}", pick(rng, attribute.tell))
    words = _words(rng, old.subject, attribute) | value_words(attribute, value, old.value)
    return expand(rng, pattern).format_map(words)


def withdrawal_clause(rng: Random, old: Fact) -> str:
    """An earlier fact was told wrongly, and nothing takes its place."""
    pattern = pick(rng, WITHDRAWALS).replace("{np}", old.attribute.noun)
    return expand(rng, pattern).format_map(_words(rng, old.subject, old.attribute))


def _words(rng: Random, subject: Subject, attribute: Attribute) -> dict[str, str]:
    first_person = subject.kind == "speaker"
    words = dict(FIRST_PERSON) if first_person else third_person(subject.name, subject.gender)
    words["now"] = pick(rng, NOW) if attribute.change else ""
    return words
