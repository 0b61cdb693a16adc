"""An evaluation that is started again takes over what has ended and has not changed."""

import pytest

from agents.backbone import LoraSettings, add_adapter, save_adapter
from memgym.records import Manifest
from tests.scripted import tea_story, write_custom
from train import evaluate, evaluate_runs


@pytest.fixture
def stories(tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", *map(tea_story, "abc"))
    return ["--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {path}}}", "--output", str(tmp_path / "out")]


@pytest.fixture
def ran(monkeypatch):
    """Names of the agents that are run."""
    names, original = [], evaluate_runs.rollout

    def rollout(env, agent, episodes, **options):
        names.append(agent.name)
        return original(env, agent, episodes, **options)

    monkeypatch.setattr(evaluate_runs, "rollout", rollout)
    return names


def test_what_has_ended_is_not_run_again(stories, ran, capsys, tmp_path):
    argv = [*stories, "--agents", "no_memory", "oracle", "--budget", "30"]
    first = evaluate.main(argv)
    manifest = Manifest.read(tmp_path / "out" / "oracle")
    assert manifest.command == "python -m train.evaluate " + " ".join(argv)
    wall = manifest.time
    ran.clear()
    capsys.readouterr()
    assert evaluate.main(argv)["agents"] == first["agents"]
    assert ran == []
    assert f"oracle: taken from {tmp_path / 'out' / 'oracle'}, where nothing has changed" in capsys.readouterr().out
    assert Manifest.read(tmp_path / "out" / "oracle").time == wall


def test_fresh_runs_everything(stories, ran):
    for _ in range(2):
        evaluate.main([*stories, "--agents", "no_memory", "oracle", "--fresh"])
    assert ran == ["no_memory", "oracle"] * 2


@pytest.mark.parametrize(
    ("more", "again"),
    [
        (["--agents", "oracle", "recency"], ["recency"]),  # other company changes nothing
        (["--against", "oracle", "--num-envs", "1"], []),
        (["--budget", "20"], ["oracle"]),
        (["--episodes", "2"], ["oracle"]),
        (["--readers", "extractive_open"], ["oracle"]),
        (["--seed", "1"], ["oracle"]),
    ],
)
def test_what_has_changed_is_run_again(stories, ran, more, again):
    evaluate.main([*stories, "--agents", "oracle", "--budget", "30"])
    ran.clear()
    evaluate.main([*stories, "--agents", "oracle", "--budget", "30", *more])
    assert ran == again


def test_another_file_of_the_same_name_is_run_again(stories, ran, tmp_path):
    evaluate.main([*stories, "--agents", "oracle"])
    write_custom(tmp_path / "stories.jsonl", *map(tea_story, "acb"))
    evaluate.main([*stories, "--agents", "oracle"])
    assert ran == ["oracle", "oracle"]


def test_an_interrupted_evaluation_goes_on_with_the_system_it_was_at(stories, ran, monkeypatch):
    argv = [*stories, "--agents", "no_memory", "oracle", "recency"]

    def until_oracle(env, run, episodes, policy, original=evaluate_runs._roll_out):
        if run.system.label == "oracle":
            raise KeyboardInterrupt
        return original(env, run, episodes, policy)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(evaluate_runs, "_roll_out", until_oracle)
        evaluate.main(argv)
    assert ran == ["no_memory"]
    evaluate.main(argv)
    assert ran == ["no_memory", "oracle", "recency"]


def test_an_adapter_that_was_trained_further_is_run_again(stories, ran, tmp_path, own_backbone):
    argv = [*stories, "--backbone", "tiny-llama", "--max-new-tokens", "2", "--agents", f"manager@{tmp_path / 'a'}"]
    for seed in (0, 1):
        add_adapter(own_backbone, f"seed{seed}", LoraSettings(rank=2), seed=seed)
    for seed in (0, 0, 1):
        save_adapter(own_backbone, f"seed{seed}", tmp_path / "a")
        evaluate.main(argv)
    assert ran == ["manager", "manager"]


def test_sampled_replies_depend_on_how_many_episodes_run_together(stories, ran):
    argv = [*stories, "--backbone", "tiny-llama", "--max-new-tokens", "2", "--agents", "manager", "--temperature", "1"]
    for more in ([], [], ["--num-envs", "1"]):
        evaluate.main([*argv, *more])
    assert ran == ["manager", "manager"]


def test_a_manifest_stands_only_beside_the_records_it_describes(stories, tmp_path, monkeypatch):
    argv = [*stories, "--agents", "oracle"]
    evaluate.main(argv)
    monkeypatch.setattr(evaluate_runs, "rollout", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate.main([*argv, "--fresh"])
    assert (tmp_path / "out" / "oracle" / "trajectories.jsonl").is_file()
    assert not (tmp_path / "out" / "oracle" / "manifest.yaml").exists()
