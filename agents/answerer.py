"""The Answer Agent: a language model as the reader of an exam."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from agents.backbone import Backbone
from agents.generation import generate_with
from agents.prompts.answer import in_order, render_answer_prompt
from agents.trained_as import Record, options_of
from memgym.exam.reader import ReadingTask
from memgym.exam.reply import ANSWER_MARK, quotable, write_reply
from memgym.memory.budget import count_lexical_tokens

DEFAULTS = {"distil": False, "max_new_tokens": 32}
DISTIL_TOKENS = 64  # more, for the rows that name memories


class AnswerAgent:
    """Answers questions from core and retrieved entries: greedy, batched, one short line each.

    The ``Reader`` protocol of ``memgym.exam.reader``. While it answers, its adapter is the active one; afterwards the
    backbone is as it was, so a manager that is being trained on the same weights can be graded by it.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: str | None = None,
        *,
        distil: bool | None = None,
        max_new_tokens: int | None = None,
        window: int = 2000,
        max_batch_tokens: int | None = None,
        name: str | None = None,
        progress: bool = False,
    ) -> None:
        """Create the reader.

        Options that are None are as the adapter was trained (``agents.trained_as``), else as in ``DEFAULTS``.

        Args:
            backbone: Model and tokenizer, shared with any other agent.
            adapter: The LoRA adapter to answer with; None answers with the bare backbone.
            distil: Have it name the useful memories first, as ``agents.answer_policy`` trains it to.
            max_new_tokens: Longest reply, in tokens of the model; None is 32, or 96 to distil.
            window: Longest context, in lexical tokens.
            max_batch_tokens: See ``agents.generation.generate``.
            name: Written to records; None makes one of backbone and adapter.
            progress: Show a bar while questions are answered.

        Raises:
            ValueError: The window has no room, or the adapter was trained otherwise.
        """
        if window < 1:
            raise ValueError(f"reader window={window}: expected at least 1 lexical token")
        asked = {"distil": distil, "max_new_tokens": max_new_tokens}
        defaults = DEFAULTS | ({"max_new_tokens": DEFAULTS["max_new_tokens"] + DISTIL_TOKENS} if distil else {})
        options = options_of(backbone.trained_as.get(adapter or ""), "answerer", asked, defaults)
        self.backbone = backbone
        self.adapter = adapter
        self.distil: bool = options["distil"]
        self.max_new_tokens: int = options["max_new_tokens"]
        self.window = window
        self.max_batch_tokens = max_batch_tokens
        self.progress = progress
        self.name = name or f"lm({backbone.name}, {adapter or 'no adapter'})"

    @property
    def record(self) -> Record:
        """What an adapter is that is trained to act as this agent."""
        return {"role": "answerer", "distil": self.distil, "max_new_tokens": self.max_new_tokens}

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """One answer per task, in order; "" where the model says nothing."""
        generations = generate_with(
            self.backbone,
            self.adapter,
            [self.prompt_ids(task) for task in tasks],
            max_new_tokens=self.max_new_tokens,
            max_batch_tokens=self.max_batch_tokens,
            progress="answers" if self.progress else "",
        )
        return [read_answer(generation.text, marked=self.distil) for generation in generations]

    def prompt_ids(self, task: ReadingTask) -> list[int]:
        """The tokens the model reads for a question."""
        return render_answer_prompt(self.backbone.tokenizer, self._fit(task), distil=self.distil)

    def write(self, answer: str, task: ReadingTask, useful: Collection[int], speakers: Mapping[int, str]) -> str:
        """The reply to imitate for a gold answer, in which memories are named where the agent distils.

        Args:
            answer: The answer.
            task: What it answers.
            useful: Ids of the memories it follows from.
            speakers: Who says a memory, by its id; those that nobody says are left out.
        """
        answer = " ".join(answer.split())
        if not self.distil:
            return answer
        shown = in_order(task.context)
        places = [place for place, entry in enumerate(shown) if entry.id in useful]
        return write_reply(answer, places, [quotable(entry.text, speakers.get(entry.id, "")) for entry in shown])

    def _fit(self, task: ReadingTask) -> ReadingTask:
        """The task without the lowest-ranked entries that would not fit the window beside the core."""
        left = self.window - count_lexical_tokens(task.core)
        kept = 0
        for entry in task.context:
            left -= count_lexical_tokens(entry.text)
            if left < 0:
                break
            kept += 1
        return replace(task, context=task.context[:kept])


def read_answer(reply: str, *, marked: bool = False) -> str:
    """The answer in a reply: the first line, after the mark that Memory-R1 ends its distillation with if it is there.

    Source: arXiv 2508.19828, answer agent prompt.

    Args:
        reply: What the model wrote.
        marked: Whether the mark is asked for; without it there is no answer then.
    """
    before, mark, after = reply.partition(ANSWER_MARK)
    lines = (after if mark or marked else before).strip().splitlines()
    return lines[0].strip() if lines else ""
