"""Reward terms by name, and the recipes that weigh them.

A *step term* scores one chunk's operations, an *episode term* the finished memory. Every term of a recipe is logged
under its own name, unweighted; rewards are weighted sums. The environment divides step terms by the number of chunks,
so that an episode's return is the mean of its step terms plus its episode terms: summed, they would outgrow the exam,
which counts once, and a policy that maximises the return would learn to write nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from memgym.exam import metrics
from memgym.exam.exam import ExamResult, GradedAnswer
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Entry, OperationResult
from memgym.memory.provenance import content_words, coverage
from memgym.statistics import mean_or_zero
from memgym.tasks.episode import Chunk, Episode

WRITES = ("insert", "update")
CALLS = (*WRITES, "delete", "invalid")  # searches and no-ops change nothing and are not judged


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What happened at one step, for step terms."""

    chunk: Chunk
    results: tuple[OperationResult, ...]
    core_before: str
    bank: MemoryBank  # after the step

    @property
    def calls(self) -> tuple[OperationResult, ...]:
        """Results of the operations that meant to change the memory."""
        return tuple(result for result in self.results if result.operation.kind in CALLS)


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """What an episode ended with, for episode terms."""

    episode: Episode
    bank: MemoryBank
    exam: ExamResult


StepTerm = Callable[[StepOutcome], float]
EpisodeTerm = Callable[[EpisodeOutcome], float]
# Decides whether a stored text belongs in its store: (store, text) -> valid. A language model may stand here.
ContentJudge = Callable[[str, str], bool]


# --- Terms of Mem-alpha (arXiv 2509.25911, section 3.3) --------------------------------------------------------------


def correctness(outcome: EpisodeOutcome) -> float:
    """r1: mean score of the exam's questions, each by its own metric."""
    return outcome.exam.score


def compression(outcome: EpisodeOutcome) -> float:
    """r3: 1 - tokens(memory) / tokens(all chunks). Unclipped: negative when the memory is larger than its input."""
    count = outcome.bank.count_tokens
    stream = sum(count(chunk.text) for chunk in outcome.episode.chunks)
    return 1.0 - outcome.bank.tokens() / stream if stream else 0.0


def tool_success(outcome: StepOutcome) -> float:
    """r2: share of calls that succeeded; 0 for a chunk without calls.

    As in the paper's code, a duplicate insert is a failure and deleting an entry that is not there is a success.
    """
    calls = outcome.calls
    return mean_or_zero([_paper_success(call) for call in calls])


def _paper_success(call: OperationResult) -> bool:
    return call.ok or (call.operation.kind == "delete" and call.code == "unknown_id")


def rule_judge(store: str, text: str) -> bool:
    """Whether ``text`` reads like content of ``store``, judged by rule, without the chunk, as in the paper.

    core: more than a placeholder, at least three content words. semantic: at least two. episodic: at least two, and
    a time (a digit or a month, a weekday or a relative day).
    """
    words = content_words(text)
    if store == "core":
        return len(words) >= 3
    if store == "semantic":
        return len(words) >= 2
    if store == "episodic":
        return len(words) >= 2 and _names_a_time(text)
    return False


_TIMES = """january february march april may june july august september october november december monday tuesday
wednesday thursday friday saturday sunday yesterday today tomorrow tonight last next ago week weekend month year"""
_TIME_WORDS = frozenset(_TIMES.split())


def _names_a_time(text: str) -> bool:
    return any(character.isdigit() for character in text) or bool(_TIME_WORDS & content_words(text))


def content_term(judge: ContentJudge = rule_judge) -> StepTerm:
    """r4: share of calls whose text the judge finds valid; 0 for a chunk without calls.

    As in the paper's code: deletes, unknown stores and empty texts score 0, and a failed call is still judged on its
    text. An operation that names its entry instead of a store is judged by the entry's store.
    """
    return partial(_content, judge=judge)


def _content(outcome: StepOutcome, judge: ContentJudge) -> float:
    return mean_or_zero([_judged(call, judge) for call in outcome.calls])


def _judged(call: OperationResult, judge: ContentJudge) -> bool:
    operation = call.operation
    store = operation.store or (call.after.store if call.after else "")
    if operation.kind not in WRITES or not operation.text.strip():
        return False
    if operation.timestamp and store == "episodic":
        return judge(store, f"{operation.timestamp} {operation.text}")
    return judge(store, operation.text)


# --- Terms of Memory-R1 (arXiv 2508.19828, Eq. 4) --------------------------------------------------------------------


def exact_match(outcome: EpisodeOutcome) -> float:
    """R: share of questions answered exactly (SQuAD normalisation; the paper does not name its own)."""
    return mean_or_zero([_matches(answer) for answer in outcome.exam.answers])


def em_else_f1(outcome: EpisodeOutcome) -> float:
    """Mean over the questions of 1 for an exact match, else the question's own metric."""
    return mean_or_zero([max(_matches(answer), answer.score) for answer in outcome.exam.answers])


def _matches(answer: GradedAnswer) -> float:
    return metrics.exact_match(answer.metric, answer.prediction, answer.answers)


# --- Terms of memgym -------------------------------------------------------------------------------------------------

_SUPPORTED = 0.5  # share of a text's content words that the chunk or the text it replaces must explain


def failed(outcome: StepOutcome) -> float:
    """Share of calls that failed; 0 for a chunk without calls, so that doing nothing is neutral."""
    return mean_or_zero([not call.ok for call in outcome.calls])


def unsupported(outcome: StepOutcome) -> float:
    """Share of successful writes of which the chunk, the text replaced and the old core explain less than half."""
    writes = [call for call in outcome.calls if call.ok and call.operation.kind in WRITES]
    return mean_or_zero([not _is_supported(write, outcome) for write in writes])


def _is_supported(write: OperationResult, outcome: StepOutcome) -> bool:
    replaced = write.before.text if write.before else ""
    return coverage(write.operation.text, "\n".join((outcome.chunk.text, replaced, outcome.core_before))) >= _SUPPORTED


def unjustified_delete(outcome: StepOutcome) -> float:
    """Share of successful deletes that nothing visible justifies.

    A delete is justified when the entry repeats another one, when the chunk speaks of the same thing (superseded or
    contradicted), or when a later write of the step needed the room.
    """
    deletes = [call for call in outcome.calls if call.ok and call.operation.kind == "delete"]
    return mean_or_zero([not _is_justified(delete, outcome) for delete in deletes])


def _is_justified(delete: OperationResult, outcome: StepOutcome) -> bool:
    entry = delete.before
    if entry is None or entry.store == "core":  # the core was cleared: as good as what replaced it
        return bool(outcome.bank.core)
    if coverage(entry.text, outcome.chunk.text) >= _SUPPORTED:
        return True
    if any(coverage(entry.text, other.text) == 1.0 for other in outcome.bank.entries(entry.store)):
        return True
    return _was_evicted(entry, outcome)


def _was_evicted(entry: Entry, outcome: StepOutcome) -> bool:
    left = outcome.bank.budget_left()
    room = [tokens for tokens in (left["total"], left[entry.store]) if tokens is not None]
    wrote = any(call.ok and call.operation.kind in WRITES for call in outcome.calls)
    return wrote and bool(room) and min(room) < outcome.bank.count_tokens(entry.text)


def evidence_recall(outcome: EpisodeOutcome) -> float:
    """Mean share of a question's evidence turns among the sources of what was retrieved for it."""
    return mean_or_zero([a.evidence_recall for a in outcome.exam.answers if a.evidence_recall is not None])


# --- Recipes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """A reward: named terms and their weights. A term of weight 0 is logged and does not count."""

    name: str
    step_terms: Mapping[str, tuple[float, StepTerm]] = field(default_factory=dict)
    episode_terms: Mapping[str, tuple[float, EpisodeTerm]] = field(default_factory=dict)

    def score_step(self, outcome: StepOutcome) -> dict[str, float]:
        """Unweighted step terms by name."""
        return {name: float(term(outcome)) for name, (_, term) in self.step_terms.items()}

    def score_episode(self, outcome: EpisodeOutcome) -> dict[str, float]:
        """Unweighted episode terms by name."""
        return {name: float(term(outcome)) for name, (_, term) in self.episode_terms.items()}

    def total(self, terms: Mapping[str, float]) -> float:
        """Weighted sum of the terms given, of whichever kind."""
        weights = {name: weight for name, (weight, _) in (*self.step_terms.items(), *self.episode_terms.items())}
        return sum((weights[name] * value for name, value in terms.items()), 0.0)

    def reweighted(self, **weights: float) -> Recipe:
        """The same terms under other weights.

        Raises:
            ValueError: A name is not a term of this recipe.
        """
        unknown = sorted(set(weights) - set(self.step_terms) - set(self.episode_terms))
        if unknown:
            known = ", ".join((*self.step_terms, *self.episode_terms))
            raise ValueError(f"reward {self.name!r} has no term {', '.join(unknown)}; its terms are {known}")
        return replace(
            self,
            step_terms={n: (weights.get(n, w), t) for n, (w, t) in self.step_terms.items()},
            episode_terms={n: (weights.get(n, w), t) for n, (w, t) in self.episode_terms.items()},
        )


def mem_alpha(judge: ContentJudge = rule_judge, *, beta: float = 0.05, gamma: float = 0.1) -> Recipe:
    """Mem-alpha's reward r1 + r2 + beta r3 + gamma r4 (arXiv 2509.25911, Eq. 5), its edge cases included.

    The paper pays every chunk r1 + beta r3 of its whole episode and r2 + gamma r4 of its own: that is
    ``Trajectory.turn_reward``. It sums nothing over an episode; the return of the environment is the mean of these
    rewards over the chunks.

    Two edge cases differ by design: a core text over its budget fails here (the paper cuts it and counts a success),
    and the answers come from a greedy reader (the paper samples at temperature 0.7).

    Args:
        judge: Decides r4; by rule unless a model is given.
        beta: Weight of compression. 0.2 and more collapsed training in the paper.
        gamma: Weight of content validity.
    """
    return Recipe(
        "mem_alpha",
        step_terms={"tool_success": (1.0, tool_success), "content": (gamma, content_term(judge))},
        episode_terms={"correctness": (1.0, correctness), "compression": (beta, compression)},
    )


def memory_r1(reward: str = "exact_match") -> Recipe:
    """Memory-R1's reward: exact match of the answers, nothing else (arXiv 2508.19828, Eq. 4).

    Small models match too seldom for it: ``reward`` may also be "correctness", or "em_else_f1", the larger of the two.
    """
    name = "memory_r1" if reward == "exact_match" else f"memory_r1({reward})"
    terms = {term.__name__: (0.0, term) for term in (exact_match, correctness, em_else_f1)}
    return Recipe(name, episode_terms=terms).reweighted(**{reward: 1.0})


def memgym() -> Recipe:
    """Ours: the exam decides; failed calls, inventions and unjustified deletes cost a little; doing nothing is free.

    Meant for a hard budget, which takes the place of the compression term. A duplicate insert fails, so it earns
    nothing and costs what any failed call costs.
    """
    return Recipe(
        "memgym",
        step_terms={
            "failed": (-0.1, failed),
            "unsupported": (-0.1, unsupported),
            "unjustified_delete": (-0.1, unjustified_delete),
        },
        episode_terms={
            "correctness": (1.0, correctness),
            "evidence_recall": (0.0, evidence_recall),
            "compression": (0.0, compression),
        },
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"mem_alpha": mem_alpha, "memory_r1": memory_r1, "memgym": memgym}


def get_recipe(reward: str | Recipe) -> Recipe:
    """A recipe by name; a ``Recipe`` passes through.

    Raises:
        ValueError: No recipe has that name.
    """
    if isinstance(reward, Recipe):
        return reward
    if reward not in RECIPES:
        raise ValueError(f"reward {reward!r} is unknown; choose one of {', '.join(RECIPES)} or pass a Recipe")
    return RECIPES[reward]()
