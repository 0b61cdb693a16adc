"""Facts written into the tables of an Engram: how many are recalled, and what happens to everything else.

    python -m benchmarks.engram_facts --facts 100 1000 --json facts.json
    python -m benchmarks.engram_facts --facts 100 --rows 20000 200000 --spare 2000
    python -m benchmarks.engram_facts --backbone tiny-llama --facts 5 --prompts 5 --steps 20

For each number of facts, size of the tables and way of writing: recall by greedy decoding, in the words written, after
other text, and in other words; the share of unrelated prompts whose logits stay the same to the bit, and the
Kullback-Leibler divergence of the others; and whether undoing gives back every bit. Facts are made up by a seeded
generator; a model cannot know them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from agents.backbone import DTYPES, Backbone, load_backbone
from agents.engram.attach import attach, detach, engram_layers, engram_off, hasher_of
from agents.engram.config import EngramConfig
from agents.engram.fact_writing import write_facts
from agents.engram.facts import Fact, recall
from benchmarks._fact_corpus import NAMES, Claim, claims, everyday_prompts
from benchmarks._timing import timed

MODES = ("rows", "exact")  # rows written for all n-grams that read them, or for the written n-grams only


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and with ``--json FILE`` write the figures."""
    options = _parser().parse_args(arguments)
    backbone = load_backbone(options.backbone, dtype=options.dtype, device=options.device)
    runs = []
    for run in measure(backbone, options):
        runs.append(run)
        print(_line(run), flush=True)
        if options.json:  # after every run: a long one may be interrupted
            options.json.write_text(json.dumps(_record(backbone, options, runs), indent=1) + "\n", encoding="utf-8")
    print("\n" + table(runs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write facts into an Engram and measure recall and side effects.")
    parser.add_argument("--backbone", default="smollm2", help="a name, hub id or folder (%(default)s)")
    parser.add_argument("--device", default=None, help="where the model runs (default: the accelerator, or the CPU)")
    parser.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))
    parser.add_argument("--facts", type=int, nargs="+", default=[100, 1000], metavar="N", help="facts written at once")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000], metavar="M", help="rows per head")
    parser.add_argument("--layers", type=int, nargs="+", default=None, help="layers with Engram (default: two)")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--names", default="composed", choices=sorted(NAMES), help="whom the facts are about")
    parser.add_argument("--contexts", type=int, default=0, help="turns of talk to write each fact behind (%(default)s)")
    parser.add_argument("--spare", type=int, default=0, help="turns of other talk whose rows are left (%(default)s)")
    parser.add_argument("--orders", type=int, nargs="+", default=None, help="n-grams written (default: the longest)")
    parser.add_argument("--prompts", type=int, default=100, help="unrelated prompts (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="most steps of the optimiser (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    return parser


def measure(backbone: Backbone, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row of figures for every size of the tables, number of facts and way of writing."""
    prompts = everyday_prompts(options.prompts, split="test", seed=options.seed)
    for rows in options.rows:
        layers = None if options.layers is None else tuple(options.layers)
        attach(backbone.model, backbone.tokenizer, EngramConfig(layers=layers, rows=rows))
        for count in options.facts:
            known = claims(count, names=options.names, seed=options.seed)
            for mode in options.modes:
                yield {
                    "facts": count,
                    "rows": rows,
                    "mode": mode,
                    **_measure_one(backbone, known, mode, prompts, options),
                }
        detach(backbone.model)


def _measure_one(
    backbone: Backbone, known: Sequence[Claim], mode: str, prompts: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    model, tokenizer = backbone.model, backbone.tokenizer
    facts = [claim.fact for claim in known]
    tables = {index: layer.table.weight.detach().clone() for index, layer in engram_layers(model).items()}
    talk = everyday_prompts(options.contexts + options.spare, split="validation", seed=options.seed)
    before = recall(model, tokenizer, facts)
    seconds, edit = timed(
        lambda: write_facts(
            model,
            tokenizer,
            facts,
            contexts=[f"{turn}\n" for turn in talk[: options.contexts]],
            spare=talk[options.contexts :],
            orders=options.orders,
            steps=options.steps,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            exact=mode == "exact",
        )
    )
    unique = _unique_triggers(backbone, facts)
    side_effects = compare(backbone, prompts)
    figures = {
        **edit.summary(),
        "recall_before": fmean(before),
        "recall_in_context": fmean(recall(model, tokenizer, [claim.in_context for claim in known])),
        "recall_reworded": fmean(recall(model, tokenizer, [claim.reworded for claim in known])),
        "unique_triggers": fmean(unique),
        "recall_unique": _mean([right for right, alone in zip(edit.known, unique, strict=True) if alone]),
        "recall_ambiguous": _mean([right for right, alone in zip(edit.known, unique, strict=True) if not alone]),
        **side_effects,
        "seconds": seconds,
    }
    edit.undo(model)
    restored = all(torch.equal(tables[index], layer.table.weight) for index, layer in engram_layers(model).items())
    return figures | {"undo_exact": restored and compare(backbone, prompts)["identical"] == 1.0}


def _unique_triggers(backbone: Backbone, facts: Sequence[Fact]) -> list[bool]:
    """Whether no other fact's text ends in the same n-gram of the longest order, as Engram sees it."""
    hasher = hasher_of(backbone.model)
    endings = []
    for fact in facts:
        ids = torch.tensor([backbone.tokenizer(fact.text)["input_ids"]], device=hasher.compression.device)
        endings.append(tuple(hasher.compress(ids)[0, -hasher.config.max_order :].tolist()))
    counts = Counter(endings)
    return [counts[ending] == 1 for ending in endings]


def _mean(values: Sequence[bool]) -> float | None:
    return fmean(values) if values else None


@torch.no_grad()
def compare(backbone: Backbone, prompts: Sequence[str]) -> dict[str, float]:
    """The model with its Engram against the model without, which a zero table equals to the bit.

    Returns:
        ``identical``, the share of prompts with the same logits at every position, and ``kl``, the divergence of the
        second distribution from the first in nats per token, as a mean over all prompts.
    """
    identical, divergences = [], []
    for prompt in prompts:
        ids = backbone.tokenizer(prompt, return_tensors="pt")["input_ids"].to(backbone.device)
        with engram_off(backbone.model):
            plain = backbone.model(input_ids=ids, use_cache=False).logits[0]
        edited = backbone.model(input_ids=ids, use_cache=False).logits[0]
        identical.append(torch.equal(plain, edited))
        divergences.append(_divergence(plain.double(), edited.double()))
    return {"identical": fmean(identical), "kl": fmean(divergences)}


def _divergence(plain: torch.Tensor, edited: torch.Tensor) -> float:
    """KL(plain || edited) of logits (T, V), mean over positions."""
    plain, edited = plain.log_softmax(dim=-1), edited.log_softmax(dim=-1)
    return float((plain.exp() * (plain - edited)).sum(dim=-1).mean())


def _record(backbone: Backbone, options: argparse.Namespace, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    settings = {key: value for key, value in vars(options).items() if key != "json"}
    here = {"device": str(backbone.device), "dtype": str(backbone.model.dtype), "torch": torch.__version__}
    return {"settings": settings | here, "runs": list(runs)}


def _line(run: dict[str, Any]) -> str:
    return (
        f"{run['facts']:,} facts, {run['rows']:,} rows per head, {run['mode']}: recall {run['recall']:.3f} after "
        f"{run['steps']} steps in {run['seconds']:.1f} s"
    )


def table(runs: Sequence[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| facts | rows per head | written | recall | unique / shared triggers | in context | reworded | before | "
        "prompts bit-identical | KL to before | undo exact |",
        "|" + "---|" * 11,
    ]
    for run in runs:
        parts = [_share(run["recall_unique"]), _share(run["recall_ambiguous"])]
        lines.append(
            f"| {run['facts']:,} | {run['rows']:,} | {run['mode']} | {run['recall']:.3f} | {' / '.join(parts)} | "
            f"{run['recall_in_context']:.3f} | {run['recall_reworded']:.3f} | {run['recall_before']:.3f} | "
            f"{run['identical']:.3f} | {run['kl']:.1e} | {'yes' if run['undo_exact'] else 'NO'} |"
        )
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
