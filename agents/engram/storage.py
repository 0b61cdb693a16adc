"""Engram on disk: ``engram.safetensors`` and ``engram_config.json``, beside an adapter or anywhere else.

Reading such a folder with transformers' ``from_pretrained`` alone gives a model without Engram: load the backbone, then
call ``load_engram``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from agents.engram.attach import detach, graft, hasher_of, shared_layers
from agents.engram.compression import compress_vocabulary
from agents.engram.config import EngramConfig
from agents.engram.hashing import NgramHasher

WEIGHTS = "engram.safetensors"
CONFIG = "engram_config.json"


def has_engram(folder: str | Path) -> bool:
    """Whether ``save_engram`` wrote into this folder."""
    return (Path(folder) / CONFIG).is_file()


def save_engram(model: PreTrainedModel | PeftModel, folder: str | Path) -> None:
    """Write the Engram that all adapters share. The copies of single adapters are saved with them, by PEFT.

    Raises:
        ValueError: The model has no Engram.
    """
    hasher = hasher_of(model)
    record = {"config": hasher.config.to_dict(), **_identity(model, hasher)}
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous().cpu() for key, tensor in _parts(model).state_dict().items()}, path / WEIGHTS)
    (path / CONFIG).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_engram(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    *,
    device: str | None = None,
) -> None:
    """Attach a saved Engram.

    Args:
        model: Changed in place; without an Engram so far.
        tokenizer: Its tokenizer.
        folder: Written by ``save_engram``.
        device: Where the tables are to live, "model" or "host"; None for where they lived when they were saved.

    Raises:
        ValueError: The folder has no Engram, or one for another model or tokenizer; the model is left as it was.
    """
    record, weights = _read(folder)
    config = EngramConfig.from_dict(record["config"]).resolve(model.config.num_hidden_layers)
    hasher = NgramHasher(
        config if device is None else replace(config, device=device),
        compress_vocabulary(tokenizer, model.config.vocab_size),
    )
    _check_identity(folder, record, _identity(model, hasher))
    graft(model, hasher)
    try:
        _fill(model, weights, folder)
    except ValueError:
        detach(model)
        raise


def reload_engram(model: PreTrainedModel | PeftModel, folder: str | Path) -> None:
    """Put the weights of a saved Engram into the one that is attached, as a resumed training does.

    Raises:
        ValueError: The folder has no Engram, or one for another model or tokenizer or of another shape; the weights
            are left as they were.
    """
    record, weights = _read(folder)
    _check_identity(folder, record, _identity(model, hasher_of(model)))
    _fill(model, weights, folder)


def is_saved_in(model: PreTrainedModel | PeftModel, folder: str | Path) -> bool:
    """Whether the model's shared Engram is the one in this folder, number for number, wherever its tables live.

    Raises:
        ValueError: The model or the folder has no Engram.
    """
    record, saved = _read(folder)
    hasher, here = hasher_of(model), _parts(model).state_dict()
    if any(record.get(key) != value for key, value in _identity(model, hasher).items()) or saved.keys() != here.keys():
        return False
    return all(torch.equal(saved[key], tensor.cpu()) for key, tensor in here.items())


def _read(folder: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What ``save_engram`` wrote: the record and the weights by name."""
    path = Path(folder)
    if not has_engram(path) or not (path / WEIGHTS).is_file():
        raise ValueError(f"no Engram in {path}: expected {CONFIG} and {WEIGHTS}")
    return json.loads((path / CONFIG).read_text(encoding="utf-8")), load_file(path / WEIGHTS)


def _fill(model: PreTrainedModel | PeftModel, weights: dict[str, torch.Tensor], folder: str | Path) -> None:
    """Put weights into the Engram attached, all of them or none."""
    parts = _parts(model)
    if {key: tensor.shape for key, tensor in parts.state_dict().items()} != {k: w.shape for k, w in weights.items()}:
        raise ValueError(f"the Engram in {folder} has another shape than its configuration or the one attached says")
    parts.load_state_dict(weights)


def _parts(model: PreTrainedModel | PeftModel) -> nn.ModuleDict:
    """Everything that is saved, under names of its own."""
    layers = {str(index): layer for index, layer in shared_layers(model).items()}
    return nn.ModuleDict({"hasher": hasher_of(model), "layers": nn.ModuleDict(layers)})


def _identity(model: PreTrainedModel | PeftModel, hasher: NgramHasher) -> dict[str, Any]:
    """What must be the same on loading: the shape of the model, and all that the addresses of n-grams depend on."""
    return {
        "hidden_size": model.config.hidden_size,
        "vocab_size": model.config.vocab_size,
        "compressed_ids": hasher.size,
        "padding": hasher.pad,
        "vocabulary": hasher.vocabulary,
        "primes": hasher.primes.tolist(),
    }


def _check_identity(folder: str | Path, saved: dict[str, Any], here: dict[str, Any]) -> None:
    differing = [key for key in here if saved.get(key) != here[key]]
    if differing:
        raise ValueError(
            f"the Engram in {folder} belongs to another model or tokenizer ({', '.join(differing)} differ): load it "
            "with the backbone and the tokenizer it was trained with"
        )
