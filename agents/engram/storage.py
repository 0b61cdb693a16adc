"""Engram on disk: ``engram.safetensors`` and ``engram_config.json``, beside an adapter or anywhere else.

Reading such a folder with transformers' ``from_pretrained`` alone gives a model without Engram: load the backbone, then
call ``load_engram``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from agents.engram.attach import graft, hasher_of, shared_layers
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


def load_engram(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Attach a saved Engram.

    Args:
        model: Changed in place; without an Engram so far.
        tokenizer: Its tokenizer.
        folder: Written by ``save_engram``.

    Raises:
        ValueError: The folder has no Engram, or one for another model or tokenizer; the model is left as it was.
    """
    path = Path(folder)
    if not has_engram(path) or not (path / WEIGHTS).is_file():
        raise ValueError(f"no Engram in {path}: expected {CONFIG} and {WEIGHTS}")
    record = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    config = EngramConfig.from_dict(record.pop("config")).resolve(model.config.num_hidden_layers)
    hasher = NgramHasher(config, compress_vocabulary(tokenizer, model.config.vocab_size))
    _check_identity(path, record, _identity(model, hasher))
    graft(model, hasher)
    _parts(model).load_state_dict(load_file(path / WEIGHTS))


def reload_engram(model: PreTrainedModel | PeftModel, folder: str | Path) -> None:
    """Put the weights of a saved Engram into the one that is attached, as a resumed training does.

    Raises:
        ValueError: The folder has no Engram, or one of another shape.
    """
    path = Path(folder)
    if not (path / WEIGHTS).is_file():
        raise ValueError(f"no Engram in {path}: expected {CONFIG} and {WEIGHTS}")
    try:
        _parts(model).load_state_dict(load_file(path / WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"the Engram in {path} has another shape than the one attached") from error


def is_saved_in(model: PreTrainedModel | PeftModel, folder: str | Path) -> bool:
    """Whether the model's shared Engram is the one in this folder, number for number."""
    path = Path(folder)
    record = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    here = hasher_of(model)
    if record.pop("config") != here.config.to_dict() or record != _identity(model, here):
        return False
    saved = load_file(path / WEIGHTS)
    return all(torch.equal(saved[key], tensor.cpu()) for key, tensor in _parts(model).state_dict().items())


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


def _check_identity(path: Path, saved: dict[str, Any], here: dict[str, Any]) -> None:
    differing = [key for key in here if saved.get(key) != here[key]]
    if differing:
        raise ValueError(
            f"the Engram in {path} belongs to another model or tokenizer ({', '.join(differing)} differ): load it "
            "with the backbone and the tokenizer it was trained with"
        )
