"""Rows laid over a table: what one Engram layer reads changes, the table does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from agents.engram.layer import EngramLayer, Lookup

_FACTOR = 6364136223846793005  # odd, with bits all over: spreads row numbers over 64 bits


class RowOverlay:
    """Vectors that stand in for rows of a layer's table, for all n-grams or for some.

    With ``ngrams`` the overlay is exactly local: a row is replaced only for those n-grams, so that another n-gram which
    shares the row by a collision of hashes reads the table as before. An n-gram of some order is known by all its rows
    of that order together; two n-grams agree on them all with a probability of about 2^-64 per pair.
    """

    def __init__(self, rows: torch.Tensor, vectors: torch.Tensor, heads: int, ngrams: torch.Tensor | None) -> None:
        """Describe the overlay; ``install`` makes it act.

        Args:
            rows: (R,), rising; with none the overlay does nothing.
            vectors: (R, D), one for each row. May require gradients.
            heads: Heads per order, K.
            ngrams: (G,), rising ``ngram_keys``; None for all n-grams.
        """
        self.rows = rows
        self.vectors = vectors
        self.heads = heads
        self.ngrams = ngrams

    def install(self, layer: EngramLayer) -> None:
        """Act on a layer, on top of overlays it has already."""
        layer.register_forward_pre_hook(self)

    def is_installed(self, layer: EngramLayer) -> bool:
        """Whether this overlay, or one equal to it, acts on the layer."""
        return self._key(layer) is not None

    def remove(self, layer: EngramLayer) -> None:
        """Take this overlay, or the latest one equal to it, off the layer; nothing happens if there is none."""
        if (key := self._key(layer)) is not None:
            del layer._forward_pre_hooks[key]

    def _key(self, layer: EngramLayer) -> int | None:
        # By equality rather than by handle: a deep copy of the model has the overlay but nobody's handle.
        hooks = reversed(layer._forward_pre_hooks.items())
        return next((key for key, hook in hooks if isinstance(hook, RowOverlay) and self._equals(hook)), None)

    def _equals(self, other: RowOverlay) -> bool:
        """Whether both replace the same rows by the same vectors for the same n-grams."""
        if self.ngrams is None or other.ngrams is None:
            same = self.ngrams is other.ngrams
        else:
            same = _equal(self.ngrams, other.ngrams)
        return same and _equal(self.rows, other.rows) and _equal(self.vectors, other.vectors)

    def find(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Index of each row (..., heads in all) among those replaced, and whether it is replaced at all."""
        if not len(self.rows):
            return torch.zeros_like(rows), torch.zeros_like(rows, dtype=torch.bool)
        index, replaced = _find(self.rows.to(rows.device), rows)
        if self.ngrams is not None:
            _, known = _find(self.ngrams.to(rows.device), ngram_keys(rows, self.heads))
            replaced = replaced & known.repeat_interleave(self.heads, dim=-1)
        return index, replaced

    def cover(self, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """What is read at ``rows`` (..., heads in all), given the values (..., heads in all, D) beneath."""
        if not len(self.rows):
            return values
        index, replaced = self.find(rows)
        return torch.where(replaced[..., None], self.vectors.to(values)[index], values)

    def __call__(self, layer: Any, args: tuple[torch.Tensor, Lookup]) -> tuple[torch.Tensor, Lookup]:
        """The hook: let the layer take its rows from here."""
        hidden, lookup = args
        return hidden, replace(lookup, fetched={**lookup.fetched, layer.slot: _Covered(self, layer, lookup)})  # type: ignore[dict-item]


class _Covered:
    """Stands in for the rows that a layer fetches, and waits for them no earlier than the layer does."""

    def __init__(self, overlay: RowOverlay, layer: EngramLayer, lookup: Lookup) -> None:
        self._overlay, self._layer, self._lookup = overlay, layer, lookup

    def wait(self) -> torch.Tensor:
        """Values (B, T, heads in all, D)."""
        slot = self._layer.slot
        rows = self._lookup.rows[slot]
        beneath = self._lookup.fetched[slot].wait() if slot in self._lookup.fetched else self._layer.table(rows)
        return self._overlay.cover(rows, beneath)


def ngram_keys(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys (..., orders), int64, of the n-grams that read ``rows`` (..., orders x heads), one for each order."""
    keys = torch.zeros_like(rows[..., ::heads])
    for row in rows.unflatten(-1, (-1, heads)).unbind(dim=-1):
        keys = keys * _FACTOR + row  # overflow wraps around, which is wanted
    return keys


def _find(known: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    index = torch.searchsorted(known, values.contiguous()).clamp(max=len(known) - 1)
    return index, known[index] == values


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other.to(one.device))
