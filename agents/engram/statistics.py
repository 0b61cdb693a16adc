"""What the gates of an Engram do: recorded over forward passes, summarised by layer, plotted against steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from agents.engram.attach import engram_layers

OPEN = 0.5  # a gate above this is called open
PREFIX = "engram/"

_NAME = re.compile(rf"{PREFIX}layer(\d+)/(\w+)")
_PANELS = {"gate_mean": "mean gate", "gate_open": f"share of tokens with gate > {OPEN}", "rows_touched": "rows touched"}


class GateStatistics:
    """Records, in a ``with`` block, every forward pass of a model with Engram. Padding does not count.

    Recomputation by gradient checkpointing is a forward pass too, so it counts again; no mean changes by that.
    """

    def __init__(self, model: PreTrainedModel | PeftModel) -> None:
        """Prepare to watch the model; nothing is recorded before the block is entered.

        Raises:
            ValueError: The model has no Engram.
        """
        self._layers = engram_layers(model)
        self._tallies: dict[int, _Tally] = {}
        self._before: dict[int, Any] = {}

    def __enter__(self) -> GateStatistics:
        """Start anew."""
        self._tallies = {index: _Tally(layer.table.num_embeddings) for index, layer in self._layers.items()}
        self._before = {index: layer.recorder for index, layer in self._layers.items()}
        for index, layer in self._layers.items():
            layer.recorder = self._tallies[index].add
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and leave the layers as they were."""
        for index, layer in self._layers.items():
            layer.recorder = self._before[index]

    def summary(self) -> dict[str, float]:
        """Figures by name, for a metrics log; none of a layer that saw no token.

        ``engram/layer1/gate_mean`` and ``engram/layer1/gate_open`` (share of tokens with a gate above .5) are means
        over tokens, ``engram/layer1/rows_touched`` is the number of distinct table rows read.
        """
        found: dict[str, float] = {}
        for index, tally in self._tallies.items():
            found |= {f"{PREFIX}layer{index}/{name}": value for name, value in tally.figures().items()}
        return found


class _Tally:
    """Sums of one layer. They stay tensors on its device, so that recording never waits for an accelerator."""

    def __init__(self, table_rows: int) -> None:
        self.table_rows = table_rows
        self.sums: torch.Tensor | None = None  # (3,) float64: tokens, gates, open gates
        self.touched: torch.Tensor | None = None  # (table_rows + 1,), the last one for what padding reads

    def add(self, gate: torch.Tensor, rows: torch.Tensor, mask: torch.Tensor) -> None:
        """Count one forward pass.

        Args:
            gate: (B, T), 0 to 1.
            rows: (B, T, heads) of the table.
            mask: (B, T), False or 0 for padding.
        """
        live = mask.bool()
        gate = gate.detach()
        counted = torch.stack([live.sum(), (gate * live).sum(dtype=torch.float64), (live & (gate > OPEN)).sum()])
        if self.sums is None or self.touched is None:
            self.sums = torch.zeros_like(counted)
            self.touched = torch.zeros(self.table_rows + 1, dtype=torch.bool, device=rows.device)
        self.sums += counted
        self.touched[rows.masked_fill(~live.to(rows.device)[..., None], self.table_rows).flatten()] = True

    def figures(self) -> dict[str, float]:
        """Means and counts; empty if no token was seen."""
        if self.sums is None or self.touched is None:
            return {}
        tokens, gates, opened = self.sums.tolist()
        if not tokens:
            return {}
        touched = float(self.touched[:-1].sum())
        return {"gate_mean": gates / tokens, "gate_open": opened / tokens, "rows_touched": touched}


def plot_gates(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Gate statistics of every layer against optimiser steps, one panel per figure.

    Args:
        rows: Of a ``metrics.jsonl`` whose rows hold ``summary()``, or summaries alone; where a row has no ``step`` its
            number stands in.
        path: PNG to write.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'memgym[plots]'") from error
    figure = Figure(figsize=(12.0, 3.6), dpi=120, layout="constrained")
    curves = _curves(rows)
    for axes, (name, label) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for layer, points in sorted(curves.get(name, {}).items()):
            axes.plot(*zip(*points, strict=True), marker=".", label=f"layer {layer}")
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0.0, top=None if name == "rows_touched" else 1.0)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize="small")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, list[tuple[float, float]]]]:
    """Figure -> layer -> (step, value)."""
    curves: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for number, row in enumerate(rows):
        for key, value in row.items():
            if found := _NAME.fullmatch(key):
                layer, name = int(found[1]), found[2]
                curves.setdefault(name, {}).setdefault(layer, []).append((row.get("step", number), value))
    return curves
