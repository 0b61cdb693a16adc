"""How well each adapter of MemLoRA does its own part: its replies to held-out calls, beside a teacher's.

Which adapter is taken is decided by the score of the whole pipeline (train/select_adapters.py). These figures say what
an adapter contributes to it:

=======  ========================================================================================================
extract  readable replies; precision, recall and F1 of facts, where a fact counts by the turns it comes from
update   readable replies; those of them that name shown notes only (valid_ids); accuracy and macro-F1 of ADD,
         UPDATE, DELETE and NONE
answer   SQuAD F1, BLEU-1, ROUGE-L, METEOR against the gold answers, and their mean
=======  ========================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.facts import read_changes, read_facts, says_nothing
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.metrics import bleu1_score, squad_f1_score
from memgym.exam.reader import Reader, ReadingTask, gold_answers
from memgym.memory.provenance import attribute_sources
from memgym.rollout import rollout
from memgym.statistics import mean_or_zero
from memgym.tasks.episode import Turn
from train.teachers import RuleTeacher

CHANGES = ("ADD", "UPDATE", "DELETE", "NONE")
Quality = dict[str, float]  # by the name of the metric, all in [0, 1]
Call = TypeVar("Call")


@dataclass(frozen=True, slots=True)
class Extraction:
    """An extraction that a teacher was asked for."""

    request: ExtractRequest
    turns: tuple[Turn, ...]  # of the chunk
    sources: tuple[tuple[str, ...], ...]  # of each of the teacher's facts, the ids of the turns it comes from


@dataclass(frozen=True, slots=True)
class Revision:
    """An update that a teacher was asked for."""

    request: UpdateRequest
    kinds: tuple[str, ...]  # of the teacher's changes


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of an exam, over the teacher's memory."""

    task: ReadingTask
    golds: tuple[str, ...]


@dataclass
class HeldOutCalls:
    """What a teacher was asked for over some episodes. Kept in memory: nobody is to train on it."""

    extract: list[Extraction] = field(default_factory=list)
    update: list[Revision] = field(default_factory=list)
    answer: list[Asked] = field(default_factory=list)

    def at_most(self, limit: int) -> HeldOutCalls:
        """So many per operation, spread evenly."""
        return HeldOutCalls(*(_spread(calls, limit) for calls in (self.extract, self.update, self.answer)))


def _spread(calls: list[Call], limit: int) -> list[Call]:
    count = min(limit, len(calls))
    return [calls[number * len(calls) // count] for number in range(count)]


def teacher_calls(env: MemoryVectorEnv, teacher: RuleTeacher, episodes: Sequence[int]) -> HeldOutCalls:
    """Let a teacher manage the memory of some episodes, and note what it was asked and how it replied.

    Args:
        env: With the ``env_overrides`` of the teacher; its reader is not looked at.
        teacher: Knows the turns of its facts.
        episodes: Indices in the task.
    """
    calls = HeldOutCalls()

    def note(request: ExtractRequest | UpdateRequest, reply: Reply) -> None:
        if isinstance(request, UpdateRequest):
            calls.update.append(Revision(request, tuple(change.kind for change in read_changes(reply.text))))
            return
        sources = tuple(teacher.turn_ids(request, fact) for fact in read_facts(reply.text))
        calls.extract.append(
            Extraction(request, env.task.episode(request.episode).chunks[request.index].turns, sources)
        )

    teacher.listener = note
    for start in range(0, len(episodes), env.num_envs):
        batch = episodes[start : start + env.num_envs]
        rollout(env, teacher, batch)
        for number in range(len(batch)):
            paper = env.envs[number].paper()
            tasks = [(env.exam.reading_task(paper, question), question) for question in paper.questions]
            calls.answer += [Asked(task, gold_answers(question)) for task, question in tasks]
    return calls


def extract_quality(policy: FactPipeline, calls: Sequence[Extraction]) -> Quality:
    """Quality of extractions.

    A fact of the policy is right if it comes from a turn that one of the teacher's facts of this chunk comes from; a
    fact of the teacher is found if the policy has one from the same turn. Sums go over all chunks. Where the policy's
    facts come from is decided by their words (``memgym.memory.provenance``).
    """
    replies = policy.extract([call.request for call in calls])
    readable = right = written = found = known = 0
    for call, reply in zip(calls, replies, strict=True):
        facts = read_facts(reply.text, truncated=reply.truncated)
        readable += not reply.truncated and (bool(facts) or says_nothing(reply.text))
        sources = [set(attribute_sources(fact, call.turns)) for fact in facts]
        right += sum(any(own.intersection(theirs) for theirs in call.sources) for own in sources)
        found += sum(any(own.intersection(theirs) for own in sources) for theirs in call.sources)
        written, known = written + len(facts), known + len(call.sources)
    precision, recall = _share(right, written), _share(found, known)
    f1 = _share(2 * precision * recall, precision + recall)
    return {"readable": _share(readable, len(calls)), "precision": precision, "recall": recall, "f1": f1}


def update_quality(policy: FactPipeline, calls: Sequence[Revision]) -> Quality:
    """Quality of updates: their kinds against the teacher's, macro-F1 over the kinds that either of them uses."""
    replies = policy.update([call.request for call in calls])
    written = [read_changes(reply.text) for reply in replies]
    kinds = [tuple(change.kind for change in changes) for changes in written]
    pairs = list(zip(kinds, (call.kinds for call in calls), strict=True))
    readable = ["INVALID" not in own for own in kinds]
    shown = [
        all(1 <= change.number <= len(call.request.notes) for change in changes if change.kind in ("UPDATE", "DELETE"))
        for changes, call in zip(written, calls, strict=True)
    ]
    return {
        "readable": mean_or_zero(readable),
        "valid_ids": mean_or_zero([both == (True, True) for both in zip(readable, shown, strict=True)]),
        "accuracy": mean_or_zero([sorted(own) == sorted(theirs) for own, theirs in pairs]),
        "macro_f1": mean_or_zero([f1 for kind in CHANGES if (f1 := _kind_f1(kind, pairs)) is not None]),
    }


def _kind_f1(kind: str, pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> float | None:
    """F1 of "one of the changes is of this kind"; None if it never is."""
    both = sum(kind in own and kind in theirs for own, theirs in pairs)
    either = sum((kind in own) + (kind in theirs) for own, theirs in pairs)
    return 2 * both / either if either else None


def answer_quality(reader: Reader, calls: Sequence[Asked]) -> Quality:
    """Quality of answers, the best over the golds of each. ``lexical_mean`` is the mean of the other four."""
    predictions = reader.answer([call.task for call in calls])
    quality = {
        name: mean_or_zero(
            [max(metric(guess, gold) for gold in call.golds) for guess, call in zip(predictions, calls, strict=True)]
        )
        for name, metric in ANSWER_METRICS.items()
    }
    return quality | {"lexical_mean": mean_or_zero(list(quality.values()))}


def rouge_l_score(prediction: str, gold: str) -> float:
    """F1 of the longest common subsequence of words (Lin, 2004, section 3.1), lower-cased, without stemming."""
    guess, wanted = (re.findall(r"\w+", text.lower()) for text in (prediction, gold))
    lengths = [0] * (len(wanted) + 1)  # of the longest subsequence common to the guess so far and wanted[:n]
    for word in guess:
        before = lengths
        lengths = [0]
        for n, other in enumerate(wanted, start=1):
            lengths.append(before[n - 1] + 1 if word == other else max(before[n], lengths[n - 1]))
    return _share(2 * lengths[-1], len(guess) + len(wanted))


def meteor_score(prediction: str, gold: str) -> float:
    """METEOR (Banerjee and Lavie, 2005) by exact words and stems; its synonyms would need a download.

    Of a single matched word half the score is taken off for fragmentation: short answers get at most .5.
    """
    from nltk.translate.meteor_score import single_meteor_score

    guess, wanted = (re.findall(r"\w+", text.lower()) for text in (prediction, gold))
    return float(single_meteor_score(wanted, guess, wordnet=_NoSynonyms()))


class _NoSynonyms:
    """Stands in for NLTK's WordNet reader."""

    def synsets(self, word: str) -> list[Any]:
        """None."""
        return []


ANSWER_METRICS: dict[str, Callable[[str, str], float]] = {
    "squad_f1": squad_f1_score,
    "bleu1": bleu1_score,
    "rouge_l": rouge_l_score,
    "meteor": meteor_score,
}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
