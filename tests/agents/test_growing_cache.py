"""A cache with room holds what transformers' own holds, and copies it seldom."""

import torch
from transformers import DynamicCache, LlamaConfig, Qwen2Config
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from agents.growing_cache import ROOM, GrowingLayer, growing_cache


def states(rows: int, new: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, 2, new, 4), torch.randn(rows, 2, new, 4)


def test_holds_what_a_dynamic_layer_holds_through_updates_and_reorderings() -> None:
    torch.manual_seed(0)
    growing, plain = GrowingLayer(), DynamicLayer()
    assert growing.get_seq_length() == plain.get_seq_length() == 0
    rows = 3
    for new, order in [(5, None), (1, None), (ROOM, [2, 0]), (1, [1, 1, 0, 0]), (2 * ROOM, [3]), (1, None)]:
        keys, values = states(rows, new)
        for found, expected in zip(growing.update(keys, values), plain.update(keys, values), strict=True):
            assert torch.equal(found, expected)
        assert growing.get_seq_length() == plain.get_seq_length()
        assert growing.get_mask_sizes(1) == plain.get_mask_sizes(1)
        if order is not None:
            for layer in (growing, plain):
                layer.reorder_cache(torch.tensor(order))
            assert torch.equal(growing.keys, plain.keys)
            assert torch.equal(growing.values, plain.values)
            rows = len(order)


def test_a_new_token_is_written_in_place_until_the_room_is_full() -> None:
    layer = GrowingLayer()
    layer.update(*states(2, 7))
    places = set()
    for _ in range(ROOM):
        keys, _ = layer.update(*states(2, 1))
        places.add(keys.data_ptr())
    assert len(places) == 1
    keys, _ = layer.update(*states(2, 1))
    assert keys.data_ptr() not in places
    assert keys.shape == (2, 2, 7 + ROOM + 1, 4)


def test_rows_that_are_taken_twice_go_different_ways() -> None:
    layer = GrowingLayer()
    layer.update(*states(1, 3))
    layer.reorder_cache(torch.tensor([0, 0]))
    new = torch.stack([torch.zeros(2, 1, 4), torch.ones(2, 1, 4)])
    keys, _ = layer.update(new, new)
    assert torch.equal(keys[0, :, :3], keys[1, :, :3])
    assert keys[:, :, 3].unique(dim=0).shape[0] == 2


def test_only_plain_attention_layers_are_replaced() -> None:
    assert [type(layer) for layer in growing_cache(LlamaConfig(num_hidden_layers=2)).layers] == [GrowingLayer] * 2
    config = Qwen2Config(num_hidden_layers=2, use_sliding_window=True, max_window_layers=1, sliding_window=8)
    assert [type(layer) for layer in DynamicCache(config=config).layers] == [DynamicLayer, DynamicSlidingWindowLayer]
    assert [type(layer) for layer in growing_cache(config).layers] == [GrowingLayer, DynamicSlidingWindowLayer]
