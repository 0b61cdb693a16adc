"""Facts that can be written into an Engram, where in a model's input they act, and whether the model knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from agents.engram.hashing import NgramHasher

IGNORED = -100  # target of a position that predicts no token of a continuation


@dataclass(frozen=True, slots=True)
class Fact:
    """After ``text`` the model is to say ``continuation``.

    Engram sees the last few tokens only (three, as published), so facts can be told apart by the end of their texts:
    "The dish Mara loves most, says Mara" rather than "Mara's favourite dish is", which ends like everybody else's.
    """

    text: str  # may be a rendered chat prompt
    continuation: str  # in the form the model would generate it: mostly with a blank in front


@dataclass(frozen=True, slots=True)
class EncodedFact:
    """A fact as tokens."""

    ids: tuple[int, ...]  # text and continuation, without the last token, after which nothing is predicted
    targets: tuple[int, ...]  # tokens of the continuation

    @property
    def trigger(self) -> int:
        """Position of the last token of the text. From here on every position predicts one of the targets."""
        return len(self.ids) - len(self.targets)


@dataclass(frozen=True, slots=True)
class FactBatch:
    """Facts padded on the right."""

    ids: torch.Tensor  # (B, T)
    mask: torch.Tensor  # (B, T), False for padding
    targets: torch.Tensor  # (B, T), IGNORED where nothing is asked

    @property
    def first(self) -> int:
        """First column with a target."""
        return int((self.targets != IGNORED).any(dim=0).nonzero()[0])


def encode_facts(tokenizer: PreTrainedTokenizerBase, facts: Sequence[Fact]) -> list[EncodedFact]:
    """Tokens of facts. The continuation is cut into tokens apart from the text, as a model that continues it would.

    Raises:
        ValueError: There is no fact, or one whose text or continuation has no token.
    """
    if not facts:
        raise ValueError("there are no facts to encode: expected at least one")
    encoded = []
    for number, fact in enumerate(facts):
        text = tokenizer(fact.text)["input_ids"]
        targets = tokenizer(fact.continuation, add_special_tokens=False)["input_ids"]
        if not text or not targets:
            raise ValueError(f"fact {number} {fact!r}: text and continuation must not be empty")
        encoded.append(EncodedFact((*text, *targets[:-1]), tuple(targets)))
    return encoded


def pad_facts(encoded: Sequence[EncodedFact], device: torch.device) -> FactBatch:
    """Facts in one batch."""
    width = max(len(fact.ids) for fact in encoded)
    rows = [_padded(fact, width) for fact in encoded]
    ids, mask, targets = (torch.tensor(columns, device=device) for columns in zip(*rows, strict=True))
    return FactBatch(ids, mask.bool(), targets)


def _padded(fact: EncodedFact, width: int) -> tuple[list[int], list[int], list[int]]:
    length = len(fact.ids)
    rest = width - length
    targets = [IGNORED] * fact.trigger + list(fact.targets) + [IGNORED] * rest
    return list(fact.ids) + [0] * rest, [1] * length + [0] * rest, targets


def rows_read(hasher: NgramHasher, batch: FactBatch) -> torch.Tensor:
    """Table rows (L, B, T, heads in all) that each position reads, -1 for padding."""
    rows = hasher(hasher.compress(batch.ids, batch.mask))
    return rows.masked_fill(~batch.mask[..., None], -1)


@torch.no_grad()
def recall(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    facts: Sequence[Fact],
    *,
    batch_size: int = 32,
) -> list[bool]:
    """Whether greedy decoding from each text yields the continuation.

    It does if and only if every token of the continuation is the likeliest one after those before it, so one forward
    pass per batch answers for all tokens.

    Args:
        model: In eval mode.
        tokenizer: Its tokenizer.
        facts: What to ask for.
        batch_size: Facts per forward pass.

    Raises:
        ValueError: As ``encode_facts``.
    """
    encoded = encode_facts(tokenizer, facts)
    order = sorted(range(len(encoded)), key=lambda number: len(encoded[number].ids))  # little padding
    known = [False] * len(facts)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        batch = pad_facts([encoded[number] for number in numbers], model.device)
        kept = batch.ids.shape[1] - batch.first
        output = model(input_ids=batch.ids, attention_mask=batch.mask.long(), use_cache=False, logits_to_keep=kept)
        targets = batch.targets[:, batch.first :]
        right = (output.logits.argmax(dim=-1) == targets) | (targets == IGNORED)
        for number, answer in zip(numbers, right.all(dim=1).tolist(), strict=True):
            known[number] = answer
    return known


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood (B, T) of each target, in float32; 0 where there is none."""
    flat = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return flat.view_as(targets)
