"""What writing facts changed: which rows of which tables, from what to what, to be undone, redone, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from agents.engram.attach import engram_layers, hasher_of
from agents.engram.facts import Fact
from agents.engram.hashing import NgramHasher
from agents.engram.layer import EngramLayer
from agents.engram.overlay import RowOverlay

ROWS = "fact_edit.safetensors"
RECORD = "fact_edit.json"


@dataclass(frozen=True, eq=False)
class LayerEdit:
    """The changed rows of one table. All tensors are on the CPU."""

    rows: torch.Tensor  # (R,), rising
    old: torch.Tensor  # (R, D), bit for bit what the table held
    new: torch.Tensor  # (R, D)
    ngrams: torch.Tensor | None  # (G,), rising keys of the n-grams written; None if all n-grams read the new rows
    shared: Mapping[int, tuple[int, ...]]  # row -> the facts that write it, where they are several
    touch_probability: float  # that an unrelated token reads a changed row of this table


@dataclass(frozen=True, eq=False)
class FactEdit:
    """Facts in the rows of an Engram, as ``write_facts`` made them.

    An inexact edit is in the tables, so it is saved with them and trained on with them. An exact one (``exact``) lies
    over the tables, as hooks of the model: ``save_engram`` does not see it, and it is to be saved by its own ``save``.
    """

    facts: tuple[Fact, ...]
    known: tuple[bool, ...]  # whether greedy decoding yielded the continuation of each fact, once all were written
    layers: Mapping[int, LayerEdit]  # by layer number
    steps: int  # of the optimiser, that it took
    exact: bool  # whether only the written n-grams read the new rows
    addresses: Mapping[str, Any]  # what the row numbers depend on

    @property
    def changed_rows(self) -> dict[int, list[int]]:
        """Numbers of the changed rows, by layer."""
        return {index: layer.rows.tolist() for index, layer in self.layers.items()}

    @property
    def touch_probability(self) -> float:
        """That an unrelated token reads a changed row in any layer; see ``touch_probability``."""
        return 1.0 - prod(1.0 - layer.touch_probability for layer in self.layers.values())

    def summary(self) -> dict[str, float]:
        """Counts and shares, for a log."""
        return {
            "facts": len(self.facts),
            "recall": sum(self.known) / len(self.known),
            "steps": self.steps,
            "rows_changed": sum(len(layer.rows) for layer in self.layers.values()),
            "rows_shared": sum(len(layer.shared) for layer in self.layers.values()),
            "touch_probability": self.touch_probability,
        }

    def apply(self, model: PreTrainedModel | PeftModel) -> None:
        """Make the model know the facts (again).

        Raises:
            ValueError: The model's Engram addresses its rows differently, the edit is applied already, or the rows do
                not hold what they held when it was made; nothing is changed then.
        """
        pairs = self._pairs(model)
        if not self.exact:
            _exchange(pairs, expected="old", wanted="new")
            return
        overlays = self._overlays(pairs)
        if any(overlay.is_installed(engram) for engram, overlay in overlays):
            raise ValueError("this edit is applied already: undo it first")
        for engram, overlay in overlays:
            overlay.install(engram)

    def undo(self, model: PreTrainedModel | PeftModel) -> None:
        """Give the model back what it had before, bit for bit.

        Raises:
            ValueError: The edit is not applied, or its rows were changed by something else since (undo that first);
                nothing is changed then.
        """
        pairs = self._pairs(model)
        if not self.exact:
            _exchange(pairs, expected="new", wanted="old")
            return
        overlays = self._overlays(pairs)
        if not all(overlay.is_installed(engram) for engram, overlay in overlays):
            raise ValueError("this edit is not applied to the model: there is nothing to undo")
        for engram, overlay in overlays:
            overlay.remove(engram)

    def _pairs(self, model: PreTrainedModel | PeftModel) -> list[tuple[EngramLayer, LayerEdit]]:
        """The Engram of each layer, and what is to be changed in it."""
        here = addresses(hasher_of(model))
        if differing := [key for key in here if self.addresses.get(key) != here[key]]:
            raise ValueError(
                f"the facts were written into another Engram ({', '.join(differing)} differ): apply them to a model "
                "with the same Engram configuration and tokenizer, or write them anew"
            )
        engrams = engram_layers(model)
        return [(engrams[index], edit) for index, edit in self.layers.items() if len(edit.rows)]

    def _overlays(self, pairs: list[tuple[EngramLayer, LayerEdit]]) -> list[tuple[EngramLayer, RowOverlay]]:
        heads = len(self.addresses["primes"][0][0])
        return [(engram, _overlay(edit, heads, engram.value_proj.weight.device)) for engram, edit in pairs]

    def save(self, folder: str | Path) -> None:
        """Write ``fact_edit.safetensors`` and ``fact_edit.json``."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"layer{index}.{name}": tensor
            for index, edit in self.layers.items()
            for name in ("rows", "old", "new", "ngrams")
            if (tensor := getattr(edit, name)) is not None
        }
        save_file(tensors, path / ROWS)
        (path / RECORD).write_text(json.dumps(self._record(), indent=1) + "\n", encoding="utf-8")

    def _record(self) -> dict[str, Any]:
        return {
            "facts": [asdict(fact) for fact in self.facts],
            "known": self.known,
            "steps": self.steps,
            "exact": self.exact,
            "addresses": dict(self.addresses),
            "layers": {
                index: {"shared": dict(edit.shared), "touch_probability": edit.touch_probability}
                for index, edit in self.layers.items()
            },
        }


def load_fact_edit(folder: str | Path) -> FactEdit:
    """The edit that ``FactEdit.save`` wrote; no model is changed.

    Raises:
        ValueError: The folder has none.
    """
    path = Path(folder)
    if not (path / RECORD).is_file() or not (path / ROWS).is_file():
        raise ValueError(f"no facts in {path}: expected {RECORD} and {ROWS}")
    record = json.loads((path / RECORD).read_text(encoding="utf-8"))
    tensors = load_file(path / ROWS)
    layers = {
        int(index): LayerEdit(
            **{name: tensors[f"layer{index}.{name}"] for name in ("rows", "old", "new")},
            ngrams=tensors.get(f"layer{index}.ngrams"),
            shared={int(row): tuple(numbers) for row, numbers in layer["shared"].items()},
            touch_probability=layer["touch_probability"],
        )
        for index, layer in record["layers"].items()
    }
    return FactEdit(
        facts=tuple(Fact(**fact) for fact in record["facts"]),
        known=tuple(record["known"]),
        layers=layers,
        steps=record["steps"],
        exact=record["exact"],
        addresses=record["addresses"],
    )


def addresses(hasher: NgramHasher) -> dict[str, Any]:
    """Everything that decides which rows an n-gram reads, in JSON's types."""
    return {
        "layers": list(hasher.config.layers or ()),
        "row_dim": hasher.config.row_dim,
        "vocabulary": hasher.vocabulary,
        "compressed_ids": hasher.size,
        "padding": hasher.pad,
        "multipliers": hasher.multipliers.tolist(),
        "primes": hasher.primes.tolist(),
    }


def touch_probability(rows: torch.Tensor, head_rows: torch.Tensor) -> float:
    """Probability that an n-gram which a uniform hash sends anywhere reads at least one of the given rows.

    1 - prod_h (1 - w_h / M_h), with w_h of the M_h rows of head h given.

    Args:
        rows: (R,), distinct rows of one table.
        head_rows: (heads in all,), rows of each head, in the order of the table.
    """
    ends = head_rows.flatten().cumsum(dim=0)
    written = torch.bincount(torch.searchsorted(ends, rows, right=True), minlength=len(ends))
    return float(1.0 - (1.0 - written.double() / head_rows.flatten()).prod())


def _overlay(edit: LayerEdit, heads: int, device: torch.device) -> RowOverlay:
    ngrams = None if edit.ngrams is None else edit.ngrams.to(device)
    return RowOverlay(edit.rows.to(device), edit.new.to(device), heads, ngrams)


@torch.no_grad()
def _exchange(pairs: list[tuple[EngramLayer, LayerEdit]], *, expected: str, wanted: str) -> None:
    """Put the ``wanted`` vectors where the ``expected`` ones are, in all tables or in none."""
    for engram, edit in pairs:
        held = engram.table.weight[edit.rows.to(engram.table.weight.device)].cpu()
        if not torch.equal(held, getattr(edit, expected)):
            raise ValueError(
                f"the rows do not hold the {expected} vectors of this edit: it is "
                f"{'applied already' if expected == 'old' else 'not applied'}, or later edits must be undone first"
            )
    for engram, edit in pairs:
        weight = engram.table.weight
        weight[edit.rows.to(weight.device)] = getattr(edit, wanted).to(weight.device)
