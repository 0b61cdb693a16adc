"""A cache with room holds what transformers' own holds, and copies it seldom."""

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, Qwen2Config
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from agents.growing_cache import GrowingLayer, growing_cache

ROOM = 5


def states(rows, new):
    return torch.randn(rows, 2, new, 4), torch.randn(rows, 2, new, 4)


def check_update(growing, plain, rows, new):
    keys, values = states(rows, new)
    for found, expected in zip(growing.update(keys, values), plain.update(keys, values), strict=True):
        assert torch.equal(found, expected)
    assert growing.get_seq_length() == plain.get_seq_length()
    assert growing.get_mask_sizes(1) == plain.get_mask_sizes(1)


CHANGES = {
    "reorder": (lambda layer: layer.reorder_cache(torch.tensor([2, 0])), 2),
    "reorder with repeats": (lambda layer: layer.reorder_cache(torch.tensor([1, 1, 0, 0])), 4),
    "select": (lambda layer: layer.batch_select_indices(torch.tensor([2, 1, 0])), 3),
    "select one": (lambda layer: layer.batch_select_indices(torch.tensor([0])), 1),
    "repeat": (lambda layer: layer.batch_repeat_interleave(2), 6),
    "crop": (lambda layer: layer.crop(-2), 3),
    "reset": (lambda layer: layer.reset(), 3),
    "reset, other rows": (lambda layer: layer.reset(), 4),
}


@pytest.mark.parametrize("before", [1, ROOM, ROOM + 1])
@pytest.mark.parametrize("change", CHANGES)
def test_holds_what_a_dynamic_layer_holds_whatever_is_done_to_both(change, before):
    growing, plain = GrowingLayer(ROOM), DynamicLayer()
    assert growing.get_seq_length() == plain.get_seq_length() == 0
    check_update(growing, plain, 3, 4)
    check_update(growing, plain, 3, before)
    act, rows = CHANGES[change]
    for _ in range(2):
        for layer in (growing, plain):
            act(layer)
        if plain.is_initialized:
            assert torch.equal(growing.keys, plain.keys)
            assert torch.equal(growing.values, plain.values)
        for new in (1, 2, 1, 2 * ROOM, 1):
            check_update(growing, plain, rows, new)
        act, rows = CHANGES["select one"]


def test_a_new_token_is_written_in_place_until_the_room_is_full():
    layer = GrowingLayer(ROOM)
    layer.update(*states(2, 7))
    places = {layer.update(*states(2, 1))[0].data_ptr() for _ in range(ROOM)}
    assert len(places) == 1
    keys, _ = layer.update(*states(2, 1))
    assert keys.data_ptr() not in places
    assert keys.shape == (2, 2, 7 + ROOM + 1, 4)


def test_rows_keep_their_room_when_others_leave():
    layer = GrowingLayer(ROOM)
    layer.update(*states(3, 7))
    layer.reorder_cache(torch.tensor([0, 2]))
    place = layer.keys.data_ptr()
    assert layer.update(*states(2, 1))[0].data_ptr() == place


def test_rows_that_are_taken_twice_go_different_ways():
    layer = GrowingLayer(ROOM)
    layer.update(*states(1, 3))
    layer.reorder_cache(torch.tensor([0, 0]))
    new = torch.stack([torch.zeros(2, 1, 4), torch.ones(2, 1, 4)])
    keys, _ = layer.update(new, new)
    assert torch.equal(keys[0, :, :3], keys[1, :, :3])
    assert torch.equal(keys[:, :, 3:], new)


def test_only_plain_attention_layers_are_replaced():
    assert [type(layer) for layer in growing_cache(LlamaConfig(num_hidden_layers=2), ROOM).layers] == [GrowingLayer] * 2
    config = Qwen2Config(num_hidden_layers=2, use_sliding_window=True, max_window_layers=1, sliding_window=8)
    assert [type(layer) for layer in DynamicCache(config=config).layers] == [DynamicLayer, DynamicSlidingWindowLayer]
    kinds = [type(layer) for layer in growing_cache(config, ROOM).layers]
    assert kinds == [GrowingLayer, DynamicSlidingWindowLayer]
