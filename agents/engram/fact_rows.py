"""Which rows of the tables facts are written into: those that little else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from agents.engram.fact_edit import LayerEdit, touch_probability
from agents.engram.facts import IGNORED, FactBatch
from agents.engram.hashing import NgramHasher
from agents.engram.layer import EngramLayer
from agents.engram.overlay import RowOverlay, ngram_keys


@dataclass(frozen=True, eq=False)
class Site:
    """One table that facts are written into."""

    index: int  # of the layer
    engram: EngramLayer
    read: torch.Tensor  # (B, T, heads in all), rows that the facts read; -1 for padding
    overlay: RowOverlay  # the rows to write, with vectors to be trained


def check_orders(orders: Sequence[int] | None, longest: int) -> tuple[int, ...]:
    """The lengths of n-grams to write, rising; the longest alone if none are given.

    Raises:
        ValueError: There are no such n-grams.
    """
    chosen = (longest,) if orders is None else tuple(sorted(set(orders)))
    if not chosen or chosen[0] < 2 or chosen[-1] > longest:
        raise ValueError(f"orders={orders}: expected lengths of n-grams, from 2 to {longest}")
    return chosen


def rows_of_texts(hasher: NgramHasher, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> torch.Tensor:
    """Table rows (L, tokens, heads in all) that texts read, each a prompt of its own, one after the other."""
    here = hasher.compression.device
    read = [torch.empty(len(hasher.primes), 0, hasher.config.heads_total, dtype=torch.long, device=here)]
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]], dtype=torch.long, device=here)
        read.append(hasher(hasher.compress(ids))[:, 0])
    return torch.cat(read, dim=1)


def draft(
    engram: EngramLayer, written: torch.Tensor, spared: torch.Tensor, *, heads: int, orders: Sequence[int], exact: bool
) -> RowOverlay:
    """The rows of one table to write, with vectors to be trained that start as the table has them.

    Args:
        engram: The layer.
        written: (P, heads in all), rows read at the positions that are to act.
        spared: (S, heads in all), rows read by texts whose output is not to change.
        heads: Heads per order, K.
        orders: Lengths of the n-grams whose rows may be written.
        exact: Whether only the n-grams written are to read the new vectors. Then n-grams of the spared texts are left
            out, else all rows that they read.

    Returns:
        An overlay of R rows; R may be 0.
    """
    columns = [order - 2 for order in orders]
    ours, theirs = (rows.unflatten(-1, (-1, heads))[:, columns] for rows in (written, spared))  # (P or S, orders, K)
    if exact:
        keys, taken = (ngram_keys(rows.flatten(1), heads) for rows in (ours, theirs))  # (P or S, orders)
        free = ~torch.isin(keys, taken)
        rows, ngrams = ours[free].unique(), keys[free].unique()
    else:
        rows, ngrams = ours[~torch.isin(ours, theirs)].unique(), None
    table = engram.table.weight
    vectors = table.detach()[rows.to(table.device)].to(rows.device, torch.float32).requires_grad_()
    return RowOverlay(rows, vectors, heads, ngrams)


def first_changes(sites: Sequence[Site], batch: FactBatch) -> list[int]:
    """First position of each fact that reads a row to be written, in any table, or is asked for a token."""
    reached = batch.targets != IGNORED
    for site in sites:
        reached = reached | (site.overlay.find(site.read)[1].any(dim=-1) & batch.mask)
    return reached.int().argmax(dim=1).tolist()


def layer_edit(site: Site, hasher: NgramHasher, batch: FactBatch, owners: Sequence[int]) -> LayerEdit:
    """What was changed in one table; ``owners`` are the facts of the batch's rows."""
    overlay, table = site.overlay, site.engram.table.weight.detach()
    rows = overlay.rows.cpu()
    old = table[rows.to(table.device)].cpu()
    new = overlay.vectors.detach().to("cpu", table.dtype)
    changed = (old != new).any(dim=1)
    rows, old, new = rows[changed], old[changed], new[changed]
    shared = _shared(owners, site.read, batch)
    sizes = hasher.primes[site.engram.slot].cpu()
    return LayerEdit(
        rows=rows,
        old=old,
        new=new,
        ngrams=None if overlay.ngrams is None else overlay.ngrams.cpu(),
        shared={row: shared[row] for row in rows.tolist() if row in shared},
        touch_probability=touch_probability(rows, sizes) if overlay.ngrams is None else 0.0,
    )


def _shared(owners: Sequence[int], read: torch.Tensor, batch: FactBatch) -> dict[int, tuple[int, ...]]:
    """Row -> the facts that read it where they are asked for a token, of the rows that several do."""
    readers: dict[int, set[int]] = {}
    for owner, fact_rows, targets in zip(owners, read, batch.targets, strict=True):
        for row in fact_rows[targets != IGNORED].unique().tolist():
            readers.setdefault(row, set()).add(owner)
    return {row: tuple(sorted(numbers)) for row, numbers in readers.items() if len(numbers) > 1}
