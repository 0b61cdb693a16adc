"""What one layer does with the rows: a gate decides, from the hidden state, how much of the memory is added."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from agents.engram.config import EngramConfig
from agents.engram.host import Fetch, HostTable
from agents.engram.state import EngramState, extend

_NORM_EPSILON = 1e-6
_SCORE_FLOOR = 1e-6  # below it the root of the score is constant: its slope at 0 is infinite

Recorder = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]


@dataclass(frozen=True)
class Lookup:
    """What the ids of one call alone determine, for all layers with Engram (L) and T new tokens."""

    rows: torch.Tensor  # (L, B, T, heads in all), of the tables
    back: torch.Tensor  # (reach + 1, B, T), columns to look back at
    live: torch.Tensor | None = None  # (B, T), False for padding; None if there is none
    state: EngramState | None = None  # None if nothing is cached
    fetched: Mapping[int, Fetch] = field(default_factory=dict)  # by slot: rows on their way from host memory


class Projection(nn.Module):
    """A linear map without bias, initialised as torch does it.

    It is no ``nn.Linear``, so that LoRA on "all-linear" layers leaves it alone, and is refused by PEFT if it is named.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, memory: torch.Tensor) -> torch.Tensor:
        """(..., outputs) of (..., inputs).

        The weight is kept in float32 for the optimiser; the product is in the dtype of the model, like all its others.
        """
        return functional.linear(memory, self.weight.to(memory.dtype))


class EngramLayer(nn.Module):
    """A table of n-gram embeddings, gated into the residual stream (arXiv 2601.07372, section 2.3, one stream).

    With a zero table, and without a convolution or with a zero one, the output is exactly zero.

    Attributes:
        slot: Which of the layers with Engram this is: 0 for the first.
        enabled: False makes this layer an exact no-op.
        recorder: If set, called in every forward pass with the gate (B, T), the rows (B, T, heads in all) and which
            tokens are no padding (B, T).
    """

    def __init__(self, config: EngramConfig, slot: int, table_rows: int, hidden_size: int) -> None:
        super().__init__()
        self.slot = slot
        self.enabled = True
        self.recorder: Recorder | None = None
        self.stride = config.max_order  # tokens between two taps of the convolution
        self.table = _table(config, table_rows)
        self.key_proj = Projection(config.memory_dim, hidden_size)
        self.value_proj = Projection(config.memory_dim, hidden_size)
        self.query_norm = nn.RMSNorm(hidden_size, eps=_NORM_EPSILON)
        self.key_norm = nn.RMSNorm(hidden_size, eps=_NORM_EPSILON)
        self.conv_norm = nn.RMSNorm(hidden_size, eps=_NORM_EPSILON) if config.conv else None
        self.conv_taps = nn.Parameter(torch.zeros(config.conv_kernel, hidden_size)) if config.conv else None

    def forward(self, hidden: torch.Tensor, lookup: Lookup) -> torch.Tensor:
        """What to add to the hidden states (B, T, d) before the layer; of their shape and dtype."""
        memory = self._memory(lookup).to(hidden.dtype)
        gate = self._gate(hidden, self.key_proj(memory))  # (B, T)
        if lookup.live is not None:
            gate = gate * lookup.live
        if self.recorder is not None:
            live = torch.ones_like(gate, dtype=torch.bool) if lookup.live is None else lookup.live
            self.recorder(gate.detach(), lookup.rows[self.slot], live)
        value = gate.to(hidden.dtype)[..., None] * self.value_proj(memory)
        return (value if self.conv_taps is None else value + self._convolve(value, lookup)).to(hidden.dtype)

    def _memory(self, lookup: Lookup) -> torch.Tensor:
        """The embeddings of the n-grams (B, T, memory_dim)."""
        if self.slot in lookup.fetched:
            return lookup.fetched[self.slot].wait().flatten(-2)
        return self.table(lookup.rows[self.slot]).flatten(-2)

    def _gate(self, hidden: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """How well the memory suits the context (B, T), in float32.

        sigmoid(sign(s) sqrt|s|), where s is the cosine of hidden state and key, times sqrt(d) and the norms' weights.
        """
        product = _normalised(hidden, self.query_norm) * _normalised(key, self.key_norm)
        score = product.sum(dim=-1) * hidden.shape[-1] ** -0.5
        return torch.sigmoid(torch.copysign(score.abs().clamp(min=_SCORE_FLOOR).sqrt(), score))

    def _convolve(self, value: torch.Tensor, lookup: Lookup) -> torch.Tensor:
        """Depthwise causal convolution of the gated values (B, T, d): token t sees t, t - stride, t - 2 stride, ..."""
        assert self.conv_norm is not None and self.conv_taps is not None
        inputs = extend(lookup.state, self.slot, _normalised(value, self.conv_norm))  # (B, 1 + S, d)
        seen = [inputs.take_along_dim(columns[..., None], dim=1) for columns in lookup.back[:: self.stride]]
        mixed = functional.silu(sum(tap * tokens for tap, tokens in zip(self.conv_taps, seen, strict=True)))
        return mixed if lookup.live is None else mixed * lookup.live[..., None]


def _table(config: EngramConfig, rows: int) -> nn.Embedding:
    pinned = config.device == "host" and torch.cuda.is_available()
    weight = torch.zeros(rows, config.row_dim, dtype=torch.float32, pin_memory=pinned)
    if config.table_init_std:
        weight.normal_(std=config.table_init_std)
    kind = HostTable if config.device == "host" else nn.Embedding
    return kind.from_pretrained(weight, freeze=False)


def _normalised(vectors: torch.Tensor, norm: nn.RMSNorm) -> torch.Tensor:
    """In float32, also where somebody has cast the whole model to another type."""
    return functional.rms_norm(vectors.float(), norm.normalized_shape, norm.weight.float(), norm.eps)
