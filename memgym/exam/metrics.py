"""Answer metrics: how right a short answer is, given the accepted golds.

One function per published variant, with the variant in its name: "F1" alone means at least four different things in the
field. Every metric takes a prediction and its golds, and returns the best score over the golds, in [0, 1].
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

Metric = Callable[[str, Sequence[str]], float]

ABSTENTION_PHRASES = ("no information available", "not mentioned")
"""What the LoCoMo scorer counts as "I cannot know": either phrase, anywhere in the lower-cased prediction."""

_DELETE_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LOCOMO_ARTICLES = re.compile(r"\b(a|an|the|and)\b")
_SQUAD_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SENTENCE_MARKS = re.compile(r"[.,!?]")
_BLEU_TOKENS = re.compile(r"\w+|[^\w\s]")
_CLOSED_ANSWERS = frozenset({"yes", "no", "noanswer"})


@lru_cache(maxsize=1)
def _porter() -> Callable[[str], str]:
    """The stemmer of the LoCoMo scorer; importing NLTK takes longer than importing memgym, so it waits for a caller."""
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer().stem


@lru_cache(maxsize=65536)
def porter_stem(word: str) -> str:
    """Porter stem of one word (NLTK's default mode, lower-cased), cached."""
    return _porter()(word)


def is_abstention(prediction: str) -> bool:
    """Whether ``prediction`` says that the answer cannot be known (one of ``ABSTENTION_PHRASES``)."""
    lowered = prediction.lower()
    return any(phrase in lowered for phrase in ABSTENTION_PHRASES)


def _f1(overlap: int, predicted: int, gold: int) -> float:
    """Harmonic mean of precision and recall from counts of tokens."""
    return 2 * overlap / (predicted + gold) if overlap else 0.0


def _multiset_f1(prediction: Sequence[str], gold: Sequence[str]) -> float:
    overlap = sum((Counter(prediction) & Counter(gold)).values())
    return _f1(overlap, len(prediction), len(gold))


# --- LoCoMo (arXiv 2402.17753, task_eval/evaluation.py) ---


def locomo_normalize(text: str) -> str:
    """Lower-case, without ASCII punctuation and without a, an, the **and "and"**; blanks collapsed."""
    bare = text.lower().translate(_DELETE_PUNCTUATION)
    return " ".join(_LOCOMO_ARTICLES.sub(" ", bare).split())


def _locomo_tokens(text: str) -> list[str]:
    return [porter_stem(token) for token in locomo_normalize(text).split()]


def locomo_f1_score(prediction: str, gold: str) -> float:
    """F1 over the multisets of Porter stems of two answers; 0 when both are empty."""
    return _multiset_f1(_locomo_tokens(prediction), _locomo_tokens(gold))


def locomo_multi_f1(prediction: str, gold: str) -> float:
    """F1 of comma-separated lists: mean over gold parts of the best part of the prediction (extra parts are free)."""
    predicted = [part.strip() for part in prediction.split(",")]
    parts = [part.strip() for part in gold.split(",")]
    return sum(max(locomo_f1_score(guess, part) for guess in predicted) for part in parts) / len(parts)


def _locomo_open_domain(prediction: str, gold: str) -> float:
    """F1 without the gold's explanation."""
    return locomo_f1_score(prediction, _unexplained(gold))


def _unexplained(gold: str) -> str:
    """Category 3: whatever follows the first semicolon of a gold is explanation and is not scored."""
    return gold.split(";")[0].strip()


# --- SQuAD and its relatives ---


def squad_normalize(text: str) -> str:
    """Lower-case, without ASCII punctuation and without a, an, the; blanks collapsed (arXiv 1606.05250)."""
    bare = text.lower().translate(_DELETE_PUNCTUATION)
    return " ".join(_SQUAD_ARTICLES.sub(" ", bare).split())


def squad_em_score(prediction: str, gold: str) -> float:
    """1 when the normalised answers are the same string, else 0."""
    return float(squad_normalize(prediction) == squad_normalize(gold))


def squad_f1_score(prediction: str, gold: str) -> float:
    """F1 over the multisets of normalised tokens; 1 when both are empty."""
    predicted, expected = squad_normalize(prediction).split(), squad_normalize(gold).split()
    if not predicted and not expected:
        return 1.0
    return _multiset_f1(predicted, expected)


def em_or_f1_score(prediction: str, gold: str) -> float:
    """The larger of SQuAD exact match and F1: dense enough to train small models on."""
    return max(squad_em_score(prediction, gold), squad_f1_score(prediction, gold))


def drqa_f1_score(prediction: str, gold: str) -> float:
    """SQuAD F1, but 0 when either side is yes, no or noanswer and the two differ (MemoryAgentBench)."""
    sides = {squad_normalize(prediction), squad_normalize(gold)}
    if len(sides) == 2 and sides & _CLOSED_ANSWERS:
        return 0.0
    return squad_f1_score(prediction, gold)


def substring_em_score(prediction: str, gold: str) -> float:
    """1 when the normalised gold occurs in the normalised prediction; word boundaries are ignored."""
    return float(squad_normalize(gold) in squad_normalize(prediction))


# --- other families ---


def set_f1_score(prediction: str, gold: str) -> float:
    """F1 over sets of lower-cased words, articles kept and nothing stemmed (A-MEM and its descendants)."""
    predicted = set(_SENTENCE_MARKS.sub(" ", prediction.lower()).split())
    expected = set(_SENTENCE_MARKS.sub(" ", gold.lower()).split())
    return _f1(len(predicted & expected), len(predicted), len(expected))


def bleu1_score(prediction: str, gold: str) -> float:
    r"""BLEU-1: clipped unigram precision times the brevity penalty (Papineni et al., 2002, eq. 3).

    Equal to NLTK's ``sentence_bleu`` with weights (1, 0, 0, 0) and smoothing method 1, over the lower-cased tokens
    ``\w+|[^\w\s]`` (NLTK's own tokenizer needs a data file).
    """
    predicted, expected = _BLEU_TOKENS.findall(prediction.lower()), _BLEU_TOKENS.findall(gold.lower())
    overlap = sum((Counter(predicted) & Counter(expected)).values())
    if not overlap:
        return 0.0
    brevity = min(1.0, math.exp(1 - len(expected) / len(predicted)))
    return brevity * overlap / len(predicted)


# --- the registry ---


def _best(pair_score: Callable[[str, str], float]) -> Metric:
    """Lift a score of one pair to the best over the golds."""

    def metric(prediction: str, golds: Sequence[str]) -> float:
        return max(pair_score(prediction, gold) for gold in golds)

    metric.__name__, metric.__doc__ = pair_score.__name__.removesuffix("_score"), pair_score.__doc__
    return metric


def _abstained(prediction: str, golds: Iterable[str]) -> float:
    """1 when the prediction is an abstention; the golds play no part."""
    return float(is_abstention(prediction))


METRICS: dict[str, Metric] = {
    "squad_em": _best(squad_em_score),
    "squad_f1": _best(squad_f1_score),
    "em_or_f1": _best(em_or_f1_score),
    "substring_em": _best(substring_em_score),
    "bleu1": _best(bleu1_score),
    "set_f1": _best(set_f1_score),
    "drqa_f1": _best(drqa_f1_score),
    "locomo_1": _best(locomo_multi_f1),
    "locomo_2": _best(locomo_f1_score),
    "locomo_3": _best(_locomo_open_domain),
    "locomo_4": _best(locomo_f1_score),
    "locomo_5": _abstained,
    "abstain": _abstained,
}


def scored_golds(metric: str, golds: Sequence[str]) -> tuple[str, ...]:
    """What of each gold ``metric`` compares a prediction with: all of it, but for the explanations of ``locomo_3``."""
    return tuple(map(_unexplained, golds)) if metric == "locomo_3" else tuple(golds)


def exact_match(metric: str, prediction: str, golds: Sequence[str]) -> float:
    """1 when an answer to a question of ``metric`` is one of its golds in SQuAD normalisation, else 0.

    Raises:
        ValueError: no golds.
    """
    return score("squad_em", prediction, scored_golds(metric, golds))


def score(metric: str, prediction: str, golds: Sequence[str]) -> float:
    """Score one answer by the name of its metric.

    Args:
        metric: a key of ``METRICS``; ``locomo_<c>`` is the official scorer of LoCoMo category c.
        prediction: the answer to grade.
        golds: the accepted answers, at least one; ignored by ``locomo_5`` and ``abstain``.

    Returns:
        The best score over the golds, in [0, 1].

    Raises:
        ValueError: unknown metric, or no golds.
        TypeError: ``golds`` is one string instead of a sequence of strings.
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}: expected one of {', '.join(METRICS)}")
    if isinstance(golds, str):
        raise TypeError(f"golds={golds!r} is one string: pass a sequence of accepted answers, e.g. [{golds!r}]")
    if not golds:
        raise ValueError("golds is empty: pass at least one accepted answer")
    return METRICS[metric](prediction, golds)
