"""The exam of a story: drafts per category, drawn in turn until there are enough questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

from memgym.tasks.episode import Question
from memgym.tasks.procedural.attributes import Attribute
from memgym.tasks.procedural.catalog import RELATIONS, SLOTS
from memgym.tasks.procedural.config import TOPICS
from memgym.tasks.procedural.dates import duration_answers
from memgym.tasks.procedural.facts import Fact, value_words
from memgym.tasks.procedural.grammar import expand, pick, shuffled
from memgym.tasks.procedural.pools import POOLS
from memgym.tasks.procedural.story import Story
from memgym.tasks.procedural.subjects import Subject, third_person

NO_ANSWER = "No information available"
NOW = ("", " now", " these days", " currently", " at the moment")
DURATIONS = (
    "How many days [were there|passed|lay] between {one} and {other}?",
    "[How much time|How long a time] [passed|lay] between {one} and {other}?",
)
EARLIEST = ("first", "first of all")
LATEST = ("last", "last of all")
TRAP_SHARE = 0.6  # of the unanswerable questions: the same was told of somebody else
DESCRIBED_SHARE = 0.4  # of those about people: asked as "Mara's sister" rather than by name


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that could be asked."""

    ask: tuple[str, ...]  # patterns
    words: dict[str, str]  # fillers of the patterns
    answers: tuple[str, ...]  # empty: not answerable
    facts: tuple[Fact, ...]  # the ones that hold the answer; the last one is the point of the question
    missing: tuple[str, str] = ("", "")  # without facts: the (subject name, attribute key) that was never told

    @property
    def slot(self) -> tuple[str, str]:
        """(subject name, attribute key) that is asked for."""
        return self.facts[-1].slot if self.facts else self.missing


@dataclass(slots=True)
class QuestionSheet:
    """Questions so far, and what must not be asked again."""

    rng: Random
    story: Story
    questions: list[Question] = field(default_factory=list)
    slots: list[tuple[str, str]] = field(default_factory=list)  # asked for by each question
    texts: set[str] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)  # indices of facts

    def ask_next(self, category: str, queue: list[Draft]) -> bool:
        """Ask the next draft of a category, one about a fresh fact if there is one. False: none is left."""
        if len(self.questions) == self.story.config.questions:
            return True
        fresh = next((i for i, draft in enumerate(queue) if not self._is_asked(draft)), 0)
        while queue:
            draft = queue.pop(min(fresh, len(queue) - 1))
            if self._ask(category, draft):
                return True
        return False

    def _is_asked(self, draft: Draft) -> bool:
        return bool(draft.facts) and draft.facts[-1].index in self.asked

    def _ask(self, category: str, draft: Draft) -> bool:
        if not all(_may_ask(self.story, fact) for fact in draft.facts):
            return False
        text = expand(self.rng, pick(self.rng, draft.ask)).format_map(draft.words)
        text = f"{text[0].upper()}{text[1:]}"
        if text in self.texts or leaks(text, draft.answers):
            return False
        self.texts.add(text)
        self.asked.update(fact.index for fact in draft.facts[-1:])
        self.slots.append(draft.slot)
        self.questions.append(
            Question(
                id=f"Q{len(self.questions) + 1}",
                text=text,
                answers=draft.answers or (NO_ANSWER,),
                category=category,
                evidence=tuple(dict.fromkeys(fact.turn_id for fact in draft.facts)),
                metric="squad_f1" if draft.answers else "abstain",
                answerable=bool(draft.answers),
            )
        )
        return True


def write_questions(rng: Random, story: Story) -> QuestionSheet:
    """Up to ``config.questions`` questions; the categories take turns, each fact is asked about once if possible."""
    sheet = QuestionSheet(rng, story)
    queues = {name: shuffled(rng, DRAFTERS[name](rng, story)) for name in story.config.categories}
    waiting = shuffled(rng, story.config.categories)
    while waiting and len(sheet.questions) < story.config.questions:
        waiting = [name for name in waiting if sheet.ask_next(name, queues[name])]
    return sheet


def leaks(text: str, answers: Iterable[str]) -> bool:
    """Whether a question contains one of its answers as whole words."""
    lowered = text.lower()
    return any(answer.lower() in lowered and _has_words(lowered, answer.lower()) for answer in answers)


def _has_words(text: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def accepted(attribute: Attribute, value: str) -> tuple[str, ...]:
    """A value and the other natural ways to write it."""
    if attribute.pool == "employer" and "&" in value:
        return (value, value.replace("&", "and"))
    if attribute.pool == "doctor":
        return (value, value.removeprefix("Dr. "))
    if attribute.pool == "birthday":
        day, month = value.split()
        return (value, f"{month} {day}")
    if attribute.pool in ("early", "late"):
        return (value, f"{value} {'am' if attribute.pool == 'early' else 'pm'}")
    return (value,)


def _words(subject: Subject, name: str = "") -> dict[str, str]:
    return third_person(name or subject.name, subject.gender) | {"now": "", "at": ""}


def _value_draft(rng: Random, fact: Fact, *, name: str = "", via: tuple[Fact, ...] = ()) -> Draft:
    words = _words(fact.subject, name)
    if fact.attribute.change:
        words["now"] = pick(rng, NOW)
    return Draft(fact.attribute.ask, words, accepted(fact.attribute, fact.value), (*via, fact))


def _when_draft(fact: Fact, *, name: str = "", via: tuple[Fact, ...] = ()) -> Draft:
    words = _words(fact.subject, name) | value_words(fact.attribute, fact.value)
    answers = fact.when.answers if fact.when is not None else ()
    return Draft(fact.attribute.ask_when, words, answers, (*via, fact))


def _single(rng: Random, story: Story) -> list[Draft]:
    return [_value_draft(rng, fact) for fact in story.heads.values() if fact.change == "told"]


def _event(rng: Random, story: Story) -> list[Draft]:
    return [_when_draft(fact) for facts in story.events.values() for fact in facts]


def _update(rng: Random, story: Story) -> list[Draft]:
    return [_value_draft(rng, fact) for fact in story.heads.values() if fact.change == "update"]


def _contradiction(rng: Random, story: Story) -> list[Draft]:
    return [_value_draft(rng, fact) for fact in story.heads.values() if fact.change == "correction"]


def _multi_hop(rng: Random, story: Story) -> list[Draft]:
    """Facts told under a name, asked under "Mara's sister"."""
    drafts = []
    for fact in story.heads.values():
        if fact.subject.owner and fact.change != "withdrawal":
            name, naming = _description(story, fact.subject)
            drafts.append(_value_draft(rng, fact, name=name, via=(naming,)))
    for facts in story.events.values():
        for fact in facts:
            if fact.subject.owner:
                name, naming = _description(story, fact.subject)
                drafts.append(_when_draft(fact, name=name, via=(naming,)))
    return drafts


def _description(story: Story, subject: Subject) -> tuple[str, Fact]:
    """``Mara's sister``, and the fact that names her."""
    return f"{subject.owner}'s {subject.relation}", story.introduced[subject.owner][subject.relation]


def _temporal(rng: Random, story: Story) -> list[Draft]:
    drafts = [_before_draft(story, fact) for fact in story.heads.values() if fact.change == "update"]
    for facts in story.events.values():
        drafts += [_dated_draft(fact, fact.when.stated) for fact in facts if fact.when is not None]
        if len(facts) > 1:
            drafts += _order_drafts(rng, facts)
    return drafts + _duration_drafts(rng, story)


def _before_draft(story: Story, fact: Fact) -> Draft:
    """The value before the current one."""
    old = story.facts[fact.replaces or 0]
    words = _words(fact.subject) | value_words(fact.attribute, fact.value)
    return Draft(fact.attribute.before, words, accepted(fact.attribute, old.value), (fact, old))


def _dated_draft(fact: Fact, at: str, others: tuple[Fact, ...] = ()) -> Draft:
    """What happened at a given time."""
    return Draft(fact.attribute.ask, _words(fact.subject) | {"at": at}, (fact.value,), (*others, fact))


def _order_drafts(rng: Random, facts: list[Fact]) -> list[Draft]:
    """The first and the last of several events of one kind."""
    ordered = sorted(facts, key=lambda fact: fact.when.first.toordinal() if fact.when is not None else 0)
    return [
        _dated_draft(ordered[0], pick(rng, EARLIEST), tuple(ordered[1:])),
        _dated_draft(ordered[-1], pick(rng, LATEST), tuple(ordered[:-1])),
    ]


def _duration_drafts(rng: Random, story: Story) -> list[Draft]:
    """Days between two events of one subject."""
    by_name: dict[str, list[Fact]] = {}
    for (name, _), facts in story.events.items():
        by_name.setdefault(name, []).extend(f for f in facts if f.when is not None and not f.when.whole_month)
    drafts = []
    for facts in by_name.values():
        for one, other in combinations(facts, 2):
            days = abs((one.when.first - other.when.first).days) if one.when and other.when else 0
            if days:
                words = {"one": _event_noun(one), "other": _event_noun(other)}
                drafts.append(Draft(DURATIONS, words, duration_answers(days), (one, other)))
    return drafts


def _event_noun(fact: Fact) -> str:
    return fact.attribute.noun.format_map(_words(fact.subject) | value_words(fact.attribute, fact.value))


def _unanswerable(rng: Random, story: Story) -> list[Draft]:
    """Slots nobody ever filled, foremost those told of somebody else, and slots that were withdrawn."""
    drafts = [
        Draft(fact.attribute.ask, _words(fact.subject), (), (fact,))
        for fact in story.heads.values()
        if fact.change == "withdrawal"
    ]
    everyone = [*story.speakers, *story.close[story.speakers[0].name], *story.close[story.speakers[1].name]]
    topics = story.config.asked_topics or TOPICS
    tried: set[tuple[str, str]] = set()
    for _ in range(4 * story.config.questions):
        subject = pick(rng, everyone)
        missing = _slot_to_miss(rng, story, subject, topics)
        if missing is None or (subject.name, missing[0].key) in tried:
            continue
        tried.add((subject.name, missing[0].key))
        drafts.append(_missing_draft(rng, story, subject, *missing))
    return drafts


def _slot_to_miss(rng: Random, story: Story, subject: Subject, topics: tuple[str, ...]) -> tuple[Attribute, str] | None:
    """An attribute that fits the subject and was never told of it, with a value told of somebody else or ""."""
    if rng.random() < TRAP_SHARE:
        fact = pick(rng, story.facts)
        attribute, value = fact.attribute, fact.value
    else:
        topic = pick(rng, topics)
        slots = SLOTS[topic, subject.kind] + (RELATIONS[topic] if subject.kind == "speaker" else ())
        if not slots:
            return None
        attribute, value = pick(rng, slots), ""
    fits = subject.kind in attribute.who and attribute.topic in topics
    slot = (subject.name, attribute.key)
    return (attribute, value) if fits and slot not in story.heads and slot not in story.events else None


def _missing_draft(rng: Random, story: Story, subject: Subject, attribute: Attribute, value: str) -> Draft:
    words = _words(subject)
    if subject.owner and rng.random() < DESCRIBED_SHARE:
        name, naming = _description(story, subject)
        if _may_ask(story, naming):
            words = _words(subject, name)
    if attribute.change:
        words["now"] = pick(rng, NOW)
    slot = (subject.name, attribute.key)
    if attribute.kind != "event":
        return Draft(attribute.ask, words, (), (), slot)
    value = value or POOLS[attribute.pool].draw(rng, story.split)
    return Draft(attribute.ask_when, words | value_words(attribute, value), (), (), slot)


def _may_ask(story: Story, fact: Fact) -> bool:
    topics = story.config.asked_topics
    return topics is None or fact.topic in topics


DRAFTERS: dict[str, Callable[[Random, Story], list[Draft]]] = {
    "single": _single,
    "event": _event,
    "update": _update,
    "contradiction": _contradiction,
    "multi_hop": _multi_hop,
    "temporal": _temporal,
    "unanswerable": _unanswerable,
}
