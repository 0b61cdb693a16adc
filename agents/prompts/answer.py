"""The Answer Agent's prompt: dated memories and a question."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from agents.prompts.chat import chat_ids, spoken_date
from memgym.exam.reader import ABSTENTION, ReadingTask
from memgym.exam.reply import ANSWER_MARK
from memgym.memory.operations import Entry

SYSTEM = f"Answer in six words or fewer from these notes; later ones win. If they do not say: {ABSTENTION}"
DISTIL = (
    f"Copy the first words of each note that helps, one per row, then write {ANSWER_MARK} and the answer in six words "
    "or fewer; later notes win."
)


def render_answer_prompt(tokenizer: PreTrainedTokenizerBase, task: ReadingTask, *, distil: bool = False) -> list[int]:
    """Token ids of the prompt for one question.

    Memories come in order of time, not of rank: where two contradict, the one further down is the newer.

    Args:
        tokenizer: With a chat template.
        task: Its context must already fit the reader's window.
        distil: Ask for the useful memories before the answer (arXiv 2508.19828, memory distillation).
    """
    return chat_ids(tokenizer, DISTIL if distil else SYSTEM, user_text(task))


def user_text(task: ReadingTask) -> str:
    """Core, memories and question, one per line; nothing that is empty."""
    lines = [task.core] if task.core else []
    lines += [_dated_line(entry) for entry in in_order(task.context)]
    asked = f" ({spoken_date(task.timestamp)})" if task.timestamp else ""
    return "\n".join([*lines, f"Question{asked}: {task.question}"])


def in_order(context: Sequence[Entry]) -> list[Entry]:
    """The memories as they are shown: by time, then by id."""
    return sorted(context, key=lambda entry: (entry.timestamp, entry.id))


def _dated_line(entry: Entry) -> str:
    return f"{spoken_date(entry.timestamp)}: {entry.text}" if entry.timestamp else entry.text
