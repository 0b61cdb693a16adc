"""Tiny backbones with an Engram whose weights are not trivial, so that a wrong address or gate shows in the logits."""

from __future__ import annotations

import pytest
import torch

from agents.backbone import load_backbone
from agents.engram import EngramConfig, attach, engram_layers

SMALL = {"heads": 4, "rows": 503, "row_dim": 8}


def fill(model, *, seed=0, std=0.5):
    """Weights as training might leave them. Norms stay near 1."""
    generator = torch.Generator().manual_seed(seed)
    for layer in engram_layers(model).values():
        for name, weight in layer.named_parameters():
            noise = torch.randn(weight.shape, generator=generator) * std
            weight.data = 1 + noise * 0.2 if "norm" in name else noise


@pytest.fixture
def small():
    """A small configuration with some fields changed."""
    return lambda **changes: EngramConfig(**{**SMALL, **changes})


@pytest.fixture
def grafted(small):
    """A fresh tiny backbone with a filled Engram."""

    def build(name="tiny-llama", **changes):
        backbone = load_backbone(name, device="cpu")
        attach(backbone.model, backbone.tokenizer, small(**changes))
        fill(backbone.model)
        return backbone

    return build


@pytest.fixture
def fill_engram():
    """Gives an attached Engram weights."""
    return fill
