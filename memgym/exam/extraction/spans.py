"""Candidate answers inside one sentence, scored by how well they fit the kind of answer asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from memgym.dates import MONTHS, WEEKDAYS, DateMention, find_dates, format_day, parse_timestamp
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.questions import QuestionReading
from memgym.exam.extraction.sentences import Phrase, Sentence, Token

_NUMBER = rf"(?:\d+(?:\.\d+)?|an?|{'|'.join(sorted(lexicon.NUMBERS))}|a few|several|a couple of)"
_DURATION = re.compile(
    rf"\b(?:(?:about|around|over|almost|nearly|more than) )?{_NUMBER}"
    r"[ -](?:second|minute|hour|day|night|week|month|year|decade)s?\b(?! ago)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?:\d{1,2}:\d\d(?: ?[ap]\.?m\.?)?|\d{1,2} ?(?:[ap]\.?m\b\.?|o'clock)|noon|midnight|midday)", re.IGNORECASE
)
_REASON = re.compile(
    r"\b(?:because(?: of)?|since|so that|in order to|due to|thanks to|as a result of)\b(?P<why>[^.!?;]*)", re.IGNORECASE
)
_FREQUENCY = re.compile(
    r"\b(?:(?:once|twice|\w+ times) (?:a|every|per) \w+|daily|weekly|monthly|yearly"
    r"|every (?:other )?(?:\w+ )?(?:day|week|month|year|morning|evening|night|weekend|\w+day))\b",
    re.IGNORECASE,
)
# What comes after these words was so before, what comes after those is so now.
_OLD_VALUE = re.compile(
    r"\b(?:used to(?: be)?|no longer|instead of|rather than|not|isn't|wasn't|don't|doesn't|stopped|quit|gave up"
    r"|giving up|bored of|sick of|tired of|done with|lost interest in|went off|goodbye|moved on from|the idea of"
    r"|dropped|left|leaving|former|formerly|previous|previously|old|sold|replaced|replacing|overtook|overtaken"
    r"|pushed out|from|swapped|traded|exchanged|over|out of"
    r"|(?:mixed (?:it|that|this|them) up|confused (?:it|that|this|them)) with)\b"
)
_NEW_VALUE = re.compile(
    r"\b(?:now|but|to|into|for|with|new|became|become|becoming|started|took up|got|joined|bought|picked|began"
    r"|is|it's)\b"
)
_INTENT = lexicon.words(
    "want hope plan aim dream decide promise intend like goal resolution ambition go wish aspire idea set"
)
_TALK = lexicon.words("tell say mention introduce know share let remind update keep hear meet fix correct")
_PLACE_PREPOSITIONS = lexicon.words(
    "in at to from near on into by outside inside around through onto over under behind beside across"
)
_DEGREES = lexicon.words("so very really super pretty too quite rather truly extremely incredibly")  # before adjectives
_PLAIN_PREPOSITIONS = lexicon.words("as of like")
_ADDRESS = lexicon.words("address street")
_UNDATED = 0.35  # fit of the day a thing was told, where no day is named
_LONG_COMPLEMENT = 1.3  # fit of what follows "is", however far from the matched words
_WRONG_TIME = 0.3  # worth of a value of the past where the present one is asked for, and the other way round


class Candidate(NamedTuple):
    """One possible answer."""

    text: str
    score: float  # fit, about 1 for a plain one
    outdated: bool = False  # the sentence itself calls it a value of the past


@dataclass(frozen=True, slots=True)
class Scene:
    """What is needed beside the question to judge the spans of one sentence."""

    sentence: Sentence
    timestamp: str  # when it was said
    anchors: tuple[int, ...]  # tokens that match the question
    people: frozenset[str]  # lower-case names of those who talk or are asked about
    previous: bool  # a value of the past is asked for
    loose_dates: bool

    def candidate(self, text: str, score: float, start: int) -> Candidate:
        """A candidate that begins at character ``start``, scored down when it is of the wrong time."""
        outdated = is_outdated(self.sentence, start)
        return Candidate(text, score * (1.0 if outdated == self.previous else _WRONG_TIME), outdated)


def candidates(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    """All candidates of a sentence, in no particular order."""
    if reading.kind in ("date", "month", "year", "weekday"):
        return _dates(reading, scene)
    if reading.kind in ("duration", "clock"):
        return _matches(_DURATION if reading.kind == "duration" else _CLOCK, scene)
    if reading.kind == "number":
        return _numbers(reading, scene)
    if reading.kind == "reason":
        return _reasons(reading, scene)
    return _phrases(reading, scene)


def is_outdated(sentence: Sentence, start: int) -> bool:
    """Whether the words before a character mark what follows as a value of the past ("used to be", "instead of")."""
    text = sentence.text.lower()
    old = max((match.end() for match in _OLD_VALUE.finditer(text, 0, start)), default=-1)
    if old < 0:
        return False
    new = max((match.end() for match in _NEW_VALUE.finditer(text, 0, start)), default=-1)
    return old >= new and not any(old < sentence.tokens[index].start < start for index in _turns(sentence.tokens))


def _turns(tokens: tuple[Token, ...]) -> Iterator[int]:
    """Words that open a new statement: "I quit coffee *and* order tea"."""
    for index, (token, following) in enumerate(pairwise(tokens)):
        if token.lower in ("and", "but") and following.kind in "VXP":
            yield index


def _nearness(scene: Scene, start: int, end: int) -> float:
    """How close a span of characters lies to the nearest anchor: 1 for touching, 1/2 for sixty characters away."""
    tokens = [scene.sentence.tokens[index] for index in scene.anchors]
    gaps = [max(0, start - token.end, token.start - end) for token in tokens]
    return 1 / (1 + min(gaps, default=60) / 60)


def _matches(pattern: re.Pattern[str], scene: Scene) -> Iterator[Candidate]:
    for match in pattern.finditer(scene.sentence.text):
        yield scene.candidate(match.group().strip(), _nearness(scene, match.start(), match.end()), match.start())


# --- times, amounts, reasons ---


def _dates(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    mentions = find_dates(scene.sentence.text, scene.timestamp)
    for mention in mentions:
        text = _date_text(reading, mention, scene.loose_dates)
        yield scene.candidate(text, 1.2 * _nearness(scene, mention.start, mention.end), mention.start)
    day = parse_timestamp(scene.timestamp) if scene.timestamp else None
    if day is not None and not mentions:
        said = DateMention(0, 0, format_day(day), format_day(day), day)
        yield Candidate(_date_text(reading, said, scene.loose_dates), _UNDATED)


def _date_text(reading: QuestionReading, mention: DateMention, loose: bool) -> str:
    if mention.day is not None and reading.kind == "month":
        return MONTHS[mention.day.month - 1]
    if mention.day is not None and reading.kind == "year":
        return str(mention.day.year)
    if mention.day is not None and reading.kind == "weekday":
        return WEEKDAYS[mention.day.weekday()]
    if mention.yearless and "birthday" in reading.lowered:
        return mention.yearless
    return mention.loose if loose else mention.answer


def _numbers(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    if "how often" in reading.lowered:
        yield from _matches(_FREQUENCY, scene)
        return
    tokens = scene.sentence.tokens
    for index, token in enumerate(tokens):
        if token.kind == "#":
            currency = tokens[index - 1].text if index and tokens[index - 1].text in "$€£" else ""
            counted = index + 1 < len(tokens) and tokens[index + 1].stem in reading.stems
            score = (1.5 if counted else 0.8) * _nearness(scene, token.start, token.end)
            yield scene.candidate(currency + token.text, score, token.start)


def _reasons(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    for match in _REASON.finditer(scene.sentence.text):
        if why := match["why"].strip(" ,"):
            yield Candidate(why, 1.3)
    for candidate in _phrases(reading, scene):
        yield Candidate(candidate.text, 0.5 * candidate.score)


# --- noun phrases ---


def _phrases(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    tokens = scene.sentence.tokens
    for phrase in scene.sentence.phrases:
        first, last = _trimmed(reading, tokens, phrase)
        if first < last and not _repeats_question(reading, tokens[first:last]):
            text = scene.sentence.text[tokens[first].start : tokens[last - 1].end]
            score = _position(scene, first, phrase) * _fit(reading, scene, first, phrase)
            yield scene.candidate(text, score, tokens[first].start)
    if reading.kind == "thing" and any(term.stem in lexicon.stems_of(_INTENT) for term in reading.terms):
        yield from _intentions(reading, scene)


def _intentions(reading: QuestionReading, scene: Scene) -> Iterator[Candidate]:
    """Verb phrases after "want to" or "the plan is": answers to what somebody wants to do."""
    tokens = scene.sentence.tokens
    leads = lexicon.stems_of(_INTENT) | reading.stems
    for index in range(len(tokens) - 1):
        opening, verb = tokens[index], tokens[index + 1]
        infinitive = opening.lower == "to" and verb.kind in "Vw"
        gerund = verb.lower.endswith("ing") and (opening.kind == "I" or opening.lower in lexicon.COPULAS)
        if (infinitive or gerund) and verb.lower not in _TALK:
            last = index + 2
            while last < len(tokens) and tokens[last].kind not in ".CTA":
                last += 1
            meant = any(token.stem in leads for token in tokens[max(0, index - 4) : index])
            text = scene.sentence.text[verb.start : tokens[last - 1].end]
            yield scene.candidate(text, 1.9 if meant else 1.3, verb.start)


def _trimmed(reading: QuestionReading, tokens: tuple[Token, ...], phrase: Phrase) -> tuple[int, int]:
    """The phrase without opening words that only repeat the question, and without the noun that was asked for."""
    first, last = phrase.first, phrase.last
    while first < last and not phrase.proper and _echoes(reading, tokens, first):
        first += 1
    while first < last and tokens[first].kind in "DSIM&":
        first += 1
    if last - first > 1 and tokens[last - 1].kind != "N" and tokens[last - 1].stem == reading.focus:
        last -= 1
    return first, last


def _echoes(reading: QuestionReading, tokens: tuple[Token, ...], index: int) -> bool:
    """Whether an opening word adds nothing: "visiting" Portugal, the "language" Catalan, a "new" car."""
    token = tokens[index]
    if token.stem in reading.stems:
        return token.stem == reading.focus or lexicon.is_verb(token.lower) or token.lower == "member"
    names = index + 1 < len(tokens) and tokens[index + 1].kind == "N"
    return token.lower in ("new", "old", "own") or (names and token.lower.endswith("ing"))


def _repeats_question(reading: QuestionReading, tokens: tuple[Token, ...]) -> bool:
    content = [token.stem for token in tokens if token.kind in "wN#V"]
    return all(stem in reading.stems or stem in reading.excluded for stem in content)


def _position(scene: Scene, first: int, phrase: Phrase) -> float:
    """Near the matched words, in their clause, and rather after them than before; the complement of "is" is near."""
    if phrase.complement and (not scene.anchors or scene.anchors[0] < first):
        return _LONG_COMPLEMENT
    clauses = scene.sentence.clauses
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


def _fit(reading: QuestionReading, scene: Scene, first: int, phrase: Phrase) -> float:
    """How well a phrase fits the kind of answer, about 1."""
    tokens = scene.sentence.tokens
    head, words = tokens[phrase.last - 1], {token.lower for token in tokens[first : phrase.last]}
    score = _meaning(reading, scene, phrase, head, words)
    before = tokens[phrase.first - 1] if phrase.first else None
    if before is not None and before.kind in "DSM" and phrase.first > 1:
        before = tokens[phrase.first - 2]
    lead = before.lower if before is not None else ""
    preposition = phrase.preposition or (lead if lead in lexicon.PREPOSITIONS else "")
    if reading.kind == "place":
        return score * _place_fit(reading, phrase, preposition, tokens[first].kind == "#")
    if reading.kind in ("person", "name"):
        return score * _person_fit(reading, words, phrase, lead)
    if reading.stranded:
        return score * (1.5 if preposition == reading.stranded else 0.6)
    return score * (0.8 if preposition and preposition not in _PLAIN_PREPOSITIONS else 1.0)


def _meaning(reading: QuestionReading, scene: Scene, phrase: Phrase, head: Token, words: set[str]) -> float:
    score = 1.0
    before = scene.sentence.tokens[phrase.first - 1].lower if phrase.first else ""
    if not phrase.proper and (head.lower in lexicon.GENERIC or before in _DEGREES):
        score *= 0.3
    if phrase.vocative or words & scene.people:
        score *= 0.1
    elif not phrase.proper and phrase.last - 1 in scene.anchors and head.stem != reading.focus:
        score *= 0.5
    if reading.member_of:
        score *= 2.0 if lexicon.belongs(words, reading.member_of) else 0.8
    return score


def _place_fit(reading: QuestionReading, phrase: Phrase, preposition: str, numbered: bool) -> float:
    score = 1.5 if preposition in _PLACE_PREPOSITIONS or phrase.complement else 0.6
    if preposition == "from":
        score *= 1.3 if re.search(r"\bfrom\b", reading.lowered) else 0.5
    if reading.focus in lexicon.stems_of(_ADDRESS):
        return score * (2.0 if numbered else 0.5)
    return score * (1.4 if phrase.proper else 1.0)


def _person_fit(reading: QuestionReading, words: set[str], phrase: Phrase, lead: str) -> float:
    if lead in lexicon.COPULAS:
        return 2.0 if phrase.proper else 0.5
    if phrase.proper:
        return 1.4
    return 1.0 if reading.kind == "person" and any(map(lexicon.names_person, words)) else 0.2
