"""The trainers as they are run: in processes of their own, started by accelerate."""

import os
import subprocess
import sys
from pathlib import Path

import pandas

from train.callbacks import read_metrics

ROOT = Path(__file__).parents[2]


def launch(machine, module, *argv):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"train/accelerate/{machine}.yaml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        # Port 0 lets the system choose: another training may be running on this machine.
        [*command, "--main_process_port", "0", "-m", module, *map(str, argv)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_two_cpu_processes_train_one_adapter_on_whole_episodes_each(tiny_run, tmp_path):
    options = [
        "--max_steps",
        2,
        "--save_every",
        2,
        "--eval_every",
        2,
        "--eval_episodes",
        3,
        "--eval_env.split",
        "validation",
    ]
    grid = ["--episodes_per_step", 1, "--turns_per_trajectory", 2, "--group_size", 2, "--micro_batch_size", 2]
    done = launch(
        "cpu2", "train.grpo", *tiny_run, *options, *grid, "--output_dir", tmp_path, "--grpo.log_completions", "true"
    )
    assert done.returncode == 0, done.stderr[-3000:]

    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows if "reward" in row] == [1, 2]  # once, not once per process
    assert [row["step"] for row in rows if "eval_score" in row] == [0, 2]
    for step in (1, 2):
        table = pandas.read_parquet(tmp_path / "completions" / f"completions_{step:05}.parquet")
        first, second = 2 * step - 2, 2 * step - 1  # the first half are the rows of process 0
        assert list(table["prompt"]) == [f"{episode}:{slot}" for episode in (first, second) for slot in (0, 0, 1, 1)]

    for file in (
        "adapter/adapter_model.safetensors",
        "checkpoint-2/adapter_model.safetensors",
        "manifest.yaml",
        "curve.png",
    ):
        assert (tmp_path / file).is_file()
    assert {file.name for file in (tmp_path / "checkpoint-2").glob("rng_state*")} == {
        "rng_state_0.pth",
        "rng_state_1.pth",
    }
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2"]


def test_two_cpu_processes_train_one_actor_and_critic(tiny_run, tmp_path):
    options = ["--save_every", 2, "--eval_every", 2, "--eval_episodes", 2, "--eval_env.split", "validation"]
    batch = ["--episodes_per_step", 2, "--epochs", 1, "--minibatches", 2, "--micro_batch_size", 1]
    done = launch("cpu2", "train.ppo", *tiny_run, *options, *batch, "--max_steps", 2, "--output_dir", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "reward" in row]
    assert [row["step"] for row in rows] == [1, 2]
    turns = [row["generated_tokens"] / row["completions/mean_length"] for row in rows]
    assert turns == [8, 8]  # two processes, two episodes each, two turns each
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
    files = {"adapter", "optimizer.pt", "trained.safetensors", "trainer_state.json"}
    assert {path.name for path in (tmp_path / "checkpoint-2").iterdir()} == files


def test_one_cpu_process_trains_through_the_launcher_too(tiny_run, tmp_path):
    done = launch("cpu1", "train.sft", *tiny_run, "--episodes", 2, "--max_steps", 1, "--output_dir", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl") if "loss" in row] == [1]
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_a_mistake_in_the_settings_ends_the_program_with_one_line_and_an_error_status(tmp_path):
    command = [sys.executable, "-m", "train.grpo", "--group-size", "many"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "error: group_size: expected int, got 'many'"
    assert "Traceback" not in done.stderr
