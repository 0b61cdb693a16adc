"""Both trainers on both stages of Memory-R1, by the repository's own configs: tiny models, an invented LoCoMo."""

from pathlib import Path

import pytest
import torch

from agents.trained_as import read_record
from memgym.records import Manifest
from tests.scripted import write_locomo
from train import grpo, ppo
from train.callbacks import read_metrics

CONFIGS = Path(ppo.__file__).parent / "configs"
TRAINERS = {"grpo": grpo, "ppo": ppo}


@pytest.fixture(scope="module")
def locomo(tmp_path_factory):
    return write_locomo(tmp_path_factory.mktemp("data") / "locomo10.json")


@pytest.fixture(scope="module")
def command(locomo):
    """A config as it is run, but for the size of model and run."""

    def command(role, algorithm, folder, *more):
        files = (f"memory_r1_{role}.yaml", f"memory_r1_{role}_{algorithm}.yaml")
        argv = [part for file in files for part in ("--config", str(CONFIGS / file))]
        argv += ["--backbone", "{name: tiny-llama, adapter: null}", "--lora", "{rank: 2, dtype: float32}"]
        argv += ["--env.kwargs.source_kwargs", f"{{path: {locomo}}}", "--agent.max_new_tokens", "6"]
        argv += ["--max_steps", "1", "--eval_episodes", "1", "--output_dir", str(folder)]
        return [*argv, *map(str, more)]

    return command


@pytest.fixture(scope="module")
def answerers(command, tmp_path_factory):
    """Folders of an Answer Agent's run with either algorithm."""
    folders = {}
    for algorithm, trainer in TRAINERS.items():
        folders[algorithm] = tmp_path_factory.mktemp(algorithm) / "answer"
        trainer.main(command("answer", algorithm, folders[algorithm]))
    return folders


@pytest.mark.parametrize("algorithm", TRAINERS)
def test_the_answer_environment_trains_an_answer_agent(answerers, algorithm):
    folder = answerers[algorithm]
    manifest = Manifest.read(folder)
    assert (manifest.env, manifest.agent, manifest.reward) == ("memgym/MemoryR1Answer-v0", "answerer", "em_else_f1")
    assert read_record(folder / "adapter") == {
        **{"role": "answerer", "distil": True, "max_new_tokens": 6},
        "env": {"retrieve": 60, "neighbours": 0, "calendar_dates": False, "context_tokens": 4000},
    }
    (row,) = [row for row in read_metrics(folder / "metrics.jsonl") if "reward" in row]
    assert {"terms/em", "terms/f1", "terms/em_else_f1", "terms/selected"} <= set(row)
    assert row["reward"] == row["terms/em_else_f1"]
    assert 16 <= row["generated_tokens"] <= 16 * 6  # trajectories of one reply each
    assert row["completions/mean_length"] == pytest.approx(row["generated_tokens"] / 16)


@pytest.mark.parametrize("algorithm", TRAINERS)
def test_answers_are_graded_on_the_validation_conversation_without_floor_and_ceiling(answerers, algorithm):
    rows = [row for row in read_metrics(answerers[algorithm] / "metrics.jsonl") if "eval_score" in row]
    assert [row["step"] for row in rows] == [0, 1]
    assert not any("floor" in key or "ceiling" in key or "normalised" in key for row in rows for key in row)
    assert (answerers[algorithm] / "curve.png").is_file()


@pytest.mark.parametrize("algorithm", TRAINERS)
def test_the_manager_environment_trains_a_manager_whose_exams_that_answerer_sits(
    command, answerers, algorithm, tmp_path, adapter_weights
):
    answerer = answerers[algorithm] / "adapter"
    TRAINERS[algorithm].main(command("manager", algorithm, tmp_path, "--answerer", answerer))
    manifest = Manifest.read(tmp_path)
    assert (manifest.env, manifest.agent) == ("memgym/MemoryR1Manager-v0", "manager")
    assert manifest.reader == f"lm(tiny-llama, {answerer})"
    assert read_record(tmp_path / "adapter")["style"] == "quote"
    (row,) = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "reward" in row]
    assert 16 <= row["generated_tokens"] <= 16 * 6
    assert {"eval_floor", "eval_ceiling"} <= set(read_metrics(tmp_path / "metrics.jsonl")[0])
    assert adapter_weights(tmp_path / "adapter").keys() == adapter_weights(answerer).keys()


def test_an_interrupted_answerer_ends_as_if_it_had_never_stopped(
    command, tmp_path, run_until_power_cut, adapter_weights, comparable_metrics
):
    """With a reward for the form as well, which a random model gets now and then."""
    options = [
        "--max_steps",
        2,
        "--save_every",
        1,
        "--env.kwargs.reward",
        "{em: 1, format: 1}",
        "--agent.distil",
        "false",
    ]
    ppo.main(command("answer", "ppo", tmp_path / "whole", *options))
    argv = command("answer", "ppo", tmp_path / "resumed", *options)
    run_until_power_cut(ppo, argv, after=1)
    ppo.main([*argv, "--resume", "true"])
    assert comparable_metrics(tmp_path / "resumed") == comparable_metrics(tmp_path / "whole")
    whole, resumed = (adapter_weights(tmp_path / name / "adapter") for name in ("whole", "resumed"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize(("role", "message"), [("answer", "memories"), ("manager", "window")])
@pytest.mark.parametrize("algorithm", TRAINERS)
def test_half_a_config_is_refused(role, algorithm, message, tmp_path):
    argv = ["--config", str(CONFIGS / f"memory_r1_{role}_{algorithm}.yaml"), "--backbone.name", "tiny-llama"]
    with pytest.raises(SystemExit, match=f"^error: memgym/Dialogue-v0: .*{message}"):
        TRAINERS[algorithm].main([*argv, "--output_dir", str(tmp_path)])
