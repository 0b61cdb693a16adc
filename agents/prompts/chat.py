"""From a system and a user text to the tokens a chat model reads."""

from __future__ import annotations

from typing import cast

from transformers import PreTrainedTokenizerBase

from memgym.dates import format_day, parse_timestamp


def chat_ids(tokenizer: PreTrainedTokenizerBase, system: str, user: str) -> list[int]:
    """The conversation up to where the reply starts, tokenised once.

    There always is a system text: without one, templates such as SmolLM2's put in their own. Control tokens within
    the texts, an end-of-message mark in a stored web page say, are read as ordinary characters. Models that can think
    before they reply are asked not to.

    Args:
        tokenizer: With a chat template.
        system: What stays the same from prompt to prompt; prompts that start alike are read once per batch.
        user: What differs.

    Raises:
        ValueError: If the tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no chat template: choose an instruction-tuned model"
        )
    ids = tokenizer.apply_chat_template(
        [{"role": "system", "content": system}, {"role": "user", "content": user}],
        add_generation_prompt=True,
        sanitize_control_tokens=True,
        return_dict=False,
        enable_thinking=False,
    )
    return cast(list[int], ids)


def spoken_date(timestamp: str) -> str:
    """The day of an ISO 8601 time as people write it, "8 May 2023"; what is not ISO 8601 stays as it is.

    Three tokens shorter than "2023-05-08" where every digit is a token, and how answers are expected.
    """
    day = parse_timestamp(timestamp)
    return format_day(day) if day else timestamp
