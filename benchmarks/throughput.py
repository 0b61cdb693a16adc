"""How fast memgym is: environments, memory bank, retrieval, language-model rollouts, and how costs grow.

    python -m benchmarks.throughput --json throughput.json
    python -m benchmarks.throughput --quick --skip-lm

Comparisons are ratios of medians of one run, the two sides taking turns. Retrieval is measured on LoCoMo's conv-26 if
``$MEMGYM_DATA/locomo`` holds the data set, otherwise on a generated dialogue of equal size.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._bank import measure_operations
from benchmarks._env import measure_envs
from benchmarks._growth import measure_growth
from benchmarks._retrieval import measure_retrieval
from benchmarks._timing import peak_memory
from memgym.records import usable_processors
from memgym.tasks.procedural import DialogueGenerator

MIN_SPEEDUP = 30.0  # of retrieval over rebuilding the index for each question
MIN_ROLLOUT = 0.85  # tokens per second of a rollout over bare generation

Row = tuple[str, str, str]  # what was measured, the figure, the target


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and with ``--json FILE`` write the figures."""
    options = _parser().parse_args(arguments)
    figures = measure(quick=options.quick, backbone=None if options.skip_lm else options.backbone)
    print(table(rows(figures)))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the speed of memgym on this machine.")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    parser.add_argument("--quick", action="store_true", help="few repeats: seconds instead of minutes, rough figures")
    parser.add_argument("--skip-lm", action="store_true", help="leave the language model out")
    parser.add_argument("--backbone", default="smollm2", help="language model: a name, hub id or folder (%(default)s)")
    return parser


def measure(*, quick: bool, backbone: str | None) -> dict[str, Any]:
    """All figures.

    Args:
        quick: Few repeats and small sizes.
        backbone: Language model of the rollouts; None leaves them out.
    """
    repeats = 1 if quick else 5
    retrieval = measure_retrieval(max_questions=10 if quick else 1000)
    stored = DialogueGenerator(chunks=20 if quick else 100).episode(0, 0, "test")
    figures: dict[str, Any] = {
        "retrieval_speedup": retrieval["speedup"],
        "rollout_vs_generate": None,
        "retrieval": retrieval,
        "bank": measure_operations(stored, repeats=repeats),
        "env": measure_envs(num_envs=8, chunks=8, repeats=repeats),
        "growth": measure_growth(sizes=(10, 100) if quick else (10, 100, 1000), repeats=repeats),
        "peak_memory_mb": {"gym": peak_memory()},  # of the process, up to here
        "lm": None,
        "machine": _machine(quick),
    }
    if backbone is not None:
        figures["lm"] = _measure_lm(backbone, quick)
        figures["rollout_vs_generate"] = figures["lm"]["ratio"]
        figures["peak_memory_mb"]["lm"] = peak_memory()
    return figures


def _measure_lm(backbone: str, quick: bool) -> dict[str, Any]:
    from benchmarks._lm import measure_lm  # the rest runs, and is measured, without torch

    if quick:
        return measure_lm(backbone, num_envs=4, chunks=2, max_new_tokens=16, repeats=1)
    return measure_lm(backbone, num_envs=8, chunks=3, max_new_tokens=48, repeats=3)


def _machine(quick: bool) -> dict[str, Any]:
    return {
        "cores": usable_processors(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "quick": quick,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The figures in words."""
    bank, env, memory = figures["bank"], figures["env"], figures["peak_memory_mb"]
    retrieval, growth, lm = figures["retrieval"], figures["growth"], figures["lm"]
    found = [
        ("environment steps/s, scalar", f"{env['scalar_steps_per_s']:,.0f}", ""),
        (f"environment steps/s, vector of {env['num_envs']}", f"{env['vector_steps_per_s']:,.0f}", ""),
        ("exam questions/s, extractive reader", f"{env['exam_questions_per_s']:,.0f}", ""),
    ]
    for name in ("insert", "update", "delete", "search"):
        found.append((f"bank {name}/s, {bank['entries']} entries", f"{bank[f'{name}_per_s']:,.0f}", ""))
    found += [
        (f"retrieval, {retrieval['entries']} entries of {retrieval['source']}", f"{retrieval['bank_us']:,.0f} us", ""),
        ("  as an exam does it, each store", f"{retrieval['exam_us']:,.0f} us", ""),
        ("  rank_bm25 rebuilt for each question", f"{retrieval['reference_us']:,.0f} us", ""),
        ("  speedup per question", f"{retrieval['speedup']:.1f}x", _target(retrieval["speedup"], MIN_SPEEDUP, "x")),
        (f"  speedup over all {retrieval['questions']} questions", f"{retrieval['speedup_of_totals']:.1f}x", ""),
    ]
    for row in growth["rows"]:
        found += [
            (f"after {row['chunks']:,} chunks: bank, per chunk", f"{row['bank_us_per_chunk']:,.0f} us", ""),
            ("  environment step", f"{row['env_us_per_step']:,.0f} us", ""),
            ("  one search", f"{row['search_us']:,.0f} us", ""),
        ]
    found += [
        ("bank cost per chunk, last over first", f"{growth['flat']:.2f}", "about 1: flat"),
        ("environment step, last over first", f"{growth['env_flat']:.2f}", ""),
        ("peak memory, gym without torch", f"{memory['gym']:,.0f} MB", ""),
    ]
    return found + (_lm_rows(lm, memory["lm"]) if lm else [])


def _lm_rows(lm: dict[str, Any], memory: float) -> list[Row]:
    where = f"{lm['backbone']}, {lm['device']}, batch {lm['batch']}"
    return [
        (f"rollout tokens/s, {where}", f"{lm['rollout_tokens_per_s']:,.1f}", ""),
        ("  bare model.generate", f"{lm['generate_tokens_per_s']:,.1f}", ""),
        ("  ratio", f"{lm['ratio']:.2f}", _target(lm["ratio"], MIN_ROLLOUT)),
        ("peak memory with the language model", f"{memory:,.0f} MB", ""),
    ]


def _target(figure: float, least: float, unit: str = "") -> str:
    return f"at least {least:g}{unit}: {'met' if figure >= least else 'MISSED'}"


def table(found: Sequence[Row]) -> str:
    """A Markdown table."""
    lines: list[Row] = [("measured", "figure", "target"), *found]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    texts = [
        f"| {name:<{widths[0]}} | {figure:>{widths[1]}} | {target:<{widths[2]}} |" for name, figure, target in lines
    ]
    rule = f"|{'-' * (widths[0] + 2)}|{'-' * (widths[1] + 1)}:|{'-' * (widths[2] + 2)}|"
    return "\n".join([texts[0], rule, *texts[1:]])


if __name__ == "__main__":
    main()
