"""Short dated statements by rule: what a teacher without a model makes of an utterance or of an undated note."""

from __future__ import annotations

from memgym.dates import find_dates, with_calendar_dates, within_sentence
from memgym.memory.provenance import content_words
from memgym.sentences import split_sentences
from memgym.tasks.episode import Turn

_MIN_WORDS = 3  # content words; a sentence with fewer is a greeting or an exclamation
_PAST_FORMS = """began bought broke built came caught did found gave got had held hit kept left lost made met ran sang
sat saw sent sold spent spoke taught told took was went were won wrote"""
_IRREGULAR = frozenset(_PAST_FORMS.split())
_VERB_WITHIN = 6  # words of a statement among which its verb is looked for


def date_note(note: str, turn: Turn) -> str:
    """A note about ``turn`` with calendar dates.

    A note in the past tense without a date of its own gets the date that the turn names, if the turn names only one:
    notes say "recently" of what the speaker did "yesterday".
    """
    mentions = [mention for mention in find_dates(turn.text, turn.timestamp) if mention.day is not None]
    if find_dates(note, turn.timestamp) or len(mentions) != 1 or not _tells_event(note):
        return with_calendar_dates(note, turn.timestamp)
    return f"{note.rstrip('.')} ({within_sentence(mentions[0])})."


def statement(turn: Turn) -> str:
    """Who said what, without questions and exclamations as far as anything is left, and with calendar dates."""
    sentences = split_sentences(turn.text)
    telling = [
        sentence for sentence in sentences if not sentence.endswith("?") and len(content_words(sentence)) >= _MIN_WORDS
    ]
    said = with_calendar_dates(" ".join(telling or sentences), turn.timestamp)
    return f"{turn.speaker} said: {said}" if turn.speaker else said


def _tells_event(note: str) -> bool:
    """Whether the first verb after the note's first word is in the past tense, as far as its ending tells."""
    for word in note.split()[1:_VERB_WITHIN]:
        bare = word.strip(".,;").lower()
        if bare in _IRREGULAR or bare.endswith("ed"):
            return True
        if bare.endswith("s") and not bare.endswith(("'s", "ss")) and word[0].islower():
            return False
    return False
