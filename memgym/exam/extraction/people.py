"""Whom a sentence is about, and which names the memory gives to "Mara's sister"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memgym.exam.extraction import lexicon
from memgym.exam.extraction.questions import QuestionReading
from memgym.exam.extraction.sentences import Sentence, Token

_OTHER_PERSON = 0.3
_UNCLEAR_PERSON = 0.8
_SOMEBODY = 0.5  # "she", and the person is not named in the sentence
_LINKS = {1: lexicon.words("is was called named goes by the name of ' 's ,"), -1: lexicon.words("is the name of what")}


def about(reading: QuestionReading, sentence: Sentence, anchors: Sequence[int]) -> float:
    """Whether the matched words of a sentence are said of the person asked for, in (0, 1]."""
    who = reading.subjects
    if not who:
        return 1.0
    stranger = next((lexicon.stem_of(word) for word in reading.relation if lexicon.names_person(word)), "")
    share = _OTHER_PERSON if stranger and stranger not in sentence.stems else 1.0
    if not anchors:
        return share * (_UNCLEAR_PERSON if sentence.speaker in who or who & sentence.words else _OTHER_PERSON)
    return share * max(_about(reading, sentence, anchor) for anchor in anchors)


def _about(reading: QuestionReading, sentence: Sentence, anchor: int) -> float:
    """What the nearest words before and after an anchor say; the better of the two."""
    before = (_role(reading, sentence, index) for index in range(anchor, -1, -1))
    after = (_role(reading, sentence, index) for index in range(anchor + 1, min(len(sentence.tokens), anchor + 8)))
    roles = [next((role for role in side if role is not None), None) for side in (before, after)]
    known = [role for role in roles if role is not None]
    return max(known) if known else (_UNCLEAR_PERSON if sentence.speaker in reading.subjects else _OTHER_PERSON)


def _role(reading: QuestionReading, sentence: Sentence, index: int) -> float | None:
    """What one word says about whom the sentence is about; None: nothing."""
    token, who = sentence.tokens[index], reading.subjects
    if index in sentence.addressed:
        return None
    if index in sentence.actors or (token.kind == "N" and token.lower in who):
        return 1.0 if token.lower in who else _OTHER_PERSON
    if token.lower in lexicon.FIRST_PERSON:
        other = token.kind == "S" and _other_relative(reading, sentence.tokens[index + 1 : index + 3])
        if other and index and sentence.tokens[index - 1].kind in "VI":
            return None  # "I took my kids to ...": it is still "I" who acts
        return 1.0 if sentence.speaker in who and not other else _OTHER_PERSON
    if token.lower in lexicon.HE_OR_SHE:
        return _UNCLEAR_PERSON if who & sentence.words else _SOMEBODY
    return None


def _other_relative(reading: QuestionReading, tokens: Iterable[Token]) -> bool:
    return any(token.lower in lexicon.KINDS["relative"] and token.stem not in reading.stems for token in tokens)


def names_for(relation: Sequence[str], owners: frozenset[str], sentences: Iterable[Sentence]) -> frozenset[str]:
    """Names that the memory gives to "Mara's sister": "my sister Ines", "Ines is my sister".

    Args:
        relation: lower-case words, ("gym", "partner").
        owners: lower-case names of whose relation it is.
        sentences: what the memory holds.

    Returns:
        Lower-case names, empty when none is found.
    """
    stems = tuple(map(lexicon.stem_of, relation))
    names: set[str] = set()
    for sentence in sentences:
        for index in range(len(sentence.tokens)) if sentence.stems.issuperset(stems) else ():
            here = sentence.tokens[index : index + len(stems)]
            if tuple(token.stem for token in here) == stems and _owned_by(owners, sentence, index):
                names.update(_named_beside(sentence, index, index + len(stems) - 1, owners))
    return frozenset(names)


def _owned_by(owners: frozenset[str], sentence: Sentence, index: int) -> bool:
    """Whether the words at ``index`` belong to one of the owners: "my ...", "Mara's ...", "I have a ..."."""
    before = sentence.tokens[index - 1] if index else None
    if before is None or before.kind not in "SDM":
        return False
    if before.kind == "M":
        return sentence.tokens[index - 2].lower in owners
    if before.lower in lexicon.FIRST_PERSON or before.kind == "D":
        return sentence.speaker in owners or (before.kind == "D" and not owners.isdisjoint(sentence.words))
    return not owners.isdisjoint(sentence.words)


def _named_beside(sentence: Sentence, first: int, last: int, owners: frozenset[str]) -> Iterable[str]:
    """Names after tokens ``first`` to ``last``, over words like "is called", or before: "Ines is my ..."."""
    tokens = sentence.tokens
    for start, step in ((last + 1, 1), (first - 1, -1)):
        index = start
        while 0 <= index < len(tokens):
            token = tokens[index]
            if token.kind == "N" and token.lower not in owners:
                yield token.lower
                break
            linked = token.lower in _LINKS[step] or token.lower in owners or (step < 0 and token.kind in "SM")
            if not linked:
                break
            index += step
