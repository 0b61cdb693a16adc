"""Which token stands before which: the n-grams, and the taps of the convolution, look back along these links.

The rule is that of attention: the token before is the last earlier one that the token attends to. So padding is skipped
wherever it stands, and a row that packs several texts, even texts which share a prefix, is read as if each had a row
of its own.

Sequences of S tokens are handled as S + 1 columns. Column 0 is the null column: it stands for everything before the
first token, is linked to itself, and holds padding or zeros.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def link(live: torch.Tensor, starts: torch.Tensor | None = None) -> torch.Tensor:
    """Links through a batch with padding.

    Args:
        live: (B, S), False for padding.
        starts: (B, S), True for the first token of every packed text; None if each row is one text.

    Returns:
        (B, 1 + S), for every column the one before it; 0, the null column, if there is none.
    """
    live = functional.pad(live, (1, 0))
    columns = torch.arange(live.shape[1], device=live.device)
    latest = torch.where(live, columns, 0).cummax(dim=1).values
    before = functional.pad(latest[:, :-1], (1, 0))
    return before if starts is None else before.masked_fill(functional.pad(starts, (1, 0)), 0)


def link_by_attention(mask: torch.Tensor) -> torch.Tensor:
    """Links (B, 1 + S) through a batch with a mask (B, 1, S, S) of who attends to whom, boolean or added to scores."""
    visible = mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] >= 0
    columns = torch.arange(1, visible.shape[2] + 1, device=mask.device)
    before = torch.where(visible.tril(diagonal=-1), columns, 0).amax(dim=2)
    return functional.pad(before, (1, 0))


def look_back(links: torch.Tensor, width: int, steps: int) -> torch.Tensor:
    """Columns (steps + 1, B, T) of the last ``width`` = T tokens and of those 1, 2, ... ``steps`` before each."""
    length = links.shape[1]
    here = torch.arange(length - width, length, device=links.device).expand(links.shape[0], -1)
    columns = [here]
    for _ in range(steps):
        columns.append(links.gather(1, columns[-1]))
    return torch.stack(columns)
