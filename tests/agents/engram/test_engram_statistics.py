"""Gate statistics against values worked out by hand, and their picture."""

import math
import sys

import pytest
import torch

from agents.engram import attach, engram_layers, engram_off, hasher_of
from agents.engram.statistics import GateStatistics, plot_gates

IDS = torch.tensor([[10, 11, 12, 10, 11, 12], [40, 41, 42, 43, 44, 45]])
HALF_OPEN = 1 / (1 + math.exp(-(1e-6**0.5)))  # gate of a score of 0, whose root is kept from 0


def forward(backbone, ids=IDS, mask=None):
    with torch.no_grad():
        backbone.model(ids, attention_mask=mask)


def test_a_zero_table_gives_gates_of_a_half_and_counts_the_rows_it_reads(own_backbone, small):
    attach(own_backbone.model, own_backbone.tokenizer, small(layers=(1,)))
    hasher = hasher_of(own_backbone.model)
    with GateStatistics(own_backbone.model) as statistics:
        forward(own_backbone)
    assert statistics.summary() == {
        "engram/layer1/gate_mean": pytest.approx(HALF_OPEN, abs=1e-7),
        "engram/layer1/gate_open": 1.0,
        "engram/layer1/rows_touched": len(hasher(hasher.compress(IDS)).unique()),
    }


def test_gates_of_several_passes_are_averaged_over_tokens_without_padding(grafted):
    backbone = grafted(layers=(0, 1))
    mask = torch.ones_like(IDS)
    mask[1, :2] = 0
    seen = {index: [] for index in (0, 1)}
    for index, layer in engram_layers(backbone.model).items():
        layer.recorder = lambda gate, rows, live, index=index: seen[index].append((gate, rows, live))
    forward(backbone, mask=mask)
    forward(backbone, ids=IDS[:1] + 1)
    with GateStatistics(backbone.model) as statistics:
        forward(backbone, mask=mask)
        forward(backbone, ids=IDS[:1] + 1)
    for index in (0, 1):
        gates = torch.cat([gate[live.bool()] for gate, _, live in seen[index]])
        rows = torch.cat([rows[live.bool()] for _, rows, live in seen[index]])
        assert len(gates) == 6 + 4 + 6
        found = statistics.summary()
        assert found[f"engram/layer{index}/gate_mean"] == pytest.approx(gates.double().mean().item(), abs=1e-6)
        assert found[f"engram/layer{index}/gate_open"] == pytest.approx((gates > 0.5).double().mean().item())
        assert 0.0 < found[f"engram/layer{index}/gate_open"] < 1.0
        assert found[f"engram/layer{index}/rows_touched"] == len(rows.unique())


def test_recording_ends_with_the_block_and_starts_anew_with_the_next(grafted):
    backbone = grafted(layers=(1,))
    layer, calls = engram_layers(backbone.model)[1], []
    layer.recorder = before = lambda *call: calls.append(call)
    statistics = GateStatistics(backbone.model)
    with statistics:
        forward(backbone)
    first = statistics.summary()
    forward(backbone, ids=IDS + 100)
    assert statistics.summary() == first
    assert layer.recorder is before and len(calls) == 1
    with statistics:
        forward(backbone)
    assert statistics.summary() == first


def test_layers_that_saw_no_token_have_no_figures(grafted):
    backbone = grafted()
    with GateStatistics(backbone.model) as statistics:
        assert statistics.summary() == {}
        with engram_off(backbone.model):
            forward(backbone)
    assert statistics.summary() == {}


def test_a_model_without_engram_is_refused(tiny_backbone):
    with pytest.raises(ValueError, match="no Engram"):
        GateStatistics(tiny_backbone.model)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "loss": 0.2}],
        [
            {"step": 1, "engram/layer1/gate_mean": 0.5, "engram/layer1/gate_open": 0.9},
            {"step": 2, "engram/layer1/gate_mean": 0.6, "engram/layer14/rows_touched": 12.0},
        ],
        [{"engram/layer0/gate_mean": 0.5, "engram/layer0/gate_open": 0.9, "engram/layer0/rows_touched": 3.0}],
    ],
)
def test_gate_curves_are_a_png_in_a_folder_of_their_own(tmp_path, rows):
    pytest.importorskip("matplotlib")
    path = tmp_path / "run" / "gates.png"
    plot_gates(rows, path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'memgym\[plots\]'"):
        plot_gates([], tmp_path / "gates.png")
