"""Reward terms of the answer environments, and how they are weighed.

Every term is logged under its own name, unweighted; the reward is the weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from memgym.exam.exam import GradedAnswer
from memgym.exam.metrics import exact_match
from memgym.exam.reply import Reply
from memgym.exam.retrieval_metrics import evidence_recall
from memgym.tasks.episode import Episode


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """What an answer episode ended with."""

    episode: Episode
    reply: Reply
    selected_turns: tuple[str, ...]  # ids of the turns behind the memories that the reply named
    graded: GradedAnswer


def em(outcome: AnswerOutcome) -> float:
    """1 for an exact match (SQuAD normalisation; the paper does not name its own), else 0."""
    return exact_match(outcome.graded.metric, outcome.graded.prediction, outcome.graded.answers)


def f1(outcome: AnswerOutcome) -> float:
    """Score by the question's own metric: for LoCoMo the official F1 of its category."""
    return outcome.graded.score


def em_else_f1(outcome: AnswerOutcome) -> float:
    """1 for an exact match, else ``f1``: dense enough to train small models on."""
    return max(em(outcome), f1(outcome))


def format_kept(outcome: AnswerOutcome) -> float:
    """1 when there is an answer after the mark and every row before it names a memory, else 0."""
    return float(bool(outcome.reply.answer) and not outcome.reply.unknown)


def selected(outcome: AnswerOutcome) -> float:
    """Number of memories that the reply named."""
    return float(len(outcome.reply.selected))


def selected_recall(outcome: AnswerOutcome) -> float:
    """Share of the question's evidence turns behind the memories named; 0 for a question without evidence."""
    (question,) = outcome.episode.questions
    return evidence_recall(outcome.selected_turns, question.evidence) or 0.0


ANSWER_TERMS: dict[str, Callable[[AnswerOutcome], float]] = {
    "em": em,
    "f1": f1,
    "em_else_f1": em_else_f1,
    "format": format_kept,
    "selected": selected,
    "selected_recall": selected_recall,
}
ANSWER_REWARDS = ("em", "f1", "em_else_f1")


@dataclass(frozen=True)
class AnswerReward:
    """The terms and their weights; a term of weight 0 is logged and does not count."""

    name: str
    episode_terms: Mapping[str, float]  # name -> weight, of all of ``ANSWER_TERMS``
    step_terms: ClassVar[Mapping[str, Any]] = {}

    def score(self, outcome: AnswerOutcome) -> dict[str, float]:
        """Unweighted terms by name."""
        return {name: ANSWER_TERMS[name](outcome) for name in self.episode_terms}

    def total(self, terms: Mapping[str, float]) -> float:
        """Weighted sum of the terms given."""
        return sum((self.episode_terms[name] * value for name, value in terms.items()), 0.0)


def get_answer_reward(reward: str | Mapping[str, float] | AnswerReward) -> AnswerReward:
    """A reward by name, or by the weights of its terms; an ``AnswerReward`` passes through.

    Args:
        reward: "em" as in Memory-R1 (arXiv 2508.19828, Eq. 4), "f1", "em_else_f1", or weights such as
            ``{"em_else_f1": 1.0, "format": 0.1}``.

    Raises:
        ValueError: There is no such reward or term.
    """
    if isinstance(reward, AnswerReward):
        return reward
    if isinstance(reward, str):
        if reward not in ANSWER_REWARDS:
            raise ValueError(
                f"reward {reward!r} is unknown; choose one of {', '.join(ANSWER_REWARDS)} or pass weights of "
                f"{', '.join(ANSWER_TERMS)}"
            )
        return _weighed(reward, {reward: 1.0})
    if unknown := [name for name in reward if name not in ANSWER_TERMS]:
        raise ValueError(f"reward has no term {unknown[0]!r}; its terms are {', '.join(ANSWER_TERMS)}")
    return _weighed(" + ".join(f"{weight:g} {name}" for name, weight in reward.items()), reward)


def _weighed(name: str, weights: Mapping[str, float]) -> AnswerReward:
    return AnswerReward(name, {term: float(weights.get(term, 0.0)) for term in ANSWER_TERMS})
