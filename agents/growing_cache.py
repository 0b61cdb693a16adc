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
        rooms = self._rooms_for(end)
        if rooms is None:
            rooms = self._copy(self.keys, key_states, end), self._copy(self.values, value_states, end)
        for room, new in zip(rooms, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        return self._show(rooms, end)

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Keep these rows, in this order, repeats included, and their room."""
        end = self.get_seq_length()
        rooms = self._rooms_for(end)
        if rooms is None:
            super().reorder_cache(beam_idx)
        else:
            index = beam_idx.to(rooms[0].device)
            self._show((rooms[0].index_select(0, index), rooms[1].index_select(0, index)), end)

    def _rooms_for(self, end: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Where the keys and values lie, if they have ``end`` places; other operations than ours put them elsewhere."""
        if self._rooms is None or self.keys is None:
            return None
        room = self._rooms[0]
        inside = self.keys.data_ptr() == room.data_ptr() and self.keys.shape[0] == room.shape[0]
        return self._rooms if inside and end <= room.shape[-2] else None

    def _show(self, rooms: tuple[torch.Tensor, torch.Tensor], end: int) -> tuple[torch.Tensor, torch.Tensor]:
        self._rooms = rooms
        self.keys, self.values = rooms[0][:, :, :end], rooms[1][:, :, :end]
        return self.keys, self.values

    def _copy(self, held: torch.Tensor | None, new: torch.Tensor, end: int) -> torch.Tensor:
        room = new.new_empty(*new.shape[:-2], end + self.room, new.shape[-1])
        if held is not None and held.numel():
            room[:, :, : held.shape[-2]] = held
        return room


def growing_cache(config: PretrainedConfig, room: int) -> DynamicCache:
    """An empty cache for a model: its plain attention layers grow, others are as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
