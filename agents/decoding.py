"""The decoding loop: equal prompts and a common prefix are read once, and finished rows leave the batch.

Against ``model.generate`` on the same batch this is as fast when every row is equally long and has nothing in common,
and faster on what memory agents do: prompts that open with the same instructions, groups of rollouts that start from
the same prompt, and replies of very different length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from peft import PeftModel
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

MIN_SHARED = 16  # tokens; a shorter common prefix is not worth a forward pass of its own

Prompt = tuple[int, ...]


@torch.no_grad()
def decode(
    model: PreTrainedModel | PeftModel,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    ends: frozenset[int],
    pad: int,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Complete one batch of prompts.

    Args:
        model: A causal language model in eval mode.
        prompts: Token ids, none empty.
        max_new_tokens: Longest completion.
        ends: Ids that end a completion; the one that did is kept.
        pad: Id that fills shorter prompts up; masked out, so any will do.
        temperature: 0 is greedy, else sampling from softmax(logits / temperature).
        generator: Randomness of the sampling, on the model's device; needed iff temperature > 0.

    Returns:
        The completions, in the order of the prompts.
    """
    distinct = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
    logits, cache, mask = _prefill(model, list(distinct), pad)
    if len(distinct) < len(prompts):
        rows = _take_rows(cache, [distinct[prompt] for prompt in prompts], mask.device)
        logits, mask = logits[rows], mask[rows]
    completions: list[list[int]] = [[] for _ in prompts]
    alive = list(range(len(prompts)))
    for step in range(max_new_tokens):
        tokens = _choose(logits, temperature, generator)
        for row, token in zip(alive, tokens.tolist(), strict=True):
            completions[row].append(token)
        kept = [i for i, row in enumerate(alive) if completions[row][-1] not in ends]
        if not kept or step == max_new_tokens - 1:
            break
        if len(kept) < len(alive):
            rows = _take_rows(cache, kept, mask.device)
            tokens, mask = tokens[rows], mask[rows]
            alive = [alive[i] for i in kept]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        logits = _forward(model, tokens[:, None], mask, cache)
    return completions


def _prefill(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Prompt], pad: int
) -> tuple[torch.Tensor, Cache, torch.Tensor]:
    """Read distinct prompts: logits (N, V) after each, the cache, and the mask (N, width) of what it holds.

    With a common prefix the padding goes between it and the rest: the prefix is read once for all rows.
    """
    cache = DynamicCache(config=model.config)
    shared = _shared_length(prompts)
    if shared:
        prefix = torch.tensor([prompts[0][:shared]], device=model.device)
        _forward(model, prefix, torch.ones_like(prefix), cache)
        if all(type(layer) is DynamicLayer for layer in cache.layers):
            _take_rows(cache, [0] * len(prompts), model.device)
        else:  # a state that looks at neighbouring positions must not meet padding within the text
            cache, shared = DynamicCache(config=model.config), 0
    ids, mask = _pad_after(prompts, shared, pad)
    ids, mask = ids.to(model.device), mask.to(model.device)
    return _forward(model, ids[:, shared:], mask, cache), cache, mask


def _shared_length(prompts: Sequence[Prompt]) -> int:
    """Tokens all prompts begin with, at least one token short of the shortest; 0 if not worth sharing."""
    if len(prompts) < 2:
        return 0
    first, last = min(prompts), max(prompts)  # what these two have in common, all have
    limit = min(map(len, prompts)) - 1
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), limit)
    shared = min(shared, limit)
    return shared if shared >= MIN_SHARED else 0


def _pad_after(prompts: Sequence[Prompt], shared: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask (N, width), padded after the first ``shared`` tokens; with 0 that is padding on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[*p[:shared], *[pad] * (width - len(p)), *p[shared:]] for p in prompts])
    mask = torch.tensor([[1] * shared + [0] * (width - len(p)) + [1] * (len(p) - shared) for p in prompts])
    return ids, mask


def _forward(model: PreTrainedModel | PeftModel, ids: torch.Tensor, mask: torch.Tensor, cache: Cache) -> torch.Tensor:
    """Logits (N, V) after the last of ``ids`` (N, T); ``mask`` (N, cached + T) covers the cache as well."""
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1]


def _take_rows(cache: Cache, rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """Keep these rows of the cache, in this order, repeats included; the rows as an index."""
    index = torch.tensor(rows, device=device)
    cache.reorder_cache(cast(torch.LongTensor, index))  # the one gather that every kind of cache layer implements
    return index


def _choose(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """One token id per row of logits (N, V)."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits.float() / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]
