"""MemLoRA's extraction prompt: a dated chunk, from which facts are written, one per line."""

from __future__ import annotations

from agents.prompts.chat import spoken_date

SYSTEM = {
    # For a small model that learns the rest from examples.
    "terse": "List the facts of this chat, one per line, with names and dates. If there are none: .",
    # For a model that follows instructions, such as a teacher.
    "full": """\
You take notes of a conversation for somebody who will answer questions about it later from your notes alone.
Write every fact worth keeping on a line of its own: what people did, have, like, want and plan, and when. Each line \
must make sense by itself, so use names instead of "I", "she" or "it", and calendar dates instead of "yesterday"; the \
first line of the conversation says which day it was. Leave out greetings, questions and small talk. Write nothing but \
these lines. If there is nothing worth keeping, write a single dot.

From
3 March 2024
Mina: Guess what, I adopted a cat yesterday! She is called Fig.
Tom: How sweet! See you on Friday.
you would write
Mina adopted a cat called Fig on 2 March 2024.""",
}


def user_text(chunk: str, timestamp: str) -> str:
    """The day, if it is known, and the chunk."""
    return f"{spoken_date(timestamp)}\n{chunk}" if timestamp else chunk
