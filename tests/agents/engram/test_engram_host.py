import copy

import pytest
import torch
from torch import nn

from agents.engram import engram_layers, engram_off, hasher_of
from agents.engram.host import HostTable

IDS = torch.arange(3, 43).reshape(2, 20)


@pytest.fixture
def both(grafted):
    """The same model with its tables beside it and in host memory."""
    return [grafted(device=device, conv=True).model for device in ("model", "host")]


def test_a_model_with_tables_in_host_memory_computes_the_same(both):
    beside, host = both
    assert all(isinstance(layer.table, HostTable) for layer in engram_layers(host).values())
    assert not any(isinstance(layer.table, HostTable) for layer in engram_layers(beside).values())
    with torch.no_grad():
        assert torch.equal(host(IDS).logits, beside(IDS).logits)
    found, expected = (
        [*model.generate(IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=8)] for model in both[::-1]
    )
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_rows_of_all_layers_are_asked_for_before_the_first_layer_runs(both, monkeypatch):
    model, order, fetch = both[1], [], HostTable.fetch
    monkeypatch.setattr(HostTable, "fetch", lambda table, rows: (order.append("fetch"), fetch(table, rows))[1])
    for number, layer in enumerate(model.model.layers):
        layer.register_forward_pre_hook(lambda *_, number=number: order.append(number))
    with torch.no_grad():
        cache = model(IDS, use_cache=True).past_key_values
        model(IDS[:, :1], past_key_values=cache)
    assert order == ["fetch", "fetch", 0, 1] * 2


def test_tables_that_are_switched_off_are_not_read(both, monkeypatch):
    monkeypatch.setattr(HostTable, "fetch", lambda *_: pytest.fail("reads a table"))
    with engram_off(both[1]), torch.no_grad():
        both[1](IDS)


def test_a_table_that_cannot_be_read_fails_the_forward_pass_and_no_thread_hides_it(both):
    hasher_of(both[1]).offsets.add_(10**6)
    with pytest.raises(IndexError):
        both[1](IDS)


def test_and_learns_the_same(both):
    for model in both:
        model.train()
        model(IDS, labels=IDS).loss.backward()
    for a, b in zip(*[engram_layers(model).values() for model in both], strict=True):
        assert a.table.weight.grad.any()
        for (name, one), other in zip(a.named_parameters(), b.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7, msg=name)


def test_rows_read_twice_add_their_gradients_as_in_an_embedding():
    weight = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    rows, weights = torch.tensor([[2, 5], [2, 2]]), torch.arange(12.0).reshape(2, 2, 3)
    gradients = []
    for kind in (nn.Embedding, HostTable):
        table = kind.from_pretrained(weight.clone(), freeze=False)
        (table(rows) * weights).sum().backward()
        gradients.append(table.weight.grad)
    assert torch.equal(*gradients)


def test_a_frozen_table_gives_no_gradient():
    table = HostTable.from_pretrained(torch.ones(7, 3))
    assert not table(torch.tensor([1, 2])).requires_grad


def test_the_table_neither_moves_nor_changes_its_type_with_the_model(both):
    model = both[1].to(torch.bfloat16)
    assert model.dtype == torch.bfloat16
    table = engram_layers(model)[0].table
    assert (table.weight.dtype, table.weight.device.type) == (torch.float32, "cpu")
    model.to("meta")
    assert table.weight.device.type == "cpu" and model.lm_head.weight.device.type == "meta"


def test_rows_are_read_in_the_order_of_the_fetches():
    table = HostTable.from_pretrained(torch.arange(12.0).reshape(6, 2))
    fetches = [table.fetch(torch.tensor([i])) for i in range(6)]
    assert [fetch.wait()[0, 0].item() for fetch in reversed(fetches)] == [10, 8, 6, 4, 2, 0]


def test_a_deep_copy_has_a_table_of_its_own(both):
    twin = copy.deepcopy(both[1])
    engram_layers(twin)[0].table.weight.data.zero_()
    assert engram_layers(both[1])[0].table.weight.any()
