"""Memory text cut into sentences, words with a rough part of speech, and noun phrases. Rules only, cached."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from memgym.dates import find_dates, parse_timestamp
from memgym.exam.extraction import lexicon

_TOKEN = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|St|Prof)\.(?= [A-Z])"
    r"|\d+(?:[:.,]\d+)*(?:st|nd|rd|th|am|pm|km|kg|k|m|%)?\b%?"
    r"|[^\W_]+(?:[-'][^\W_]+)*|[^\w\s]"
)
_SPEAKER = re.compile(r"(?P<name>[A-Z][\w.'-]*(?: [A-Z][\w.'-]*)?): +")
_STAMP = re.compile(
    r"[\[(]?(?P<stamp>(?:19|20)\d\d-\d\d-\d\d(?:[T ][\d:]+)?|\d{1,2} [A-Z][a-z]+,? (?:19|20)\d\d)[\])]?[:,]?\s+"
)
_SENTENCE_END = re.compile(r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<!\bMs\.)(?<=[.!?;])[\"')]*\s+")
_QUOTED = re.compile(r"[\"“]([^\"”]{2,80})[\"”]")
_IDIOM = re.compile(rf"\b(?:{lexicon.IDIOMS})\b", re.IGNORECASE)
_HOME_TOWN = re.compile(r"\bhome (?=town\b)", re.IGNORECASE)
_TITLE_BRIDGE = lexicon.words("of for from to on in the a an at and")


class Token(NamedTuple):
    """One word or mark of a sentence."""

    text: str
    lower: str
    stem: str
    kind: str  # one of the letters below
    start: int  # characters of the sentence, half-open
    end: int


# Kinds: D determiner, S possessive pronoun, P pronoun, X auxiliary, I preposition, C conjunction, A adverb or filler,
# # number, N proper name, V verb, w other word, M possessive marker, T part of a time expression, & the sign, . mark
_NOMINAL = frozenset("DS#NwM&")


class Phrase(NamedTuple):
    """A noun phrase, or a name or quotation inside one: tokens ``first`` to ``last``, half-open."""

    first: int  # leading determiners and possessives are not part of it
    last: int
    preposition: str  # directly before the phrase; "" for none
    proper: bool  # capitalised throughout
    vocative: bool  # somebody spoken to: "..., Mara?"
    complement: bool  # follows "is", "called" and the like, with adverbs and articles between


class Sentence(NamedTuple):
    """One sentence and what it inherits from its line."""

    text: str
    speaker: str  # lower-case; "" for narration
    timestamp: str  # of the line itself, where it carries one; else ""
    tokens: tuple[Token, ...]
    phrases: tuple[Phrase, ...]
    clauses: tuple[int, ...]  # clause number of each token
    stems: frozenset[str]
    words: frozenset[str]  # lower-case
    concepts: frozenset[int]  # of all stems
    actors: frozenset[int]  # tokens that name somebody who acts or owns
    addressed: frozenset[int]  # tokens that name somebody spoken to
    turn: int  # sentences of an entry with the same number were said in one turn; of a narration, each has its own


@lru_cache(maxsize=8192)
def read_text(text: str) -> tuple[Sentence, ...]:
    """All sentences of an entry, a core or a chunk. ``Name: `` opens a line of that speaker."""
    sentences: list[Sentence] = []
    for line in normalise(text).splitlines():
        stamp = speaker = ""
        line = line.strip().lstrip("-*• ")
        if match := _STAMP.match(line):
            stamp, line = match["stamp"], line[match.end() :]
            stamp = stamp if parse_timestamp(stamp) else ""
        if match := _SPEAKER.match(line):
            speaker, line = match["name"].lower(), line[match.end() :]
        turn = len(sentences)
        for part in filter(str.strip, _SENTENCE_END.split(line)):
            sentences.append(_sentence(part, speaker, stamp, turn if speaker else len(sentences)))
    return tuple(sentences)


def normalise(text: str) -> str:
    """Straight apostrophes, and "home town" in one word so that it is no match for "home"."""
    return _HOME_TOWN.sub("home", text.replace("’", "'"))


def _sentence(text: str, speaker: str, stamp: str, turn: int) -> Sentence:
    tokens = tokenise(text)
    stems = frozenset(token.stem for token in tokens) | frozenset(map(lexicon.stem_of, speaker.split()))
    return Sentence(
        text=text,
        speaker=speaker,
        timestamp=stamp,
        tokens=tokens,
        phrases=_phrases(text, tokens),
        clauses=_clauses(tokens),
        stems=stems,
        words=frozenset(token.lower for token in tokens),
        concepts=frozenset(number for stem in stems for number in lexicon.concepts_of(stem)),
        actors=frozenset(index for index in range(len(tokens)) if _acts(tokens, index)),
        addressed=frozenset(index for index in range(len(tokens)) if _spoken_to(tokens, index, index + 1)),
        turn=turn,
    )


# --- words ---


def tokenise(text: str) -> tuple[Token, ...]:
    """Words and marks of one sentence, each with a rough part of speech."""
    raw = _split(text)
    times = [(mention.start, mention.end) for mention in find_dates(text)]
    idioms = [match.span() for match in _IDIOM.finditer(text)]
    tokens: list[Token] = []
    for index, (word, start, end) in enumerate(raw):
        following = raw[index + 1][0] if index + 1 < len(raw) else ""
        lower = word.lower()
        if any(first <= start < last for first, last in times):
            kind = "T"
        elif any(first <= start < last for first, last in idioms):
            kind = "A"
        else:
            kind = _kind(word, lower, tokens, following)
        tokens.append(Token(word, lower, lexicon.stem_of(lower), kind, start, end))
    return tuple(tokens)


def _split(text: str) -> list[tuple[str, int, int]]:
    """Words with their characters; the possessive marker is a word of its own."""
    raw = []
    for match in _TOKEN.finditer(text):
        word, start, end = match.group(), match.start(), match.end()
        lower = word.lower()
        if lower.endswith("'s") and lower not in lexicon.AUXILIARIES:
            raw += [(word[:-2], start, end - 2), ("'s", end - 2, end)]
        else:
            raw.append((word, start, end))
    return raw


def _kind(word: str, lower: str, before: list[Token], following: str) -> str:
    if lower == "'s":
        return "M"
    if lower == "'" and before and before[-1].lower.endswith("s") and following[:1].isalnum():
        return "M"
    if not word[0].isalnum():
        return "&" if word == "&" else "."
    if word[-1] == ".":
        return "N"
    if word[0].isdigit() or lower in lexicon.NUMBERS:
        return "#"
    initial = not before or before[-1].text in '."“:(!?'
    if word[0].isupper() and not initial and lower not in lexicon.FIRST_PERSON:
        return "N"
    closed = _closed_kind(lower, before, following)
    if closed:
        return closed
    if lower.endswith("ed") and before and (before[-1].kind in "PN" or before[-1].stem in ("get", "have")):
        return "V"
    if lexicon.is_verb(lower):
        return _verb_or_word(lower, before, following)
    return "N" if word[0].isupper() else "w"


_CLOSED = (
    ("D", lexicon.DETERMINERS),
    ("X", lexicon.AUXILIARIES),
    ("P", lexicon.PRONOUNS),
    ("I", lexicon.PREPOSITIONS),
    ("C", lexicon.CONJUNCTIONS),
    ("A", lexicon.ADVERBS),
)


def _closed_kind(lower: str, before: list[Token], following: str) -> str:
    if lower in ("her", "his"):
        owns = following[:1].isalnum() and not any(following.lower() in closed for _, closed in _CLOSED)
        return "S" if owns else "P"
    if lower == "like" and before and before[-1].kind in "PNXAV":
        return "V"
    if lower in lexicon.POSSESSIVES:
        return "S"
    for kind, closed in _CLOSED:
        if lower in closed:
            return kind
    return "A" if len(lower) > 4 and lower.endswith("ly") and lower not in lexicon.LY_NOUNS else ""


def _verb_or_word(lower: str, before: list[Token], following: str) -> str:
    """A word that can be a verb: what stands before it decides, and its ending where that leaves it open."""
    if not before or before[-1].kind == ".":
        return "w" if lower.endswith("ing") else "V"
    previous = before[-1]
    if previous.lower == "to" or previous.kind in "XPA":
        return "V"
    if previous.kind in "DSM#I&V":
        return "w"
    if lower.endswith("ing"):
        return "V" if previous.kind == "N" else "w"
    if previous.kind == "w":
        return "V" if _finite(lower, before, following) else "w"
    return "V"


def _finite(lower: str, before: list[Token], following: str) -> bool:
    """Whether a verb form behind a noun is its verb ("my sister plays the ...") and not more of it ("board games")."""
    if lower.endswith("ed") or lower in lexicon.IRREGULAR_FORMS:
        return True
    if lower.endswith("s") and _being(before[-1].lower):
        return True
    opens = following.lower()
    closing = any(opens in words for words in (lexicon.DETERMINERS, lexicon.POSSESSIVES, lexicon.PREPOSITIONS))
    return lower.endswith("s") and _inside_phrase(before) and (closing or following[:1].isupper())


def _inside_phrase(before: list[Token]) -> bool:
    for token in reversed(before):
        if token.kind in "DSM":
            return True
        if token.kind not in "w#":
            return False
    return False


def _clauses(tokens: tuple[Token, ...]) -> tuple[int, ...]:
    numbers, current = [], 0
    for token in tokens:
        if token.kind == "C" or (token.kind == "." and token.text not in "'\"-/“”"):
            current += 1
        numbers.append(current)
    return tuple(numbers)


# --- phrases ---


def _phrases(text: str, tokens: tuple[Token, ...]) -> tuple[Phrase, ...]:
    runs = _runs(tokens)
    spans = {*runs, *_joined_by_of(tokens, runs)}
    whole = [*_names(tokens), *_quoted(text, tokens)]
    spans = {(a, b) for a, b in spans if not any(first <= a and b <= last for first, last in whole)}
    phrases = (_phrase(tokens, first, last) for first, last in sorted({*spans, *whole}))
    return tuple(phrase for phrase in phrases if phrase is not None)


def _runs(tokens: tuple[Token, ...]) -> list[tuple[int, int]]:
    """Maximal runs of nominal words; a determiner or possessive pronoun opens a new one."""
    runs, first = [], -1
    for index, token in enumerate((*tokens, None)):
        kind = token.kind if token else "."
        opens = kind in "DS" and first >= 0 and tokens[index - 1].kind not in "DS"
        if (kind not in _NOMINAL or opens) and first >= 0:
            runs.append((first, index))
            first = -1
        if kind in _NOMINAL and first < 0:
            first = index
    return runs


def _joined_by_of(tokens: tuple[Token, ...], runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    starts = dict(runs)
    return [
        (first, starts[last + 1])
        for first, last in runs
        if last + 1 in starts and tokens[last].lower == "of" and tokens[last - 1].lower not in lexicon.GENERIC
    ]


def _names(tokens: tuple[Token, ...]) -> list[tuple[int, int]]:
    """Runs of capitalised words, across the small words of titles ("Letters from the Harbour")."""
    names, index = [], 0
    while index < len(tokens):
        if tokens[index].kind != "N":
            index += 1
            continue
        last = index + 1
        while (further := _bridged(tokens, last)) > last:
            last = further
        if last == len(tokens) or tokens[last].kind != "w":  # "Volvo estate" is one thing, "my boss Ines" two
            names.append((index, last))
        index = last
    return names


def _bridged(tokens: tuple[Token, ...], last: int) -> int:
    """The end of a name that goes on at ``last``, else ``last``."""
    bridge = last
    while bridge < len(tokens) and bridge - last < 2 and tokens[bridge].lower in _TITLE_BRIDGE:
        bridge += 1
    linked = bridge == last or tokens[last].lower == "of" or (bridge - last == 2 and tokens[last - 2].kind != "N")
    if bridge < len(tokens) and tokens[bridge].kind == "N" and linked:
        return bridge + 1
    if last + 1 < len(tokens) and tokens[last].kind in "&M" and tokens[last + 1].kind == "N":
        return last + 2
    return last


def _quoted(text: str, tokens: tuple[Token, ...]) -> list[tuple[int, int]]:
    spans = []
    for match in _QUOTED.finditer(text):
        inside = [i for i, token in enumerate(tokens) if match.start(1) <= token.start < match.end(1)]
        spans += [(inside[0], inside[-1] + 1)] if inside else []
    return spans


def _phrase(tokens: tuple[Token, ...], first: int, last: int) -> Phrase | None:
    before = tokens[first - 1] if first else None
    preposition = before.lower if before and before.kind == "I" else ""
    while first < last and tokens[first].kind in "DSM&":
        first += 1
    while first < last and tokens[last - 1].kind in "M&":
        last -= 1
    if first == last:
        return None
    words = tokens[first:last]
    proper = all(token.text[0].isupper() or token.lower in _TITLE_BRIDGE or token.kind in "M&" for token in words)
    return Phrase(
        first,
        last,
        preposition,
        proper,
        vocative=_spoken_to(tokens, first, last),
        complement=_complement(tokens, first),
    )


def _complement(tokens: tuple[Token, ...], first: int) -> bool:
    index = first - 1
    while index >= 0 and tokens[index].kind in "DASM" and tokens[index].lower not in lexicon.COPULAS:
        index -= 1
    return index >= 0 and tokens[index].lower in lexicon.COPULAS and (not index or tokens[index - 1].lower != "which")


def _spoken_to(tokens: tuple[Token, ...], first: int, last: int) -> bool:
    """Whether a name stands alone between marks, or after a greeting."""
    if last - first > 1 or tokens[first].kind != "N":
        return False
    opens = first == 0 or tokens[first - 1].text in ",-" or tokens[first - 1].lower in lexicon.GREETINGS
    closes = last == len(tokens) or tokens[last].text in ",.!?:;-"
    named = first > 1 and tokens[first - 1].text == "," and _being(tokens[first - 2].lower)  # "my dog, Biscuit"
    return opens and closes and not named and (first > 0 or last < len(tokens))


def _being(word: str) -> bool:
    return lexicon.names_person(word) or word in lexicon.KINDS["animal"]


def _acts(tokens: tuple[Token, ...], index: int) -> bool:
    """Whether a token is a name in the role of a person: not "in Lund", not "the Hollow", not spoken to."""
    if tokens[index].kind != "N" or _spoken_to(tokens, index, index + 1):
        return False
    before = tokens[index - 1].kind if index and tokens[index - 1].lower != "that" else "."
    after = tokens[index + 1].kind if index + 1 < len(tokens) else "."
    if before == "V" and after not in "VXM":  # "I left Oslo", but "I told Ines"
        return tokens[index - 1].stem in lexicon.stems_of(lexicon.PERSON_VERBS)
    return after == "M" or (before not in "DIN&" and after not in "N&")
