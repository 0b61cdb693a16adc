"""The hash: n-grams of compressed ids -> rows of the tables (arXiv 2601.07372, section 2.2)."""

from __future__ import annotations

from itertools import count, islice
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from agents.engram.compression import Compression
from agents.engram.config import EngramConfig
from agents.engram.lookback import link, look_back

DEAD = -1  # compressed id of padding: a token that is not there
_LAYER_SEEDS = 10_007  # between the seeds of two neighbouring layers


def multipliers(config: EngramConfig, size: int) -> NDArray[np.int64]:
    """Odd factors (layers, max_order), so small that compressed id x factor stays below 2^63.

    Args:
        config: With its layers resolved.
        size: Number of compressed ids, C.
    """
    bound = max(1, np.iinfo(np.int64).max // size // 2)
    generators = [np.random.default_rng(config.seed + _LAYER_SEEDS * layer) for layer in config.layers or ()]
    return np.stack([2 * generator.integers(bound, size=config.max_order) + 1 for generator in generators])


def primes(config: EngramConfig) -> NDArray[np.int64]:
    """Rows of every head (layers, max_order - 1, heads): the first primes from ``config.rows`` on.

    All differ, so that two n-grams which meet in one head of one layer are apart in the others.
    """
    shape = (len(config.layers or ()), config.max_order - 1, config.heads)
    found = islice(filter(_is_prime, count(config.rows)), int(np.prod(shape)))
    return np.array(list(found)).reshape(shape)


def _is_prime(number: int) -> bool:
    return bool(np.all(number % np.arange(2, isqrt(number) + 1)))


class NgramHasher(nn.Module):
    """Addresses of n-grams, for all layers at once.

    Everything the addresses depend on is in persistent buffers and so in every checkpoint: the map from token ids to
    compressed ids (V,), the multipliers (L, N), and primes and offsets (L, N - 1, K), where L is the number of layers
    with a table, N the longest n-gram and K the heads per order.
    """

    compression: torch.Tensor
    multipliers: torch.Tensor
    primes: torch.Tensor
    offsets: torch.Tensor

    def __init__(self, config: EngramConfig, compression: Compression) -> None:
        super().__init__()
        self.config = config  # with its layers resolved
        self.size = compression.size  # compressed ids
        self.pad = compression.pad
        self.vocabulary = compression.vocabulary
        sizes = torch.from_numpy(primes(config))
        flat = sizes.flatten(1)  # (L, heads in all)
        self.register_buffer("compression", torch.from_numpy(compression.ids))
        self.register_buffer("multipliers", torch.from_numpy(multipliers(config, compression.size)))
        self.register_buffer("primes", sizes)
        self.register_buffer("offsets", (flat.cumsum(dim=1) - flat).reshape(sizes.shape))

    @property
    def table_rows(self) -> list[int]:
        """Rows of the table of every layer."""
        return self.primes.sum(dim=(1, 2)).tolist()

    def compress(self, token_ids: torch.Tensor, live: torch.Tensor | None = None) -> torch.Tensor:
        """Compressed ids of token ids (B, T); DEAD where ``live`` (B, T) is False."""
        compressed = self.compression[token_ids]
        return compressed if live is None else compressed.masked_fill(~live, DEAD)

    def forward(self, compressed: torch.Tensor, back: torch.Tensor | None = None) -> torch.Tensor:
        """Rows of the n-grams that end at each token.

        Args:
            compressed: (B, S), compressed ids; DEAD for padding.
            back: (at least N, B, T), the columns to read for the last T tokens, as ``look_back`` gives them; None
                for all tokens of unpacked rows.

        Returns:
            (L, B, T, heads in all), row numbers in the table of each layer, order by order.
        """
        live = compressed != DEAD
        orders = self.config.max_order
        if back is None:
            back = look_back(link(live), compressed.shape[1], orders - 1)
        columns = functional.pad(torch.where(live, compressed, self.pad), (1, 0), value=self.pad)  # (B, 1 + S)
        tokens = columns.expand(orders, -1, -1).gather(2, back[:orders])  # (N, B, T)
        terms = (tokens * self.multipliers[..., None, None]).unbind(dim=1)  # N of (L, B, T)
        mixes = [terms[0]]
        for term in terms[1:]:
            mixes.append(mixes[-1] ^ term)
        mixed = torch.stack(mixes[1:], dim=-1)[..., None]  # (L, B, T, N - 1, 1)
        rows = mixed % self.primes[:, None, None] + self.offsets[:, None, None]  # (L, B, T, N - 1, K)
        return rows.flatten(-2)
