"""What Engram costs: forward passes with and without it, memory, and lookups as the tables grow.

    python -m benchmarks.engram --json engram.json
    python -m benchmarks.engram --backbone tiny-llama --quick

All ratios are of medians of one run, the sides taking turns on the same weights. Prompts are random tokens, the worst
case for the tables.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agents.backbone import DTYPES, Backbone, load_backbone
from benchmarks._engram import measure_growth, measure_overhead
from benchmarks.throughput import Row, table
from memgym.records import usable_processors

MOST_OVERHEAD = 0.03  # on a GPU; on a CPU it is reported only
MOST_GROWTH = 1.5  # of a lookup, while the table grows a thousandfold: larger tables miss the processor's caches

WHERE = {"model": "tables on the model's device", "host": "tables in host memory"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and with ``--json FILE`` write the figures."""
    options = _parser().parse_args(arguments)
    backbone = load_backbone(options.backbone, dtype=options.dtype, device=options.device)
    figures = measure(backbone, rows_per_head=options.rows, quick=options.quick)
    print(table(rows(figures)))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure what Engram costs on this machine.")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    parser.add_argument("--quick", action="store_true", help="few repeats and small sizes: rough figures")
    parser.add_argument("--backbone", default="smollm2", help="a name, hub id or folder (%(default)s)")
    parser.add_argument("--device", default=None, help="where the model runs (default: the accelerator, or the CPU)")
    parser.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))
    parser.add_argument("--rows", type=int, default=20_000, help="rows per head of the forward passes (%(default)s)")
    return parser


def measure(backbone: Backbone, *, rows_per_head: int, quick: bool) -> dict[str, Any]:
    """All figures.

    Args:
        backbone: Without Engram; left as it was.
        rows_per_head: Of the tables in the forward passes.
        quick: Few repeats and small sizes.
    """
    overhead = measure_overhead(
        backbone,
        rows=rows_per_head,
        prompt_tokens=64 if quick else 512,
        decoded_tokens=4 if quick else 32,
        repeats=1 if quick else 15,
    )
    sizes = (20, 2_000, 20_000) if quick else (200, 2_000, 20_000, 200_000)
    growth = measure_growth(backbone, sizes=sizes, tokens=64 if quick else 512, repeats=3 if quick else 51)
    return {
        **{f"{what}_overhead": overhead[what]["overhead"] for what in ("prefill", "decode")},
        "growth_flat": growth["flat"],
        "overhead": overhead,
        "growth": growth,
        "machine": _machine(backbone, quick),
    }


def _machine(backbone: Backbone, quick: bool) -> dict[str, Any]:
    device = backbone.device
    return {
        "backbone": backbone.name,
        "dtype": str(backbone.model.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "cores": usable_processors(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "quick": quick,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The figures in words."""
    overhead, growth, machine = figures["overhead"], figures["growth"], figures["machine"]
    on_accelerator = machine["device"] != "cpu"
    found: list[Row] = []
    for what, tokens in (("prefill", overhead["prompt_tokens"]), ("decode", overhead["decoded_tokens"])):
        seconds = overhead[what]["seconds"]["off"]
        found.append(
            (f"{what} of {tokens} tokens, {machine['backbone']} without Engram", f"{seconds * 1e3:,.1f} ms", "")
        )
        for device, extra in overhead[what]["overhead"].items():
            target = _at_most(extra, MOST_OVERHEAD, f"{MOST_OVERHEAD:.0%}") if on_accelerator else ""
            found.append((f"  with, {WHERE[device]}", f"{extra:+.1%}", target))
    for held in overhead["tables"]:
        found.append((f"table of layer {held['layer']}, {held['rows']:,} rows", f"{held['bytes'] / 1e6:,.1f} MB", ""))
    for row in growth["rows"]:
        found.append((f"lookup and gate, {row['rows_per_head']:,} rows per head", f"{row['us']:,.0f} us", ""))
        found.append(("  memory of the table", f"{row['bytes'] / 1e6:,.1f} MB", ""))
    flat = growth["flat"]
    found.append(
        ("largest table over smallest, time", f"{flat:.2f}x", _at_most(flat, MOST_GROWTH, f"{MOST_GROWTH:g}x"))
    )
    return found


def _at_most(figure: float, most: float, text: str) -> str:
    return f"at most {text}: {'met' if figure <= most else 'MISSED'}"


if __name__ == "__main__":
    main()
