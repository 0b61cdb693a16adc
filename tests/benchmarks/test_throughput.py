"""The speed benchmark runs and writes its figures; how large they are is no matter for a test."""

from __future__ import annotations

import json

import pytest

from benchmarks import throughput
from benchmarks._lm import measure_lm


@pytest.fixture
def no_locomo(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMGYM_DATA", str(tmp_path))


def test_a_quick_run_without_a_language_model_writes_every_figure(no_locomo, tmp_path, capsys):
    file = tmp_path / "figures.json"
    throughput.main(["--quick", "--skip-lm", "--json", str(file)])
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert figures["retrieval_speedup"] > 0
    assert figures["rollout_vs_generate"] is None
    assert {"retrieval", "bank", "env", "growth", "peak_memory_mb", "machine"} <= set(figures)
    assert figures["retrieval"]["entries"] == 419
    assert "not installed" in figures["retrieval"]["source"]
    assert [row["chunks"] for row in figures["growth"]["rows"]] == [10, 100]
    assert "speedup per question" in capsys.readouterr().out


def test_rollouts_are_compared_with_generating_for_the_same_prompts():
    figures = measure_lm("tiny-llama", num_envs=2, chunks=2, max_new_tokens=8, repeats=1)
    assert figures["prompts"] == 2 * 2
    assert 0 < figures["rollout_tokens"] <= 2 * 2 * 8
    assert 0 < figures["generate_tokens"] <= 2 * 2 * 8
    assert figures["ratio"] > 0


def test_a_missed_target_is_said_so():
    assert throughput._target(0.84, 0.85) == "at least 0.85: MISSED"
    assert throughput._target(31.0, 30.0, "x") == "at least 30x: met"
