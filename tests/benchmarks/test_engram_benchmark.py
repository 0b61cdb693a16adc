"""The Engram benchmarks run on a tiny model and write their figures; how large they are is no matter for a test."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from benchmarks import engram, engram_facts
from benchmarks._engram import measure_growth
from benchmarks._fact_corpus import claims, everyday_prompts


def test_a_quick_run_writes_every_figure(tmp_path, capsys):
    file = tmp_path / "figures.json"
    engram.main(["--backbone", "tiny-llama", "--device", "cpu", "--quick", "--rows", "500", "--json", str(file)])
    figures = json.loads(file.read_text(encoding="utf-8"))
    for what in ("prefill", "decode"):
        assert set(figures[f"{what}_overhead"]) == {"model", "host"}
        assert set(figures["overhead"][what]["seconds"]) == {"off", "model", "host"}
        assert min(figures["overhead"][what]["seconds"].values()) > 0
    assert [held["layer"] for held in figures["overhead"]["tables"]] == [0, 1]
    assert [row["rows_per_head"] for row in figures["growth"]["rows"]] == [20, 2_000, 20_000]
    assert figures["machine"]["backbone"] == "tiny-llama"
    printed = capsys.readouterr().out
    assert "tables in host memory" in printed and "largest table over smallest" in printed


def test_memory_of_a_table_is_rows_times_numbers_times_four_bytes(tiny_backbone):
    figures = measure_growth(tiny_backbone, sizes=(20,), tokens=4, repeats=1)
    primes = [23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89]  # the 16 from 20 on
    assert figures["rows"][0]["bytes"] == sum(primes) * 16 * 4
    assert figures["flat"] == 1.0


def test_targets_hold_on_an_accelerator_only():
    seconds = {"seconds": {"off": 1.0}, "overhead": {"model": 0.02, "host": 0.04}}
    overhead = {"prefill": seconds, "decode": seconds, "prompt_tokens": 8, "decoded_tokens": 2, "tables": []}
    figures = {"overhead": overhead, "growth": {"rows": [], "flat": 1.2}}
    on_cpu = engram.rows(figures | {"machine": {"device": "cpu", "backbone": "b"}})
    on_gpu = engram.rows(figures | {"machine": {"device": "H100", "backbone": "b"}})
    assert [target for _, _, target in on_cpu] == [""] * 6 + ["at most 1.5x: met"]
    assert [target for _, _, target in on_gpu[:3]] == ["", "at most 3%: met", "at most 3%: MISSED"]


def test_written_facts_are_measured_and_undone(tmp_path, capsys):
    file = tmp_path / "facts.json"
    sizes = ["--facts", "3", "--rows", "500", "--prompts", "2", "--contexts", "1", "--steps", "5"]
    engram_facts.main(["--backbone", "tiny-llama", "--device", "cpu", *sizes, "--json", str(file)])
    record = json.loads(file.read_text(encoding="utf-8"))
    assert [run["mode"] for run in record["runs"]] == ["rows", "exact"]
    for run in record["runs"]:
        assert (run["facts"], run["rows"], run["steps"]) == (3, 500, 5)
        assert run["undo_exact"] is True
        assert run["recall_before"] == 0.0
        assert run["kl"] > 0.0
    assert record["settings"]["contexts"] == 1
    assert "| 3 | 500 | exact |" in capsys.readouterr().out


def test_divergence_of_two_distributions_by_hand():
    plain, edited = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    by_hand = 0.5 * torch.log(torch.tensor(2.0)) + 0.5 * torch.log(torch.tensor(2 / 3))
    assert engram_facts._divergence(plain, edited) == pytest.approx(by_hand.item() / 2)


def test_a_fact_is_the_same_however_many_are_drawn_and_whoever_asks():
    few, many = claims(3, names="composed", seed=1), claims(8, names="composed", seed=1)
    assert [claim.fact for claim in few] == [claim.fact for claim in many[:3]]
    assert len({claim.fact.text for claim in many}) == 8
    for claim in many:
        assert claim.in_context.text.endswith("\n" + claim.fact.text)
        assert claim.reworded.text not in claim.fact.text
        assert claim.fact.continuation == claim.in_context.continuation == claim.reworded.continuation
    assert claims(1, names="composed", seed=2)[0] != few[0]


def test_everyday_prompts_differ_between_splits():
    assert not set(everyday_prompts(30, split="train", seed=0)) & set(everyday_prompts(30, split="test", seed=0))


def test_the_parser_refuses_unknown_names():
    with pytest.raises(SystemExit):
        engram_facts._parser().parse_args(["--names", "nobody"])
    assert isinstance(engram_facts._parser().parse_args([]), argparse.Namespace)
