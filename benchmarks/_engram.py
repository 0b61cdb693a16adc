"""Seconds of forward passes with and without Engram, and of a lookup with its gate as the tables grow."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel

from agents.backbone import Backbone
from agents.engram.attach import attach, engram_layers
from agents.engram.compression import compress_vocabulary
from agents.engram.config import DEVICES, EngramConfig
from agents.engram.hashing import NgramHasher
from agents.engram.layer import EngramLayer, Lookup
from agents.engram.lookback import link, look_back
from benchmarks._timing import alternate

FILLED = 0.02  # standard deviation of the tables: a zero one would do, but nobody has one after training

T = TypeVar("T")


def measure_overhead(
    backbone: Backbone, *, rows: int, prompt_tokens: int, decoded_tokens: int, repeats: int
) -> dict[str, Any]:
    """Prefill of a prompt and cached greedy decoding, by turns: without Engram, tables with the model, on the host.

    Args:
        backbone: Its weights are shared by all sides; it is left as it was.
        rows: Rows per head.
        prompt_tokens: Length of the prefilled prompt. Decoding starts after an eighth of it.
        decoded_tokens: Tokens decoded.
        repeats: Turns, after one that only warms up.

    Returns:
        Median seconds of each, and ``overhead``: how much longer it takes with Engram, 0.03 for 3 %.
    """
    models = {"off": backbone.model} | {device: _with_engram(backbone, rows, device) for device in DEVICES}
    prompt = random_ids(backbone, prompt_tokens)
    calls: dict[str, dict[str, Callable[[], object]]] = {
        "prefill": {name: lambda model=model: _prefill(model, prompt) for name, model in models.items()},
        "decode": {
            name: lambda model=model: _decode(model, prompt[:, : max(1, prompt_tokens // 8)], decoded_tokens)
            for name, model in models.items()
        },
    }
    figures: dict[str, Any] = {"rows_per_head": rows, "prompt_tokens": prompt_tokens, "decoded_tokens": decoded_tokens}
    for what, subjects in calls.items():
        seconds = _medians(subjects, repeats, backbone.device)
        overhead = {device: seconds[device] / seconds["off"] - 1.0 for device in DEVICES}
        figures[what] = {"seconds": seconds, "overhead": overhead}
    return figures | {"tables": _tables(models[DEVICES[0]])}


def _with_engram(backbone: Backbone, rows: int, device: str) -> PreTrainedModel:
    """A second model on the same weights, with an Engram of its own."""
    shared = [*backbone.model.parameters(), *backbone.model.buffers()]
    model = copy.deepcopy(backbone.model, memo={id(tensor): tensor for tensor in shared})
    attach(model, backbone.tokenizer, EngramConfig(rows=rows, table_init_std=FILLED, device=device))
    return model.eval()


def random_ids(backbone: Backbone, count: int) -> torch.Tensor:
    """Token ids (1, count), drawn uniformly: hardly an n-gram comes twice, which is the worst case for a table."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(len(backbone.tokenizer), (1, count), generator=generator).to(backbone.device)


@torch.no_grad()
def _prefill(model: PreTrainedModel, prompt: torch.Tensor) -> None:
    model(input_ids=prompt, use_cache=True, logits_to_keep=1)


@torch.no_grad()
def _decode(model: PreTrainedModel, prompt: torch.Tensor, count: int) -> None:
    """Greedy decoding without any stop, so that every side does the same work."""
    output = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
    for _ in range(count):
        token = output.logits[:, -1:].argmax(dim=-1)
        output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)


def _tables(model: PreTrainedModel) -> list[dict[str, int]]:
    return [
        {"layer": index, "rows": table.num_embeddings, "bytes": table.weight.numel() * table.weight.element_size()}
        for index, layer in engram_layers(model).items()
        for table in [layer.table]
    ]


def measure_growth(backbone: Backbone, *, sizes: Sequence[int], tokens: int, repeats: int) -> dict[str, Any]:
    """A lookup with hash, gate and projections, for one layer alone, with tables of several sizes by turns.

    Args:
        backbone: Gives hidden size, vocabulary, dtype and device.
        sizes: Rows per head, rising.
        tokens: Read at once.
        repeats: Turns.

    Returns:
        Median microseconds and bytes of the table by size, and ``flat``: the last size's time over the first's.
    """
    compression = compress_vocabulary(backbone.tokenizer, backbone.model.config.vocab_size)
    ids = random_ids(backbone, tokens)
    hidden_size = backbone.model.config.hidden_size
    hidden = torch.randn(1, tokens, hidden_size, generator=torch.Generator().manual_seed(0))
    hidden = hidden.to(backbone.device, backbone.model.dtype)
    subjects, tables = {}, {}
    for size in sizes:
        config = EngramConfig(layers=(0,), rows=size, table_init_std=FILLED)
        hasher = NgramHasher(config, compression).to(backbone.device)
        layer = EngramLayer(config, 0, hasher.table_rows[0], hidden_size).to(backbone.device)
        subjects[size] = lambda hasher=hasher, layer=layer: _read(hasher, layer, ids, hidden)
        tables[size] = layer.table.weight.numel() * layer.table.weight.element_size()
    seconds = _medians(subjects, repeats, backbone.device)
    rows = [{"rows_per_head": size, "bytes": tables[size], "us": seconds[size] * 1e6} for size in sizes]
    return {"tokens": tokens, "rows": rows, "flat": seconds[max(sizes)] / seconds[min(sizes)]}


@torch.no_grad()
def _read(hasher: NgramHasher, layer: EngramLayer, ids: torch.Tensor, hidden: torch.Tensor) -> None:
    compressed = hasher.compress(ids)
    back = look_back(link(torch.ones_like(ids, dtype=torch.bool)), ids.shape[1], hasher.config.reach)
    layer(hidden, Lookup(hasher(compressed, back), back))


def _medians(subjects: Mapping[T, Callable[[], object]], repeats: int, device: torch.device) -> dict[T, float]:
    """Median seconds of each, an accelerator's own work included."""

    def finished(call: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            call()
            if device.type != "cpu":
                torch.accelerator.synchronize(device)

        return run

    timed_calls = {str(name): finished(call) for name, call in subjects.items()}
    for call in timed_calls.values():  # warm up
        call()
    measured = alternate(timed_calls, repeats)
    return {name: median(seconds for seconds, _ in measured[str(name)]) for name in subjects}
