"""From a teacher's replies to what a student learns from: repaired, or left out and counted under the reason."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.fact_pipeline import ExtractRequest, Reply, UpdateRequest
from agents.facts import Change, read_changes, read_facts, says_nothing, write_changes, write_facts
from agents.prompts import answer as answer_prompt
from agents.prompts import extract as extract_prompt
from agents.prompts import update as update_prompt
from memgym.exam.metrics import squad_f1_score
from memgym.exam.reader import ReadingTask, gold_answers
from memgym.memory.budget import count_lexical_tokens
from memgym.tasks.episode import Question
from train.fact_checks import change_fault, fact_fault

MIN_F1 = 0.5  # of a teacher's answer that is kept in place of the gold one


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt in its two parts, and the completion to learn."""

    system: str
    user: str
    completion: str


@dataclass
class Cleaner:
    """Makes lessons of requests and replies. Its limits are in lexical tokens: a lesson belongs to no tokenizer."""

    max_tokens: int = 1500  # of prompt and completion together, in lexical tokens
    max_completion: int = 200  # lexical tokens
    none_share: float = 0.3  # most NONE among the lessons of update
    counts: dict[str, Counter[str]] = field(default_factory=dict)  # operation -> reason -> how often

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.max_completion < 1 or not 0.0 <= self.none_share < 1.0:
            raise ValueError(
                f"max_tokens={self.max_tokens}, max_completion={self.max_completion}, none_share={self.none_share}: "
                "expected limits of at least 1 token and a share in [0, 1)"
            )

    def extract(self, request: ExtractRequest, reply: Reply) -> Lesson | None:
        """An extraction without the facts that are repeated, about nobody or without support in the chunk."""
        facts = read_facts(reply.text)
        if self._unusable("extract", reply, readable=bool(facts) or says_nothing(reply.text)):
            return None
        kept: list[str] = []
        for fact in facts:
            if fault := fact_fault(fact, request.chunk, kept):
                self.count("extract", fault)
            else:
                kept.append(fact)
        if facts and not kept:  # "." would teach that there was nothing to keep
            self.count("extract", "no_fact_left")
            return None
        user = extract_prompt.user_text(request.chunk, request.timestamp)
        return self._fitting("extract", Lesson(extract_prompt.SYSTEM["terse"], user, write_facts(kept)))

    def update(self, request: UpdateRequest, reply: Reply) -> Lesson | None:
        """An update; one faulty change rejects it."""
        changes = read_changes(reply.text)
        if self._unusable("update", reply, readable=all(change.kind != "INVALID" for change in changes)):
            return None
        if fault := next(filter(None, (change_fault(c, request.fact, request.notes) for c in changes)), ""):
            self.count("update", fault)
            return None
        user = update_prompt.user_text(request.fact, request.notes, request.timestamp)
        completion = write_changes([_shortest(change, request.fact) for change in changes])
        return self._fitting("update", Lesson(update_prompt.SYSTEM["terse"], user, completion))

    def answer(self, task: ReadingTask, question: Question, prediction: str | None) -> Lesson | None:
        """An answer: the teacher's if it is right, else the gold one.

        Args:
            task: What the reader was given.
            question: With the gold answers.
            prediction: The teacher's answer; None from a teacher that gives the gold ones.
        """
        golds = gold_answers(question)
        completion = golds[0]
        if prediction is not None and max(squad_f1_score(prediction, gold) for gold in golds) >= MIN_F1:
            completion = prediction.strip()
        elif prediction is not None:
            self.count("answer", "gold_substituted")
        return self._fitting("answer", Lesson(answer_prompt.SYSTEM, answer_prompt.user_text(task), completion))

    def cap_none(self, completions: Sequence[str], seed: int) -> list[int]:
        """Indices, in order, of the update lessons to keep: at most ``none_share`` of them are NONE.

        Args:
            completions: Of all update lessons.
            seed: Decides which NONE go.
        """
        idle = [row for row, completion in enumerate(completions) if completion == "NONE"]
        allowed = int((len(completions) - len(idle)) * self.none_share / (1.0 - self.none_share))
        surplus = set(random.Random(f"{seed}:none").sample(idle, max(0, len(idle) - allowed)))
        self.count("update", "none_over_cap", len(surplus))
        return [row for row in range(len(completions)) if row not in surplus]

    def count(self, operation: str, reason: str, number: int = 1) -> None:
        """Note ``number`` more cases of ``reason``."""
        if number:
            self.counts.setdefault(operation, Counter())[reason] += number

    def _unusable(self, operation: str, reply: Reply, *, readable: bool) -> bool:
        """Whether a reply is rejected as a whole; counts why."""
        faults = {
            "truncated": reply.truncated,
            "empty": not reply.text.strip(),
            "unreadable": not readable,
            "reply_too_long": count_lexical_tokens(reply.text) > self.max_completion,
        }
        reason = next((name for name, found in faults.items() if found), "")
        self.count(operation, reason, int(bool(reason)))
        return bool(reason)

    def _fitting(self, operation: str, lesson: Lesson) -> Lesson | None:
        """The lesson, unless it is too long as a whole."""
        length = count_lexical_tokens(f"{lesson.system} {lesson.user} {lesson.completion}")
        if length <= self.max_tokens:
            return lesson
        self.count(operation, "too_long")
        return None


def _shortest(change: Change, fact: str) -> Change:
    """An update to the fact's own words need not repeat them."""
    return Change("UPDATE", change.number) if change.kind == "UPDATE" and change.text == fact else change
