"""The decoding loop: equal prompts and common prefixes are read once, and finished rows leave the batch.

Against ``model.generate`` on the same batch this is as fast when every row is equally long and has nothing in common,
and faster on what memory agents do: prompts that open with the same instructions, groups of rollouts that start from
the same prompt, and replies of very different length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from peft import PeftModel
from transformers import Cache, PreTrainedModel

from agents.engram.state import EngramState
from agents.growing_cache import GrowingLayer, growing_cache
from agents.prefixes import cluster_by_prefix, saved_tokens

MIN_SAVED = 16  # tokens; less is not worth a forward pass of its own

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
    logits, cache, mask = _prefill(model, list(distinct), pad, room=max_new_tokens)
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
    model: PreTrainedModel | PeftModel, prompts: Sequence[Prompt], pad: int, room: int
) -> tuple[torch.Tensor, Cache, torch.Tensor]:
    """Read distinct prompts: logits (N, V) after each, the cache, and the mask (N, width) of what it holds.

    Prefixes that several prompts share are read first, once each, and the padding goes between them and the rest.
    """
    cache = growing_cache(model.config, room)
    clusters = cluster_by_prefix(prompts)
    mask = torch.zeros(len(prompts), 0, dtype=torch.long, device=model.device)
    rests = list(prompts)
    if saved_tokens(clusters) >= MIN_SAVED:
        prefixes, prefix_mask = _pad_left([prompts[cluster.rows[0]][: cluster.shared] for cluster in clusters], pad)
        _forward(model, prefixes.to(model.device), prefix_mask.to(model.device), cache)
        if all(type(layer) in (GrowingLayer, EngramState) for layer in cache.layers):
            of_row = {row: number for number, cluster in enumerate(clusters) for row in cluster.rows}
            numbers = _take_rows(cache, [of_row[row] for row in range(len(prompts))], model.device)
            mask = prefix_mask.to(model.device)[numbers]
            rests = [prompt[clusters[of_row[row]].shared :] for row, prompt in enumerate(prompts)]
        else:  # a state that looks at neighbouring positions must not meet padding within the text
            cache = growing_cache(model.config, room)
    ids, rest_mask = _pad_left(rests, pad)
    mask = torch.cat([mask, rest_mask.to(model.device)], dim=1)
    return _forward(model, ids.to(model.device), mask, cache), cache, mask


def _pad_left(rows: Sequence[Prompt], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask (N, width)."""
    width = max(map(len, rows))
    ids = torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
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
        logits_to_keep=_last_of(ids),
    )
    return output.logits[:, -1]


def _last_of(ids: torch.Tensor) -> int | torch.Tensor:
    """``logits_to_keep`` for the last position.

    Of the number 1 a model makes a strided slice, for which a CPU copies the LM head's matrix once per row.
    """
    strided = ids.shape[1] > 1 and ids.device.type == "cpu"
    return torch.tensor([ids.shape[1] - 1]) if strided else 1


def _take_rows(cache: Cache, rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """Keep these rows of the cache, in this order, repeats included; the rows as an index."""
    index = torch.tensor(rows, device=device)
    cache.reorder_cache(cast(torch.LongTensor, index))  # the one gather that every kind of cache layer implements
    return index


def _choose(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """One token id per row of logits (N, V)."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    # By the inverse of the distribution function, one random number a row: multinomial draws one for every word of the
    # vocabulary, which on a CPU takes longer than the model's own forward pass.
    reached = (logits.float() / temperature).softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)  # (N, V)
    drawn = torch.rand(len(logits), 1, generator=generator, device=logits.device, dtype=torch.float64) * reached[:, -1:]
    return torch.searchsorted(reached, drawn, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
