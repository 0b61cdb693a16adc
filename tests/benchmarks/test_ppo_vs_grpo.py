"""Both trainers over one configuration, on curves whose figures are known and on a tiny model."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import ppo_vs_grpo
from memgym.records import Manifest
from train import grpo

CONFIG = """
backbone: {name: tiny-llama}
lora: {rank: 2, alpha: 4}
env: {kwargs: {budget: 60, dialogue: {chunks: 1, turns_per_chunk: 2, questions: 2, verbosity: short}}}
agent: {max_new_tokens: 4}
max_steps: 1
group_size: 2
episodes_per_step: 1
turns_per_trajectory: 1
micro_batch_size: 2
eval_env: {split: validation}
eval_episodes: 1
eval_every: 1
grpo: {lr_scheduler_type: constant}
"""


@pytest.fixture
def command(tmp_path):
    config = tmp_path / "grpo.yaml"
    config.write_text(CONFIG)
    return ["--config", str(config), "--seeds", "0", "--output", str(tmp_path / "out"), "--ppo", '{"minibatches": 1}']


def test_both_are_trained_once_and_go_on_where_they_were(command, tmp_path, capsys, monkeypatch):
    ppo_vs_grpo.main(command)
    printed, out = capsys.readouterr().out, tmp_path / "out"
    record = json.loads((out / "results.json").read_text())
    assert [(run["algorithm"], run["seed"], run["steps"]) for run in record["runs"]] == [("ppo", 0, 1), ("grpo", 0, 1)]
    for run in record["runs"]:
        assert [len(run["training"]), len(run["held_out"])] == [1, 2]
        assert 2 <= run["generated_tokens"] == run["training"][0][0] <= 2 * 4  # two trajectories of one reply each
    assert record["runs"][0]["held_out"][0] == record["runs"][1]["held_out"][0]  # they start as one
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert "generated tokens" in printed

    calls = []
    monkeypatch.setattr(ppo_vs_grpo, "launch", lambda module, argv: calls.append((module, argv)))
    ppo_vs_grpo.main(command)
    assert calls == []
    assert json.loads((out / "results.json").read_text())["table"] == record["table"]
    ppo_vs_grpo.main([*command, "--steps", "2"])
    resumed = [(module, argv[argv.index("--resume") + 1]) for module, argv in calls]
    assert resumed == [("train.ppo", "true"), ("train.grpo", "true")]
    with pytest.raises(SystemExit, match=r"but epochs is 1 and was 2 when the run in .*ppo_0 began"):
        ppo_vs_grpo.main([*command[:-1], '{"minibatches": 1, "epochs": 1}'])
    manifest = Manifest.read(out / "grpo_0")
    assert manifest.command.startswith("python -m train.grpo --backbone ")


def options(tmp_path, **changes):
    config = tmp_path / "grpo.yaml"
    config.write_text(CONFIG)
    given = {"config": str(config), "start": None, "steps": None, "ppo": {}, "output": tmp_path}
    return SimpleNamespace(**given | changes)


def test_ppo_takes_what_it_shares_with_grpo_and_as_many_trajectories(tmp_path):
    ppo = ppo_vs_grpo.settings_of(options(tmp_path, start="warm", steps=7, ppo={"epochs": 3}), "ppo", 5)
    assert (ppo["episodes_per_step"], ppo["group_size"], ppo["micro_batch_size"]) == (2, 1, 2)
    assert (ppo["epochs"], ppo["minibatches"], ppo["max_steps"], ppo["seed"]) == (3, 2, 7, 5)
    assert ppo["backbone"] == {"name": "tiny-llama", "adapter": "warm"}
    assert not {"grpo", "turns_per_trajectory"} & set(ppo)
    plain = ppo_vs_grpo.settings_of(options(tmp_path), "grpo", 1)
    assert (plain["group_size"], plain["max_steps"], plain["save_every"]) == (2, 1, 1)
    assert plain["output_dir"] == str(tmp_path / "grpo_1")


def test_the_answerer_on_procedural_dialogues_is_the_task_by_default():
    given = vars(ppo_vs_grpo._parser().parse_args([])) | {"seed": 0}
    values = ppo_vs_grpo.settings_of(SimpleNamespace(**given), "ppo", 0)
    assert values["backbone"] == {"adapter": "runs/dialogue_answerer/sft/adapter"}
    assert values["episodes_per_step"] == 16
    assert ppo_vs_grpo._parser().parse_args([]).seeds == [0, 1, 2]
    assert ppo_vs_grpo.TRAINERS["grpo"] is grpo


def test_curves_are_against_the_tokens_generated_by_the_end_of_a_step(tmp_path):
    rows = [
        {"step": 0, "eval_score": 0.2, "eval_floor": 0.1, "eval_ceiling": 0.9},
        {"step": 1, "reward": 0.3, "generated_tokens": 100, "step_time": 2.0},
        {"step": 2, "eval_score": 0.6},  # GRPO writes it before the step's own row
        {"step": 2, "reward": 0.5, "generated_tokens": 50, "step_time": 1.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert ppo_vs_grpo.read_run(tmp_path) == {
        **{"steps": 2, "generated_tokens": 150.0, "step_s": 3.0, "floor": 0.1, "ceiling": 0.9},
        "training": [(100.0, 0.3), (150.0, 0.5)],
        "held_out": [(0.0, 0.2), (150.0, 0.6)],
    }
    assert not ppo_vs_grpo.is_finished(tmp_path, 2)  # no adapter yet
    (tmp_path / "adapter").mkdir()
    assert [ppo_vs_grpo.is_finished(tmp_path, steps) for steps in (2, 3)] == [True, False]


def run(algorithm, seed, tokens, score):
    return {
        **{"algorithm": algorithm, "seed": seed, "generated_tokens": 2 * tokens, "floor": None, "ceiling": None},
        "training": [(tokens, 0.25), (2 * tokens, 0.75)],
        "held_out": [(0.0, 0.0), (2 * tokens, score)],
    }


def test_algorithms_are_compared_where_the_shortest_run_ends(tmp_path):
    rows = [
        run("ppo", 0, 100.0, 0.5),
        run("ppo", 1, 100.0, 0.7),
        run("grpo", 0, 200.0, 0.8),
        run("grpo", 1, 150.0, 0.9),
    ]
    summary = ppo_vs_grpo.summarise(rows)
    assert summary["generated_tokens"] == 200.0
    first, second = summary["algorithms"]["ppo"], summary["algorithms"]["grpo"]
    assert first["score"]["mean"] == pytest.approx(0.6)
    assert first["score"]["std"] == pytest.approx(0.02**0.5)
    assert first["mean_reward"]["mean"] == pytest.approx(0.5)
    assert second["score"]["mean"] == pytest.approx((0.8 * 200 / 400 + 0.9 * 200 / 300) / 2)
    assert second["mean_reward"]["mean"] == pytest.approx(0.25)  # of both, the second step ends later
    assert second["gain"] == second["score"]
    lines = ppo_vs_grpo.table(summary).splitlines()
    assert lines[0] == "after 200 generated tokens"
    assert " ".join(lines[2].split()) == "ppo 2 0.000 ± 0.000 0.600 ± 0.141 0.600 ± 0.141 0.500 ± 0.000"
    ppo_vs_grpo.plot(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
