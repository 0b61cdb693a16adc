"""GRPO in which rows that begin alike are trained as one sequence: the common beginning is computed once.

The G rows of a group open with the same prompt, several times as long as the replies. The stock trainer runs it G times
forward and backward. Here a group becomes one sequence, the shared prefix followed by each row's own rest,

    prefix | rest 1 | rest 2 | ... | rest G

in which every rest attends to the prefix and to itself alone and counts its positions from the end of the prefix. Each
token sees what it sees in a row of its own, so loss and gradients are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from trl import GRPOTrainer

from agents.prefixes import PrefixCluster, cluster_by_prefix

MOST_ROWS = 16  # in a sequence: attention is computed over its whole width, squared, though a row sees little of it


@dataclass(frozen=True, slots=True)
class PackedRows:
    """N rows of prompt and completion in S sequences of width W."""

    input_ids: torch.Tensor  # (S, W)
    position_ids: torch.Tensor  # (S, W)
    attention_mask: torch.Tensor  # (S, 1, W, W), True where the query (third axis) sees the key
    labels: torch.Tensor  # (S, W); -100 but for completion tokens
    places: torch.Tensor  # (N, T): where in the flattened (S * W) each completion token is; 0 for padding


def pack_rows(input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> PackedRows:
    """Pack rows that share a prefix.

    Args:
        input_ids: (N, P + T), prompts padded on the left, completions of width T = ``completion_width`` on the right.
        attention_mask: (N, P + T), 1 for tokens.
        completion_width: T.
    """
    is_token = attention_mask.bool()
    prompts = _tokens(input_ids[:, :-completion_width], is_token[:, :-completion_width])
    completions = _tokens(input_ids[:, -completion_width:], is_token[:, -completion_width:])
    sequences = [_Sequence(prompts, completions, cluster) for cluster in cluster_by_prefix(prompts, MOST_ROWS)]
    width = max(len(sequence.ids) for sequence in sequences)
    places = torch.zeros(len(prompts), completion_width, dtype=torch.long)
    for number, sequence in enumerate(sequences):
        for row, start in sequence.completion_starts.items():
            length = len(completions[row])
            places[row, :length] = torch.arange(length) + number * width + start
    segments = _stack([sequence.segments for sequence in sequences], width, fill=-1)  # (S, W)
    packed = PackedRows(
        _stack([sequence.ids for sequence in sequences], width, fill=0),
        _stack([sequence.positions for sequence in sequences], width, fill=0),
        _visible(segments)[:, None],
        _stack([sequence.labels for sequence in sequences], width, fill=-100),
        places,
    )
    return PackedRows(*(getattr(packed, name).to(input_ids.device) for name in PackedRows.__slots__))


def _tokens(input_ids: torch.Tensor, is_token: torch.Tensor) -> list[list[int]]:
    return [row[kept].tolist() for row, kept in zip(input_ids, is_token, strict=True)]


class _Sequence:
    """One packed sequence, token by token."""

    def __init__(self, prompts: Sequence[list[int]], completions: Sequence[list[int]], cluster: PrefixCluster) -> None:
        shared = cluster.shared
        self.ids = list(prompts[cluster.rows[0]][:shared])
        self.positions = list(range(shared))
        self.labels = [-100] * shared
        self.segments = [0] * shared  # 0 the prefix, then 1, 2, ... for the rests
        self.completion_starts: dict[int, int] = {}
        for number, row in enumerate(cluster.rows, start=1):
            rest = prompts[row][shared:]  # at least the last token, which predicts the reply
            self.completion_starts[row] = len(self.ids) + len(rest)
            self.ids += rest + completions[row]
            self.labels += [-100] * len(rest) + completions[row]
            self.positions += range(shared, shared + len(rest) + len(completions[row]))
            self.segments += [number] * (len(rest) + len(completions[row]))


def _stack(rows: Sequence[list[int]], width: int, fill: int) -> torch.Tensor:
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def _visible(segments: torch.Tensor) -> torch.Tensor:
    """(S, W, W): a token sees itself and what comes before it in the prefix and in its own rest."""
    width = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    itself = torch.eye(width, dtype=torch.bool)  # padding, which would have nothing to attend to and give NaN
    return ((key == query) | (key == 0)) & causal & (key >= 0) | itself


class SharedPrefixGRPOTrainer(GRPOTrainer):
    """The stock trainer with another way to compute the same log-probabilities."""

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **inputs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log-probabilities (N, T) and, on request, entropies (N, T) of the completion tokens."""
        logps, entropies = [], []
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            packed = pack_rows(input_ids[rows], attention_mask[rows], logits_to_keep)
            with self.accelerator.autocast():
                outputs = model(
                    input_ids=packed.input_ids,
                    attention_mask=packed.attention_mask,
                    position_ids=packed.position_ids,
                    labels=packed.labels,
                    use_cache=False,
                    fused_lm_head=True,
                )
            logps.append(_at(outputs.log_probs, packed.places))
            entropies.append(_at(outputs.entropy, packed.places))
        return torch.cat(logps), torch.cat(entropies) if compute_entropy else None, None


def _at(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(N, T) out of (S, W - 1), which TRL gives from the second position on: nothing predicts the first."""
    return functional.pad(values, (1, 0)).flatten()[places]
