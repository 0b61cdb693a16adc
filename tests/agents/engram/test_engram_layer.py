import math

import pytest
import torch

from agents.engram import EngramConfig, EngramLayer, Lookup
from agents.engram.lookback import link, look_back

HIDDEN = 6


def layer_of(**changes):
    config = EngramConfig(**{"layers": (0,), "heads": 1, "row_dim": 2, "rows": 5, **changes})
    torch.manual_seed(0)
    return EngramLayer(config, 0, 40, HIDDEN)


def lookup_of(rows, live=None, reach=9):
    links = link(torch.ones(rows.shape[1:3], dtype=torch.bool) if live is None else live)
    return Lookup(rows, look_back(links, rows.shape[2], reach), live)


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


ROWS = torch.arange(2 * 5 * 2).reshape(1, 2, 5, 2) % 40


def test_a_zero_table_adds_exactly_nothing_whatever_the_projections_say():
    for conv in (False, True):
        layer = layer_of(conv=conv)
        assert torch.equal(layer(draw(2, 5, HIDDEN), lookup_of(ROWS)), torch.zeros(2, 5, HIDDEN))


def test_a_zero_convolution_alone_is_no_identity():
    layer = layer_of(conv=True, table_init_std=1.0)
    assert layer(draw(2, 5, HIDDEN), lookup_of(ROWS)).abs().max() > 0.1


def test_the_gate_is_the_sigmoid_of_the_signed_root_of_the_scaled_cosine():
    layer = layer_of(table_init_std=1.0)
    layer.requires_grad_(False)
    hidden = draw(2, 5, HIDDEN)
    added = layer(hidden, lookup_of(ROWS))[1, 3]
    memory = layer.table.weight[ROWS[0, 1, 3]].flatten()
    key, value, query = layer.key_proj.weight @ memory, layer.value_proj.weight @ memory, hidden[1, 3]
    cosine = float(torch.dot(key, query) / (key.norm() * query.norm()))
    score = cosine * math.sqrt(HIDDEN)
    gate = 1 / (1 + math.exp(-math.copysign(math.sqrt(abs(score)), score)))
    torch.testing.assert_close(added, gate * value, rtol=1e-4, atol=1e-6)


def test_the_gate_stays_in_float32_in_a_bfloat16_model():
    layer, seen = layer_of(table_init_std=1.0), []
    layer.recorder = lambda gate, rows, live: seen.append((gate, rows, live))
    assert layer(draw(2, 5, HIDDEN).bfloat16(), lookup_of(ROWS)).dtype == torch.bfloat16
    gate, rows, live = seen[0]
    assert (gate.dtype, gate.shape, gate.requires_grad) == (torch.float32, (2, 5), False)
    assert torch.equal(rows, ROWS[0]) and live.all() and live.dtype == torch.bool


def test_the_first_gradient_reaches_the_table_alone_and_is_finite():
    layer = layer_of()
    layer(draw(2, 5, HIDDEN), lookup_of(ROWS)).square().sub(1).sum().backward()
    assert not layer.table.weight.grad.any()  # of a square at zero
    layer.zero_grad()
    layer(draw(2, 5, HIDDEN), lookup_of(ROWS)).sum().backward()
    read = layer.table.weight.grad.abs().sum(dim=1) > 0
    assert torch.isfinite(layer.table.weight.grad).all()
    assert set(read.nonzero().flatten().tolist()) == set(ROWS.flatten().tolist())
    for name in ("key_proj", "value_proj", "query_norm", "key_norm"):
        assert not getattr(layer, name).weight.grad.any()


def test_padding_gets_nothing_and_its_rows_no_gradient():
    layer = layer_of(table_init_std=1.0)
    live = torch.ones(2, 5, dtype=torch.bool)
    live[1, :2] = False
    added = layer(draw(2, 5, HIDDEN), lookup_of(ROWS, live))
    assert not added[1, :2].any() and added[live].any(dim=-1).all()
    added.sum().backward()
    padding, others = set(ROWS[0, 1, :2].flatten().tolist()), set(ROWS[0][live].flatten().tolist())
    assert not layer.table.weight.grad[sorted(padding - others)].any()


def test_the_convolution_sees_gated_values_three_tokens_apart():
    """Against the textbook operation: torch's depthwise, dilated convolution over rows padded on the left."""
    layer = layer_of(conv=True, table_init_std=1.0)
    layer.conv_taps.data = draw(4, HIDDEN)
    rows = torch.arange(24).reshape(1, 1, 12, 2)
    hidden = draw(1, 12, HIDDEN)
    with torch.no_grad():
        added = layer(hidden, lookup_of(rows))
        plain = layer_of(conv=False)
        plain.load_state_dict(layer.state_dict(), strict=False)
        value = plain(hidden, lookup_of(rows))
        inputs = torch.nn.functional.pad(layer.conv_norm(value).transpose(1, 2), (9, 0))
        kernel = layer.conv_taps.flip(0).T[:, None]  # torch's last tap is the newest token
        mixed = torch.nn.functional.conv1d(inputs, kernel, dilation=3, groups=HIDDEN).transpose(1, 2)
    torch.testing.assert_close(added, value + torch.nn.functional.silu(mixed), rtol=1e-5, atol=1e-5)


def test_initial_weights_follow_the_seed_of_the_configuration(small):
    from agents.backbone import load_backbone
    from agents.engram import attach, engram_layers

    def weights(seed):
        backbone = load_backbone("tiny-llama", device="cpu")
        before = torch.random.get_rng_state()
        attach(backbone.model, backbone.tokenizer, small(seed=seed, table_init_std=0.02))
        assert torch.equal(torch.random.get_rng_state(), before)
        return [w for layer in engram_layers(backbone.model).values() for w in layer.parameters()]

    first, same, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first[1], other[1])
    assert first[0].detach().std().item() == pytest.approx(0.02, rel=0.05)
