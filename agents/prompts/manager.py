"""The Memory Manager's prompt: an observation in one of two styles."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from agents.prompts import manager_full, manager_quote, manager_terse
from agents.prompts.chat import chat_ids
from memgym.envs.spaces import Observation
from memgym.memory.codecs import Codec, MemoryR1Codec, get_codec
from memgym.memory.operations import STORES, Store

STYLES = {"full": manager_full, "terse": manager_terse, "quote": manager_quote}


def render_manager_prompt(
    tokenizer: PreTrainedTokenizerBase,
    observation: Observation,
    codec: Codec,
    style: str = "terse",
    *,
    search: bool = False,
) -> list[int]:
    """Token ids of the prompt for one observation.

    Args:
        tokenizer: With a chat template.
        observation: Fields as in ``memgym.envs.memory.MemoryEnv``.
        codec: How operations are to be written.
        style: "full" explains everything, for models that follow instructions; "terse" says as little as possible,
            for small models that are fine-tuned on it; "quote" has lines kept by their first words.
        search: Whether to offer searching.

    Raises:
        ValueError: Unknown style, or a codec that cannot do what is offered.
    """
    _check_style(style)
    system = STYLES[style].system_text(codec, usable_stores(observation, codec), search=search)
    return chat_ids(tokenizer, system, STYLES[style].user_text(observation))


def check_format(codec: str, style: str, *, search: bool) -> None:
    """See that prompts of this kind can be made.

    Raises:
        ValueError: There is no such codec or style, or one of them has no words for searching.
    """
    _check_style(style)
    writer = get_codec(codec)
    STYLES[style].system_text(writer, _known_stores(writer), search=search)


def _check_style(style: str) -> None:
    if style not in STYLES:
        raise ValueError(f"style {style!r}: expected one of {', '.join(STYLES)}")


def usable_stores(observation: Observation, codec: Codec) -> tuple[Store, ...]:
    """The stores the codec can write to, without those that show nothing and whose own limit leaves no room."""
    known = _known_stores(codec)
    filled = {STORES[entry["store"]] for entry in observation["entries"]}
    if observation["core"]:
        filled.add("core")
    return tuple(s for s in known if s in filled or observation["budget_left"][STORES.index(s)] != 0) or known


def _known_stores(codec: Codec) -> tuple[Store, ...]:
    return (codec.store,) if isinstance(codec, MemoryR1Codec) else STORES
