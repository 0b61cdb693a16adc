"""A key-value cache with room to grow: a new token is written behind the others, which stay where they are."""

from __future__ import annotations

import torch
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer


class GrowingLayer(DynamicLayer):
    """A ``DynamicLayer`` that copies what it holds when its room is used up; the plain one does so for every token.

    ``keys`` and ``values`` are views (B, H, T, D) of larger tensors, whose free places a later update fills. For
    inference: gradients would meet what has been overwritten, as would a view from before a crop.
    """

    def __init__(self, room: int) -> None:
        """Set ``room`` places aside with every copy."""
        super().__init__()
        self.room = room
        self._rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new positions (B, H, new, D) behind the others; all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self._has_room(end):
            self._rooms = self._copy(self.keys, key_states, end), self._copy(self.values, value_states, end)
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._rooms)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Keep these rows, in this order, repeats included, and their room."""
        if not self._has_room(end := self.get_seq_length()):
            super().reorder_cache(beam_idx)
            return
        self._rooms = tuple(room.index_select(0, beam_idx.to(room.device)) for room in self._rooms)
        self.keys, self.values = (room[:, :, :end] for room in self._rooms)

    def _has_room(self, end: int) -> bool:
        """Whether ``end`` positions fit where the keys are; other operations than ours put them elsewhere."""
        return (
            self.is_initialized
            and self._rooms is not None
            and self.keys.data_ptr() == self._rooms[0].data_ptr()
            and self.keys.shape[0] == self._rooms[0].shape[0]
            and end <= self._rooms[0].shape[-2]
        )

    def _copy(self, held: torch.Tensor, new: torch.Tensor, end: int) -> torch.Tensor:
        room = new.new_empty(*new.shape[:-2], end + self.room, new.shape[-1])
        if held.numel():
            room[:, :, : held.shape[-2]] = held
        return room


def growing_cache(config: PretrainedConfig, room: int) -> DynamicCache:
    """An empty cache for a model: its plain attention layers grow, others are as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
