"""What can be known of somebody: one ``Attribute`` per slot, with the ways to tell it and to ask for it."""

from __future__ import annotations

from dataclasses import dataclass

SPEAKER = ("speaker",)
PEOPLE = ("speaker", "person")
PETS = ("dog", "cat", "pet")

# Slots of every pattern: {v} the value, {av} the value with its article, {old} and {aold} likewise for
# the value it replaces, {now} an optional "these days", {when} a date phrase, {at} "on 5 May 2023" or "first", and the
# words of subjects.py. {np} is replaced by the attribute's noun phrase before the pattern is used.
_TELL_STATE = (
    "{np} is {av}{now}",
    "[as for|when it comes to|speaking of] {np}, [it's|it is|that's|that would be] {av}{now}",
    "if [anyone|anybody|someone] [asks|wonders] about {np}, [it's|it is|the answer is|you can say] {av}",
    "[for the record|fun fact|small detail|one thing to know|just a note]: {np} is {av}{now}",
)
_CHANGE_STATE = (
    "{np} [has changed|is no longer the same|is different now]: [it's|it is now|now it's] {av}[| instead of {aold}]",
    "{np} used to be {aold}, [but|and] now it's {av}",
    "[as for|speaking of] {np}, [it's|it is] {av} now, [no longer {aold}|not {aold} any more|not {aold}]",
)
_BEFORE_STATE = ("What was {np} before it [became|was] {av}?", "Before it became {av}, what was {np}?")
# {is} is "was" of what happened and "is" of plans.
_TELL_EVENT = (
    "{np} {is} {when}",
    "[as for|speaking of|when it comes to] {np}, [that|it] {is} {when}",
    "[for the record|small update|one for the calendar|just a note]: {np} {is} {when}",
    "if [anyone|anybody|someone] [asks|wonders] about {np}, [that|it] {is} {when}",
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One slot that turns fill. All texts are patterns of grammar.py."""

    key: str
    topic: str
    kind: str  # "state", "event" or "relation"
    pool: str
    who: tuple[str, ...]  # subject kinds that have it
    noun: str  # noun phrase: "{My} favourite dish"; of an event "{My} trip to {v}"
    tell: tuple[str, ...]
    ask: tuple[str, ...]  # asks for the value; of an event with {at}
    note: str  # the clean third-person sentence of a gold memory
    change: tuple[str, ...] = ()  # tells a new value; empty: the value never changes
    before: tuple[str, ...] = ()  # asks for the value before {v}
    ask_when: tuple[str, ...] = ()  # of events
    future: bool = False  # of events: a plan
    article: str = ""  # "a" (or an) or "the" where a sentence needs it before the value
    relation: str = ""  # of relations: "sister"


def state(
    key: str,
    topic: str,
    pool: str,
    noun: str,
    *,
    tell: tuple[str, ...],
    ask: tuple[str, ...],
    note: str,
    who: tuple[str, ...] = PEOPLE,
    change: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    article: str = "",
) -> Attribute:
    """A property with one current value. With ``change`` the value may be replaced later on."""

    def own(patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(pattern.replace("{np}", noun) for pattern in patterns)

    return Attribute(
        key=key,
        topic=topic,
        kind="state",
        pool=pool,
        who=who,
        noun=noun,
        tell=own(tell + tell + _TELL_STATE),
        ask=own((*ask, "What is {np}{now}?")),
        note=note,
        change=own(change + change + _CHANGE_STATE) if change else (),
        before=own(before + _BEFORE_STATE) if change else (),
        article=article,
    )


def event(
    key: str,
    topic: str,
    pool: str,
    noun: str,
    *,
    tell: tuple[str, ...],
    ask: tuple[str, ...],
    ask_when: tuple[str, ...],
    note: str,
    who: tuple[str, ...] = PEOPLE,
    future: bool = False,
    article: str = "",
) -> Attribute:
    """Something that happens at a time; it may happen again with another value."""
    general = tuple(p.replace("{np}", noun).replace("{is}", "is" if future else "was") for p in _TELL_EVENT)
    return Attribute(
        key=key,
        topic=topic,
        kind="event",
        pool=pool,
        who=who,
        noun=noun,
        tell=tell * 3 + general,
        ask=ask,
        note=note,
        ask_when=ask_when,
        future=future,
        article=article,
    )


_TELL_RELATION = (
    "my {rel} is [called|named] {v}",
    "my {rel}'s name is {v}",
    "the name of my {rel} is {v}",
    "my {rel} goes by [the name of|the name] {v}",
    "{v} is [the name of my {rel}|what my {rel} is called|my {rel}'s name]",
    "{v} is my {rel}, [by the way|you know|in case you wondered|to be clear|if you remember]",
    "[everyone|everybody|the whole street|half the town] calls my {rel} {v}",
    "I [should|must|want to|have to] introduce you to my {rel} {v} [one day|some time|soon|at last]",
    "you [would like|should meet|would laugh at|have to meet] my {rel}, {v}",
)
_TELL_PERSON = (
    "my {rel} {v} [says hello|sends regards|was here earlier|keeps me busy|asked about you|is waiting for me]",
    "I [just got off the phone with|spent the morning with|was talking about you to|took a walk with] my {rel} {v}",
    "I [bumped into|had lunch with|got a long message from|owe a favour to] my {rel} {v} [again|by chance|once more]",
)
_TELL_PET = (
    "my {rel} {v} [was here earlier|keeps me busy|is waiting for food|is asleep next to me|made a mess again]",
    "I [am cuddling|spent the morning with|had to feed|was looking for|cleaned up after] my {rel} {v}",
    "I have a {rel} [called|named] {v}",
    "I [adopted|look after|share my home with|am the proud owner of] a {rel} [called|named] {v}",
)


def relation(rel: str, topic: str, pool: str = "any") -> Attribute:
    """Somebody close to a speaker; the value is the name, which later turns use alone.

    The pool is "female", "male", "any" of the two, or "pet".
    """
    ask = ("What is the name of {My} {rel}?", "What is {My} {rel} called?", "[What|Which] name does {My} {rel} have?")
    tell = _TELL_RELATION + (_TELL_PET if pool == "pet" else _TELL_PERSON)

    def own(patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(pattern.replace("{rel}", rel) for pattern in patterns)

    return Attribute(
        key=rel.replace(" ", "_"),
        topic=topic,
        kind="relation",
        pool=pool,
        who=SPEAKER,
        noun="{My} " + rel,
        tell=own(tell),
        ask=own(ask if pool == "pet" else (*ask, "Who is {My} {rel}?")),
        note=f"{{My}} {rel} is called {{v}}.",
        relation=rel,
    )
