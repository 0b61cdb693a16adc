"""Candidate answers inside one sentence, scored by how well they fit the kind of answer asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from memgym.exam.dates import MONTHS, WEEKDAYS, DateMention, find_dates, format_day, parse_timestamp
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.questions import QuestionReading
from memgym.exam.extraction.sentences import Phrase, Sentence, Token

_DURATION = re.compile(
    r"\b(?:(?:about|around|over|almost|nearly|more than) )?(?:\d+(?:\.\d+)?|an?|" + "|".join(sorted(lexicon.NUMBERS))
    + r"|a few|several|a couple of)[ -](?:second|minute|hour|day|night|week|month|year|decade)s?\b(?! ago)",
    re.IGNORECASE,
)  # fmt: skip
_CLOCK = re.compile(
    r"\b(?:\d{1,2}:\d\d(?: ?[ap]\.?m\.?)?|\d{1,2} ?(?:[ap]\.?m\b\.?|o'clock)|noon|midnight|midday)", re.IGNORECASE
)
_REASON = re.compile(
    r"\b(?:because(?: of)?|since|so that|in order to|due to|thanks to|as a result of)\b(?P<why>[^.!?;]*)", re.IGNORECASE
)
_FREQUENCY = re.compile(
    r"\b(?:(?:once|twice|\w+ times) (?:a|every|per) \w+|every (?:other )?(?:\w+ )?(?:day|week|month|year|morning|evening|night|weekend|\w+day)"
    r"|daily|weekly|monthly|yearly)\b",
    re.IGNORECASE,
)
_GOAL_LEAD = frozenset(
    [
        "want",
        "hope",
        "plan",
        "aim",
        "dream",
        "decide",
        "promise",
        "intend",
        "like",
        "goal",
        "resolution",
        "ambition",
        "go",
        "wish",
        "aspire",
    ]
)
_TALK = frozenset(
    ["tell", "say", "mention", "introduce", "know", "share", "let", "remind", "update", "keep", "hear", "meet"]
)
_NAMING = frozenset(["named", "called"])
_COPULAS = frozenset(
    [
        "is",
        "was",
        "are",
        "were",
        "be",
        "become",
        "became",
        "been",
        "'s",
        "it's",
        "that's",
        "be",
        "been",
        "being",
        "named",
        "called",
    ]
)
_PLACE_PREPOSITIONS = frozenset(
    [
        "in",
        "at",
        "to",
        "from",
        "near",
        "on",
        "into",
        "by",
        "outside",
        "inside",
        "around",
        "through",
        "onto",
        "over",
        "under",
        "behind",
        "beside",
        "across",
    ]
)
_OLD_VALUE = re.compile(
    r"\b(?:used to(?: be)?|no longer|instead of|rather than|not|isn't|wasn't|don't|doesn't|stopped|quit|gave up|giving up|bored of|"
    r"lost interest in|sick of|went off|goodbye|overtook|moved on from|the idea of|changed from|done with|tired of|dropped|left|leaving|former|formerly|previous|previously|old|sold|replaced|replacing"
    r"|from|swapped|traded|exchanged|over|out of|mixed (?:it|that|this|them) up with|confused (?:it|that|this|them) with)\b"
)
_NEW_VALUE = re.compile(
    r"\b(?:now|but|to|into|for|with|new|became|become|becoming|started|took up|got|joined|bought|picked|began|is|it's|as)\b"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer."""

    text: str
    score: float  # fit, about 1 for a plain one
    outdated: bool = False  # the sentence itself calls it a value of the past


@dataclass(frozen=True, slots=True)
class Scene:
    """What is needed beside the question to judge the spans of one sentence."""

    sentence: Sentence
    timestamp: str  # when it was said
    previous: bool  # a value of the past is asked for
    anchors: tuple[int, ...]  # tokens that match the question
    people: frozenset[str]  # lower-case names of those who talk or are asked about
    loose_dates: bool


def candidates(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    """All candidates of a sentence, in no particular order."""
    if reading.kind in ("date", "month", "year", "weekday"):
        return _dates(reading, scene)
    if reading.kind == "duration":
        return _matches(_DURATION, scene)
    if reading.kind == "clock":
        return _matches(_CLOCK, scene)
    if reading.kind == "number":
        return _numbers(reading, scene)
    if reading.kind == "reason":
        return _reasons(reading, scene)
    return _phrases(reading, scene)


def _nearness(scene: Scene, start: int, end: int) -> float:
    """How close a span of characters lies to the nearest anchor: 1 for touching, falling with every word between."""
    tokens = scene.sentence.tokens
    gaps = [
        0 if start <= tokens[i].start < end else min(abs(tokens[i].end - start), abs(tokens[i].start - end))
        for i in scene.anchors
    ]
    return 1 / (1 + min(gaps, default=60) / 60)


def _matches(pattern: re.Pattern[str], scene: Scene) -> Iterator[Candidate]:
    for match in pattern.finditer(scene.sentence.text):
        outdated = is_outdated(scene.sentence, match.start())
        score = _nearness(scene, match.start(), match.end()) * (1.0 if outdated == scene.previous else 0.3)
        yield Candidate(match.group().strip(), score, outdated)


# --- times ---


def _dates(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    stamp = scene.sentence.timestamp or scene.timestamp
    mentions = find_dates(scene.sentence.text, stamp)
    for mention in mentions:
        text = _date_text(reading, mention, scene.loose_dates)
        if text:
            yield Candidate(text, 1.2 * _nearness(scene, mention.start, mention.end))
    day = parse_timestamp(stamp) if stamp else None
    if day is not None and not mentions:
        said = DateMention(0, 0, format_day(day), format_day(day), day)
        yield Candidate(_date_text(reading, said, scene.loose_dates), 0.6)


def _date_text(reading: QuestionReading, mention: DateMention, loose: bool) -> str:
    if reading.kind == "month" and mention.day:
        return MONTHS[mention.day.month - 1]
    if reading.kind == "year" and mention.day:
        return str(mention.day.year)
    if reading.kind == "weekday" and mention.day:
        return WEEKDAYS[mention.day.weekday()]
    if mention.yearless and "birthday" in reading.lowered:
        return mention.yearless
    return mention.loose if loose else mention.answer


# --- amounts and reasons ---


def _numbers(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    if "how often" in reading.lowered:
        yield from _matches(_FREQUENCY, scene)
        return
    tokens = scene.sentence.tokens
    for index, token in enumerate(tokens):
        if token.kind != "#":
            continue
        end = token.end
        text = token.text
        if index and tokens[index - 1].text in "$€£":
            text = tokens[index - 1].text + text
        counted = index + 1 < len(tokens) and tokens[index + 1].stem in reading.stems
        yield Candidate(text, (1.5 if counted else 0.8) * _nearness(scene, token.start, end))


def _reasons(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    for match in _REASON.finditer(scene.sentence.text):
        if why := match["why"].strip(" ,"):
            yield Candidate(why, 1.3)
    for candidate in _phrases(reading, scene):
        yield Candidate(candidate.text, 0.5 * candidate.score)


# --- noun phrases ---


def _phrases(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    for phrase in scene.sentence.phrases:
        text, first = _trimmed(reading, scene.sentence, phrase)
        if not text or _repeats_question(reading, scene.sentence, first, phrase.last):
            continue
        outdated = is_outdated(scene.sentence, scene.sentence.tokens[first].start)
        score = _position(scene, first, phrase) * _fit(reading, scene, first, phrase)
        yield Candidate(text, score * (1.0 if outdated == scene.previous else 0.3), outdated)
    yield from _intentions(reading, scene)


def _goal_stems() -> frozenset[str]:
    return frozenset(map(lexicon.stem_of, _GOAL_LEAD))


def _intentions(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    """Verb phrases after "want to" or "the plan is": answers to what somebody wants to do."""
    if not any(term.stem in _goal_stems() for term in reading.terms) and "want to do" not in reading.lowered:
        return
    tokens = scene.sentence.tokens
    for index in range(1, len(tokens) - 1):
        if tokens[index + 1].lower in _TALK:
            continue
        opens = tokens[index].lower in ("to", "is", "it's", "be", "be:") or tokens[index].kind == "I"
        verb = tokens[index + 1].kind in "Vw" and (
            tokens[index].lower == "to" or tokens[index + 1].lower.endswith("ing")
        )
        if not opens or not verb:
            continue
        last = index + 1
        while last < len(tokens) and tokens[last].kind not in ".CTA":
            last += 1
        text = scene.sentence.text[tokens[index + 1].start : tokens[last - 1].end]
        outdated = is_outdated(scene.sentence, tokens[index + 1].start)
        stems = {token.stem for token in tokens[max(0, index - 3) : index]}
        score = 1.9 if not stems.isdisjoint(_goal_stems() | reading.stems) else 1.3
        yield Candidate(text, score * (1.0 if outdated == scene.previous else 0.3), outdated)


def _trimmed(reading: QuestionReading, sentence: Sentence, phrase: Phrase) -> tuple[str, int]:
    """The phrase without leading words that only repeat the question, and without the noun that was asked for."""
    first, last = phrase.first, phrase.last
    while first < last and not phrase.proper and _echoes(reading, sentence.tokens[first]):
        first += 1
    while first < last and sentence.tokens[first].kind in "DSIM&":
        first += 1
    if last - first > 1 and sentence.tokens[last - 1].kind != "N" and sentence.tokens[last - 1].stem == reading.focus:
        last -= 1
    if first >= last:
        return "", first
    return sentence.text[sentence.tokens[first].start : sentence.tokens[last - 1].end], first


def _echoes(reading: QuestionReading, token: Token) -> bool:
    """Whether an opening word only repeats the question: "visiting" Portugal, the "language" Catalan, a "new" car."""
    if token.stem not in reading.stems:
        return token.lower in ("new", "old", "own")
    return (
        token.stem == reading.focus
        or token.lower.endswith("ing")
        or token.stem in lexicon.verb_stems()
        or token.lower == "member"
    )


def _repeats_question(reading: QuestionReading, sentence: Sentence, first: int, last: int) -> bool:
    content = [token.stem for token in sentence.tokens[first:last] if token.kind in "wN#V"]
    known = reading.stems | reading.excluded
    return not content or all(stem in known for stem in content)


def _position(scene: Scene, first: int, phrase: Phrase) -> float:
    """Near the matched words, in their clause, and rather after them than before; the complement of "is" is near."""
    clauses = scene.sentence.clauses
    if _complement(scene.sentence, phrase) and any(anchor < first for anchor in scene.anchors):
        return 1.3
    best = 0.3
    for anchor in scene.anchors:
        if phrase.first <= anchor < phrase.last:
            value = 0.9
        elif anchor < first:
            value = 1 / (1 + 0.1 * (first - anchor - 1))
        else:
            value = 0.75 / (1 + 0.1 * (anchor - phrase.last))
        best = max(best, value * (1.0 if clauses[anchor] == clauses[first] else 0.75))
    return best


def _complement(sentence: Sentence, phrase: Phrase) -> bool:
    """Whether a phrase follows "is", "called" and the like, with adverbs and articles between."""
    index = phrase.first - 1
    while index >= 0 and sentence.tokens[index].kind in "DASM" and sentence.tokens[index].lower not in _COPULAS:
        index -= 1
    return index >= 0 and sentence.tokens[index].lower in _COPULAS


def _fit(reading: QuestionReading, scene: Scene, first: int, phrase: Phrase) -> float:
    tokens = scene.sentence.tokens
    head = tokens[phrase.last - 1]
    words = {token.lower for token in tokens[first : phrase.last]}
    score = 1.0
    if head.lower in lexicon.GENERIC and not phrase.proper:
        score *= 0.3
    if phrase.vocative or words & scene.people:
        score *= 0.1
    elif not phrase.proper and phrase.last - 1 in scene.anchors and head.stem != reading.focus:
        score *= 0.5
    if reading.member_of:
        score *= 2.0 if lexicon.belongs(words, reading.member_of) else 0.8
    before = tokens[phrase.first - 1] if phrase.first else None
    lead = before.lower if before else ""
    if before is not None and before.kind in "DSM" and phrase.first > 1:
        lead = tokens[phrase.first - 2].lower
    preposition = phrase.preposition or (lead if lead in lexicon.PREPOSITIONS else "")
    if reading.kind == "place":
        return score * _place_fit(reading, phrase, preposition)
    if reading.kind in ("person", "name"):
        return score * _person_fit(reading, words, phrase, lead)
    if preposition and preposition not in ("as", "of", "like"):
        score *= 0.8
    return score


def _place_fit(reading: QuestionReading, phrase: Phrase, preposition: str) -> float:
    score = 1.5 if preposition in _PLACE_PREPOSITIONS else 0.6
    origin = bool(re.search(r"\bfrom\b", reading.lowered))
    if preposition == "from":
        score *= 1.3 if origin else 0.5
    return score * (1.4 if phrase.proper else 1.0)


def _person_fit(reading: QuestionReading, words: set[str], phrase: Phrase, lead: str) -> float:
    if lead in _NAMING or lead == "is":
        return 2.0 if phrase.proper else 0.5
    if phrase.proper:
        return 1.4
    if reading.kind == "person" and words & lexicon.KINDS["relative"]:
        return 1.0
    return 0.2


def is_outdated(sentence: Sentence, start: int) -> bool:
    """Whether the words before a character mark what follows as a value of the past ("used to be", "instead of")."""
    text = sentence.text.lower()
    old = max((match.end() for match in _OLD_VALUE.finditer(text, 0, start)), default=-1)
    new = max((match.end() for match in _NEW_VALUE.finditer(text, 0, start)), default=-1)
    return old >= 0 and old >= new
