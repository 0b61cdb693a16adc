"""The course of one episode: who tells which fact in which turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from memgym.tasks.episode import Chunk, Turn
from memgym.tasks.procedural import telling
from memgym.tasks.procedural.attributes import Attribute
from memgym.tasks.procedural.catalog import RELATIONS, SLOTS
from memgym.tasks.procedural.config import TOPICS, DialogueConfig
from memgym.tasks.procedural.dates import When, future, past
from memgym.tasks.procedural.facts import Fact
from memgym.tasks.procedural.grammar import pick, shuffled
from memgym.tasks.procedural.pools import POOLS
from memgym.tasks.procedural.speech import chatter, dress
from memgym.tasks.procedural.subjects import Subject
from memgym.tasks.procedural.words_names import FEMALE

FEMALE_NAMES = frozenset(FEMALE)
EPOCH = date(2021, 1, 4)
DAYS_OF_STARTS = 1460
SAME_EVENT_LIMIT = 3  # times one subject does the same kind of thing
WITHDRAWAL_SHARE = 0.25  # of the contradictions; the others name the right value
FIRST_REVISION_SHARE = 0.7  # of the revisions: a fact not revised before, where there is one
THIRD_PERSON_SHARE = 0.45  # of new facts, once the speaker has introduced somebody
RELATION_SHARE = 0.25  # of new facts, as long as the speaker has introduced few
TRIES = 40


@dataclass(slots=True)
class Story:
    """What has been said so far. ``tell_story`` fills it."""

    split: str
    config: DialogueConfig
    speakers: tuple[Subject, Subject]
    chunks: list[Chunk] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    heads: dict[tuple[str, str], Fact] = field(default_factory=dict)  # slot -> its latest state or relation fact
    events: dict[tuple[str, str], list[Fact]] = field(default_factory=dict)
    introduced: dict[str, dict[str, Fact]] = field(default_factory=dict)  # speaker -> relation -> fact naming them
    close: dict[str, list[Subject]] = field(default_factory=dict)  # speaker -> people and pets, as introduced
    used: set[str] = field(default_factory=set)  # values given out, lower case: a value occurs once in an episode


@dataclass(frozen=True, slots=True)
class Moment:
    """The turn about to be spoken."""

    chunk: int
    turn_id: str
    timestamp: str
    speaker: Subject
    listener: Subject
    opens_session: bool
    asked: bool | None  # whether a fact told now is to be of the asked topics; None: no matter


def tell_story(rng: Random, config: DialogueConfig, split: str) -> Story:
    """Draw the speakers, then every turn in order."""
    story = Story(split, config, _speakers(rng, split))
    story.used.update(speaker.name.lower() for speaker in story.speakers)
    story.close = {speaker.name: [] for speaker in story.speakers}
    story.introduced = {speaker.name: {} for speaker in story.speakers}
    schedule = _schedule(rng, config)
    asked = _asked_flags(rng, config, schedule)
    owed: list[str] = []  # revisions that had nothing to revise when their turn came
    at = 0
    for chunk, timestamp in enumerate(_timestamps(rng, config)):
        turns = []
        first = int(rng.random() * 2)
        for number in range(config.turns_per_chunk):
            speaker = story.speakers[(first + number) % 2]
            listener = story.speakers[(first + number + 1) % 2]
            turn_id = f"D{chunk + 1}:{number + 1}"
            moment = Moment(chunk, turn_id, timestamp, speaker, listener, number == 0, asked[at])
            text = _speak(rng, story, moment, schedule[at], owed)
            turns.append(Turn(moment.turn_id, speaker.name, text, timestamp))
            at += 1
        story.chunks.append(Chunk(chunk, tuple(turns)))
    return story


def _speakers(rng: Random, split: str) -> tuple[Subject, Subject]:
    one = _person(rng, split)
    other = _person(rng, split)
    while other[0] == one[0]:
        other = _person(rng, split)
    return Subject(one[0], "speaker", one[1]), Subject(other[0], "speaker", other[1])


def _person(rng: Random, split: str) -> tuple[str, str]:
    gender = "female" if rng.random() < 0.5 else "male"
    return POOLS[gender].draw(rng, split), gender


def _schedule(rng: Random, config: DialogueConfig) -> list[str]:
    """What each turn is for. At least one turn tells a fact."""
    turns = config.chunks * config.turns_per_chunk
    chat = min(round(config.noise * turns), turns - 1)
    spoken = turns - chat
    updates = round(config.update_rate * spoken)
    contradictions = min(round(config.contradiction_rate * spoken), spoken - updates)
    tells = spoken - updates - contradictions
    plan = ["chat"] * chat + ["update"] * updates + ["contradiction"] * contradictions + ["tell"] * tells
    return shuffled(rng, plan)


def _asked_flags(rng: Random, config: DialogueConfig, schedule: list[str]) -> list[bool | None]:
    """For each turn whether it is to tell an asked topic; exactly ``asked_share`` of the fact turns are."""
    if config.asked_topics is None:
        return [None] * len(schedule)
    spoken = sum(purpose != "chat" for purpose in schedule)
    of_interest = round(config.asked_share * spoken)
    flags = iter(shuffled(rng, [True] * of_interest + [False] * (spoken - of_interest)))
    return [None if purpose == "chat" else next(flags) for purpose in schedule]


def _timestamps(rng: Random, config: DialogueConfig) -> list[str]:
    day = EPOCH + timedelta(days=int(rng.random() * DAYS_OF_STARTS))
    fewest, most = config.days_between
    stamps = []
    for _ in range(config.chunks):
        minutes = 480 + int(rng.random() * 840)  # from 8:00 to 21:59
        stamps.append(f"{day.isoformat()}T{minutes // 60:02d}:{minutes % 60:02d}")
        day += timedelta(days=fewest + int(rng.random() * (most - fewest + 1)))
    return stamps


def _speak(rng: Random, story: Story, moment: Moment, purpose: str, owed: list[str]) -> str:
    """Text of one turn; a fact it tells is added to the story."""
    short = story.config.verbosity == "short"
    clause = None
    if purpose != "chat":
        clause = _fact_clause(rng, story, moment, purpose, owed)
    if clause is None:
        return chatter(rng, moment.listener.name, short=short, first=moment.opens_session)
    return dress(rng, clause, moment.listener.name, short=short, first=moment.opens_session)


def _fact_clause(rng: Random, story: Story, moment: Moment, purpose: str, owed: list[str]) -> str | None:
    """The clause for this purpose; a revision that is not possible yet swaps places with a later new fact."""
    revisions = [purpose] if purpose != "tell" else list(dict.fromkeys(owed))
    for revision in revisions:
        clause = _revise(rng, story, moment, revision)
        if clause is not None:
            if purpose == "tell":
                owed.remove(revision)
            return clause
    if purpose != "tell":
        owed.append(purpose)
    return _tell(rng, story, moment)


def _revise(rng: Random, story: Story, moment: Moment, revision: str) -> str | None:
    """Update or contradict something this speaker said before; None when there is nothing."""
    candidates = [fact for fact in story.heads.values() if _can_revise(story, fact, moment, revision)]
    if moment.asked is not None:
        candidates = [fact for fact in candidates if _is_asked(story, fact.topic) is moment.asked] or candidates
    if not candidates:
        return None
    untouched = [fact for fact in candidates if fact.change == "told"]
    old = pick(rng, untouched if untouched and rng.random() < FIRST_REVISION_SHARE else candidates)
    if revision == "contradiction" and rng.random() < WITHDRAWAL_SHARE:
        _record(story, moment, old.subject, old.attribute, old.value, change="withdrawal", replaces=old.index)
        return telling.withdrawal_clause(rng, old)
    value = _value(rng, story, old.attribute)
    if value is None:
        return None
    change = "update" if revision == "update" else "correction"
    _record(story, moment, old.subject, old.attribute, value, change=change, replaces=old.index)
    clause = telling.update_clause if revision == "update" else telling.correction_clause
    return clause(rng, old, value)


def _can_revise(story: Story, fact: Fact, moment: Moment, revision: str) -> bool:
    if fact.attribute.kind != "state" or fact.change == "withdrawal" or fact.told_by != moment.speaker.name:
        return False
    if revision == "contradiction":
        return True
    # Life does not change within one conversation, unless that is all there is.
    return bool(fact.attribute.change) and (fact.told_on != moment.timestamp or story.config.chunks == 1)


def _is_asked(story: Story, topic: str) -> bool:
    return story.config.asked_topics is None or topic in story.config.asked_topics


def _tell(rng: Random, story: Story, moment: Moment) -> str | None:
    """A new fact of a random topic; None when this speaker has nothing left to tell."""
    topics = TOPICS
    if moment.asked is not None:
        topics = tuple(topic for topic in TOPICS if _is_asked(story, topic) is moment.asked) or TOPICS
    for _ in range(TRIES):
        choice = _choose_slot(rng, story, moment.speaker, pick(rng, topics))
        if choice is None:
            continue
        subject, attribute = choice
        value = _value(rng, story, attribute)
        if value is None:
            continue
        when = _when(rng, story, subject, attribute, moment)
        if attribute.kind == "event" and when is None:
            continue
        _record(story, moment, subject, attribute, value, when=when)
        return telling.tell_clause(rng, subject, attribute, value, when)
    return None


def _choose_slot(rng: Random, story: Story, speaker: Subject, topic: str) -> tuple[Subject, Attribute] | None:
    """A slot of this topic that is still open, or None: draw again."""
    close = story.close[speaker.name]
    relations = RELATIONS[topic]
    subject = speaker
    if relations and len(close) < 2 + len(story.facts) // 8 and rng.random() < RELATION_SHARE:
        slots = relations
    else:
        if close and rng.random() < THIRD_PERSON_SHARE:
            subject = pick(rng, close)
        slots = SLOTS[topic, subject.kind] or (relations if subject is speaker else ())
    if not slots:
        return None
    attribute = pick(rng, slots)
    slot = (subject.name, attribute.key)
    if slot in story.heads or len(story.events.get(slot, ())) >= SAME_EVENT_LIMIT:
        return None
    return subject, attribute


def _value(rng: Random, story: Story, attribute: Attribute) -> str | None:
    """A value that does not occur in the episode yet; None after a few tries."""
    for _ in range(8):
        pool = attribute.pool
        if pool == "any":
            pool = "female" if rng.random() < 0.5 else "male"
        value = POOLS[pool].draw(rng, story.split)
        if value.lower() not in story.used:
            return value
    return None


def _when(rng: Random, story: Story, subject: Subject, attribute: Attribute, moment: Moment) -> When | None:
    """A date for an event, clear of the dates of the same kind of event; None for other facts or on a clash."""
    if attribute.kind != "event":
        return None
    when = (future if attribute.future else past)(rng, date.fromisoformat(moment.timestamp[:10]))
    for earlier in story.events.get((subject.name, attribute.key), ()):
        if earlier.when is not None and earlier.when.overlaps(when):
            return None
    return when


def _record(
    story: Story,
    moment: Moment,
    subject: Subject,
    attribute: Attribute,
    value: str,
    *,
    change: str = "told",
    when: When | None = None,
    replaces: int | None = None,
) -> None:
    """Add a fact to the story and to its indices."""
    fact = Fact(
        len(story.facts),
        subject,
        attribute,
        value,
        moment.turn_id,
        moment.speaker.name,
        moment.timestamp,
        change,
        when,
        replaces,
    )
    story.facts.append(fact)
    story.used.add(value.lower())
    if attribute.kind == "event":
        story.events.setdefault(fact.slot, []).append(fact)
        return
    story.heads[fact.slot] = fact
    if attribute.kind == "relation":
        _introduce(story, moment.speaker, fact)


def _introduce(story: Story, speaker: Subject, fact: Fact) -> None:
    """Whoever has been named can be talked about by that name from now on."""
    relation = fact.attribute.relation
    kind = "person"
    if fact.attribute.pool == "pet":
        kind = relation if relation in ("dog", "cat") else "pet"
    gender = _gender(fact)
    story.close[speaker.name].append(Subject(fact.value, kind, gender, speaker.name, relation))
    story.introduced[speaker.name][relation] = fact


def _gender(fact: Fact) -> str:
    if fact.attribute.pool in ("female", "male"):
        return fact.attribute.pool
    return "female" if fact.value in FEMALE_NAMES else "male"
