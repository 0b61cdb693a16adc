"""What Engram remembers between the steps of cached decoding. It lives in the Cache, so every beam has its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional
from transformers import Cache
from transformers.cache_utils import DummyLayer

IDS = "ids"  # the history of compressed ids; that of a layer's convolution has the layer's number


class EngramState(DummyLayer):
    """One more layer at the end of a Cache, which holds histories instead of keys and values.

    A history is kept whole, like keys and values are: so the cache can be cropped, and padding may stand anywhere in
    it. Ids take 8 bytes per token; a convolution, where there is one, as much as one more key per layer with Engram.
    """

    is_compileable = False

    def __init__(self) -> None:
        super().__init__()
        self.histories: dict[str | int, torch.Tensor] = {}  # (B, 1 + S, ...), the null column first

    @property
    def length(self) -> int:
        """Tokens so far."""
        return self.histories[IDS].shape[1] - 1 if IDS in self.histories else 0

    def reset(self) -> None:
        """Forget everything."""
        self.histories.clear()

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens; their number is negative, as elsewhere in a Cache."""
        if tokens_to_remove:
            self._each(lambda history: history[:, : -abs(tokens_to_remove)])

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Gather rows."""
        self._each(lambda history: history.index_select(0, beam_idx.to(history.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row."""
        self._each(lambda history: history.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep some rows."""
        self._each(lambda history: history[indices])

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.histories = {key: change(history) for key, history in self.histories.items()}


def extend(state: EngramState | None, key: str | int, new: torch.Tensor, null: int = 0) -> torch.Tensor:
    """Append to a history and return it whole.

    Args:
        state: Changed in place; None if nothing is cached.
        key: Of the history.
        new: (B, T, ...), what this call adds.
        null: What the null column holds.

    Returns:
        (B, 1 + S, ...), the null column and the S tokens so far.
    """
    if state is not None and key in state.histories:
        whole = torch.cat([state.histories[key], new], dim=1)
    else:
        whole = functional.pad(new, (*[0] * (2 * new.dim() - 4), 1, 0), value=null)
    if state is not None:
        state.histories[key] = whole
    return whole


def state_of(cache: Cache, layer_count: int) -> EngramState:
    """The state in a cache, which is added on first use.

    Args:
        cache: Changed in place.
        layer_count: Of the model.

    Raises:
        ValueError: The cache holds tokens that Engram has not seen.
    """
    state = next((layer for layer in cache.layers if isinstance(layer, EngramState)), None)
    if state is None:
        state = EngramState()
        while len(cache.layers) < layer_count and cache.layer_class_to_replicate is not None:
            cache.layers.append(cache.layer_class_to_replicate())  # a lazy cache would put layer 0 behind ours
        cache.layers.append(state)
    if state.length != cache.get_seq_length():
        raise ValueError(
            f"the cache holds {cache.get_seq_length()} tokens, of which Engram has seen {state.length}: "
            "start with an empty cache after attaching Engram or switching it on"
        )
    return state
