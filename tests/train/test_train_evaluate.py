import json
from pathlib import Path

import pytest
import yaml

from agents import BASELINES
from agents.backbone import LoraSettings, add_adapter, save_adapter
from agents.manager import MemoryManager
from memgym.records import Manifest, read_trajectories
from tests.scripted import tea_story, write_custom
from train import evaluate, evaluate_models
from train.evaluate_arguments import parse_arguments
from train.evaluate_models import Models
from train.evaluate_systems import System, split_agent
from train.settings import EnvSettings
from train.setup import build_env

CONFIGS = Path(evaluate.__file__).parent / "configs"
DIALOGUE = "{dialogue: {chunks: 2, turns_per_chunk: 2, questions: 2, verbosity: short}}"
MANAGER = ["--backbone", "tiny-llama", "--max-new-tokens", "4"]


@pytest.fixture
def stories(tmp_path):
    """Arguments for three stories that the extractive reader answers as well from all turns as from the evidence."""
    path = write_custom(tmp_path / "stories.jsonl", *map(tea_story, "abc"))
    return ["--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {path}}}", "--output", str(tmp_path / "out")]


@pytest.fixture
def dialogues(tmp_path):
    return ["--env-kwargs", DIALOGUE, "--split", "test", "--output", str(tmp_path / "out")]


def error_of(capsys, argv):
    """What ends the program: argparse's last line, or the trainer's own."""
    with pytest.raises(SystemExit) as raised:
        evaluate.main([*map(str, argv)])
    message = raised.value.code if isinstance(raised.value.code, str) else capsys.readouterr().err.splitlines()[-1]
    assert "\n" not in message
    return message


# --- Results ---------------------------------------------------------------------------------------------------------


def test_all_baselines_make_one_table_a_summary_and_a_picture(dialogues, tmp_path, capsys):
    summary = evaluate.main([*dialogues, "--budget", "60", "--episodes", "4", "--compare", "oracle", "no_memory"])
    printed = capsys.readouterr().out
    assert "memgym/Dialogue-v0, reader extractive, 4 episodes" in printed
    table = printed[printed.index("agent ") :].splitlines()
    assert [line.split()[0] for line in table[2 : 2 + len(BASELINES)]] == list(BASELINES)
    assert "\noracle - no_memory: +" in printed

    out = tmp_path / "out"
    assert json.loads((out / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert summary.keys() == {
        *("env", "reader", "episodes", "agents", "category_names", "oracle_minus_no_memory", "wall_s")
    }
    assert (summary["env"], summary["reader"], summary["episodes"]) == ("memgym/Dialogue-v0", "extractive", 4)
    assert list(summary["agents"]) == list(BASELINES)
    for figures in summary["agents"].values():
        low, high = figures["ci95"]
        assert low <= figures["score"] <= high
        assert figures["episodes"] == 4
    difference = summary["oracle_minus_no_memory"]
    scores = {name: figures["score"] for name, figures in summary["agents"].items()}
    assert difference["mean"] == pytest.approx(scores["oracle"] - scores["no_memory"])
    assert difference["ci95"][0] <= difference["mean"] <= difference["ci95"][1]
    assert (out / "scores.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_floor_and_ceiling_normalise_the_scores(stories):
    agents = evaluate.main([*stories, "--agents", "no_memory", "append_all", "oracle"])["agents"]
    assert agents["no_memory"]["score"] < agents["append_all"]["score"] == agents["oracle"]["score"]
    assert [figures["normalised"] for figures in agents.values()] == [0.0, 1.0, 1.0]
    (alone,) = evaluate.main([*stories, "--agents", "append_all"])["agents"].values()
    assert alone["normalised"] is None


def test_every_agent_leaves_its_trajectories_and_how_they_came_about(stories, tmp_path):
    evaluate.main([*stories, "--agents", "no_memory", "rag", "--budget", "30", "--seed", "5"])
    for name in ("no_memory", "rag"):
        trajectories = list(read_trajectories(tmp_path / "out" / name))
        assert [trajectory.episode_id for trajectory in trajectories] == ["a", "b", "c"]
        manifest = Manifest.read(tmp_path / "out" / name)
        assert (manifest.agent, manifest.env, manifest.seed) == (name, "memgym/Custom-v0", 5)
    assert Manifest.read(tmp_path / "out" / "no_memory").budget["total"] == 30
    assert Manifest.read(tmp_path / "out" / "rag").budget["total"] is None  # it is defined by having no budget


def test_a_second_evaluation_replaces_the_records_of_the_first(stories, tmp_path):
    for _ in range(2):
        evaluate.main([*stories, "--agents", "no_memory", "--fresh"])
    assert len(list(read_trajectories(tmp_path / "out" / "no_memory"))) == 3


@pytest.mark.parametrize("num_envs", ["1", "2", "64"])
def test_how_many_episodes_run_together_changes_nothing(stories, num_envs):
    argv = [*stories, "--agents", "random", "--budget", "20", "--fresh"]
    assert evaluate.main([*argv, "--num-envs", num_envs])["agents"] == evaluate.main(argv)["agents"]


def test_a_range_of_episodes_can_be_chosen(stories, tmp_path):
    summary = evaluate.main([*stories, "--agents", "no_memory", "--first-episode", "1", "--episodes", "1"])
    assert summary["episodes"] == 1
    assert summary["agents"]["no_memory"]["ci95"] is None  # one episode has no spread
    assert [t.episode_id for t in read_trajectories(tmp_path / "out" / "no_memory")] == ["b"]


def test_several_environments_and_readers_each_get_a_table_and_a_folder(stories, tmp_path, capsys):
    other = ["--env", "memgym/Custom-v0", "memgym/Custom-v0", "--readers", "extractive", "tiny-llama"]
    summary = evaluate.main([*stories, *other, "--agents", "no_memory", "oracle"])
    assert summary.keys() == {"runs", "wall_s"}
    assert [run["reader"] for run in summary["runs"]] == ["extractive", "tiny-llama"] * 2
    assert capsys.readouterr().out.count("memgym/Custom-v0, reader ") == 4
    assert summary["runs"][0] == summary["runs"][2]
    for reader in ("extractive", "tiny-llama"):
        folder = tmp_path / "out" / f"memgym_Custom-v0_{reader}"
        assert (folder / "scores.png").is_file()
        assert (folder / "oracle" / "trajectories.jsonl").is_file()
    assert (
        Manifest.read(tmp_path / "out" / "memgym_Custom-v0_tiny-llama" / "oracle").reader
        == "lm(tiny-llama, no adapter)"
    )


# --- Managers --------------------------------------------------------------------------------------------------------


def test_a_bare_and_a_trained_manager_are_compared_on_one_backbone(stories, tmp_path, policy):
    save_adapter(policy, "default", tmp_path / "adapter.v1")
    agents = ["--agents", "manager", f"trained=manager@{tmp_path / 'adapter.v1'}"]
    summary = evaluate.main([*stories, *MANAGER, *agents, "--compare", "trained", "manager"])
    assert list(summary["agents"]) == ["manager", "trained"]
    assert "trained_minus_manager" in summary
    texts = {
        name: [
            step.decision.text for trajectory in read_trajectories(tmp_path / "out" / name) for step in trajectory.steps
        ]
        for name in summary["agents"]
    }
    assert len(texts["manager"]) == len(texts["trained"]) == 9
    assert texts["manager"] != texts["trained"]


def test_a_backbone_is_loaded_once_and_each_adapter_once(tmp_path, monkeypatch, own_backbone):
    add_adapter(own_backbone, "default", LoraSettings(rank=2))
    save_adapter(own_backbone, "default", tmp_path / "a")
    loads = []
    original = evaluate_models.load_backbone
    monkeypatch.setattr(
        evaluate_models, "load_backbone", lambda name, **kwargs: loads.append(name) or original(name, **kwargs)
    )
    models = Models(parse_arguments([], ""))
    backbone, none = models.get("tiny-llama", None)
    again, label = models.get("tiny-llama", tmp_path / "a")
    assert models.get("tiny-llama", tmp_path / "a") == (backbone, label)
    assert backbone is again
    assert none is None
    assert backbone.adapters == (label,)
    assert loads == ["tiny-llama"]


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("oracle", ("oracle", "oracle", None)),
        ("manager@a/b", ("manager", "manager", "a/b")),
        ("start=manager", ("start", "manager", None)),
        ("lr=1=manager@runs/lr=1/adapter", ("lr=1", "manager", "runs/lr=1/adapter")),
    ],
)
def test_an_agent_is_a_label_a_name_and_an_adapter(spec, parts):
    assert split_agent(spec) == parts


def test_an_adapter_can_read_as_well(tmp_path, own_backbone):
    add_adapter(own_backbone, "default", LoraSettings(rank=2))
    save_adapter(own_backbone, "default", tmp_path / "a")
    models = Models(parse_arguments(["--backbone", "tiny-llama"], ""))
    for spec in ("tiny-llama", "answerer"):
        reader = models.reader(System("a", "oracle", f"{spec}@{tmp_path / 'a'}"), 2500)
        assert reader.backbone.adapters == (reader.adapter,)
        assert reader.window == 2500


@pytest.fixture
def quoting(policy, tmp_path):
    """An adapter that was trained to quote, in the folder of its run."""
    policy.trained_as["default"] = MemoryManager(policy, style="quote", max_new_tokens=4).record
    save_adapter(policy, "default", tmp_path / "run" / "adapter")
    return tmp_path / "run" / "adapter"


def test_a_manager_reads_and_writes_as_its_adapter_was_trained_to(stories, tmp_path, quoting):
    evaluate.main([*stories, "--backbone", "tiny-llama", "--agents", f"own=manager@{quoting}", "manager"])
    own, bare = (Manifest.read(tmp_path / "out" / name).extra for name in ("own", "manager"))
    assert (own["style"], own["codec"], own["max_new_tokens"]) == ("quote", "lines", 4)
    assert (bare["style"], bare["codec"], bare["max_new_tokens"]) == ("terse", "lines", 96)


def test_another_style_than_the_adapters_own_ends_with_one_line(stories, tmp_path, quoting, capsys):
    argv = [*stories, *MANAGER, "--agents", "no_memory", f"manager@{quoting}", "--style", "terse"]
    assert error_of(capsys, argv).startswith("error: manager: the adapter was trained with style='quote', not 'terse'")
    assert not (tmp_path / "out").exists()


def test_a_manager_s_adapter_does_not_read_for_an_exam(stories, quoting, capsys):
    message = error_of(capsys, [*stories, "--agents", "oracle", "--readers", f"tiny-llama@{quoting}"])
    assert message.startswith("error: oracle: the adapter was trained as manager, not as answerer")


ROWS = [
    {"step": 0, "eval_score": 0.25, "eval_floor": 0.0, "eval_ceiling": 1.0},
    {"step": 1, "reward": 0.5},
    {"step": 1, "eval_score": 0.75, "eval_floor": 0.0, "eval_ceiling": 1.0},
]


def test_the_reward_curve_of_an_adapters_run_is_drawn_beside_the_scores(stories, tmp_path, quoting):
    (quoting.parent / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    argv = [*stories, "--backbone", "tiny-llama", "--agents", f"own=manager@{quoting}", "no_memory"]
    expected = [
        {"step": 0, "score": 0.25, "floor": 0.0, "ceiling": 1.0},
        {"step": 1, "score": 0.75, "floor": 0.0, "ceiling": 1.0},
    ]
    assert evaluate.main(argv)["curves"] == {"own": expected}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["curves"] == {"own": expected}
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_several_runs_have_a_curve_each_and_one_without_held_out_scores_has_none(tmp_path):
    for run, rows in (("sft", ROWS[1:2]), ("a", ROWS), ("b", ROWS)):
        (tmp_path / run).mkdir()
        (tmp_path / run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    adapters = {run: tmp_path / run / "adapter" for run in ("sft", "a", "b")}
    assert list(evaluate.draw_curves(adapters, tmp_path / "out")) == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["curve_a.png", "curve_b.png"]


# --- Settings --------------------------------------------------------------------------------------------------------


def write_config(tmp_path, **values):
    path = tmp_path / "evaluate.yaml"
    path.write_text(yaml.safe_dump(values))
    return ["--config", str(path)]


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path):
    file = write_config(tmp_path, agents=["oracle", "rag"], episodes=5, compare=[["oracle", "rag"]])
    arguments = parse_arguments([*file, "--episodes", "7"], "")
    assert (arguments.agents, arguments.episodes) == (["oracle", "rag"], 7)
    assert arguments.compare == [["oracle", "rag"]]
    assert arguments.readers == ["extractive"]


def test_env_kwargs_of_the_command_line_change_single_keys_of_the_file_s(tmp_path):
    file = write_config(tmp_path, env_kwargs={"shown": 0, "dialogue": {"chunks": 3, "questions": 6}})
    arguments = parse_arguments([*file, "--env-kwargs", "{shown: 2, dialogue: {chunks: 1}}"], "")
    assert arguments.env_kwargs == {"shown": 2, "dialogue": {"chunks": 1, "questions": 6}}


def test_an_empty_file_changes_nothing(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    arguments = parse_arguments(["--config", str(path)], "")
    assert arguments.agents == list(BASELINES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"agent": ["oracle"]}, "unknown setting agent; expected one of "),
        ({"agents": [3]}, "agent '3' is unknown"),
        ({"agents": []}, "argument --agents: expected at least one argument"),
        ({"episodes": "many"}, "argument --episodes: invalid int value: 'many'"),
        ({"style": "chatty"}, "argument --style: invalid choice: 'chatty'"),
        ({"env_kwargs": "a"}, "argument --env-kwargs: expected a mapping, got 'a'"),
        ({"compare": ["oracle"]}, "argument --compare: expected 2 arguments"),
        ({"agents": "oracle"}, "agents: expected a list, got 'oracle'"),
        ({"env": "memgym/Dialogue-v0"}, "env: expected a list, got 'memgym/Dialogue-v0'"),
        ({"preset": "locomo"}, "unknown setting preset; expected one of "),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, capsys, values, message):
    assert message in error_of(capsys, write_config(tmp_path, **values))


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "seed: 1\nseed: 2\n"])
def test_a_broken_file_is_named(tmp_path, capsys, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert str(path) in error_of(capsys, ["--config", str(path)])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--agents", "nobody"], "agent 'nobody' is unknown; choose one of no_memory, "),
        (["--agents", "memlora@nowhere"], "system memlora: no adapter in nowhere/extract: expected a folder"),
        (["--no-engram"], "--no-engram: none of the adapters was trained with an Engram: leave it out"),
        (["--against", "nobody"], "--against nobody: expected best_untrained or one of no_memory, "),
        (["--preset", "nothing"], "argument --preset: invalid choice: 'nothing'"),
        (["--systems", "rag"], "--systems chooses among the systems of --preset or --config, and there are none"),
        (["--codec", "foo"], "argument --codec: invalid choice: 'foo'"),
        (["--style", "foo"], "argument --style: invalid choice: 'foo'"),
        (["--agents", "manager", "--style", "quote", "--search"], "error: manager: style 'quote' cannot search"),
        (["--temperature", "-1"], "argument --temperature: -1: expected at least 0"),
        (["--temperature", "nan"], "argument --temperature: nan: expected at least 0"),
        (["--max-new-tokens", "0"], "argument --max-new-tokens: 0: expected at least 1"),
        (["--first-episode", "-1"], "argument --first-episode: -1: expected at least 0"),
        (["--num-envs", "0"], "argument --num-envs: 0: expected at least 1"),
        (["--seed", "-1"], "argument --seed: -1: expected at least 0"),
        (["--env-kwargs", "a"], "argument --env-kwargs: expected a mapping, got 'a'"),
        (["--env-kwargs", "{a: ["], "argument --env-kwargs: not valid YAML: "),
        (["--agents", "manager@nowhere"], "no adapter in nowhere"),
        (["--readers", "nobody"], "backbone 'nobody' is neither a folder with a model"),
        (["--env", "memgym/Nowhere-v0"], "memgym/Nowhere-v0: "),
        (["--budget", "-1"], "memgym/Custom-v0: "),
        (["--env-kwargs", "{colour: red}"], "memgym/Custom-v0: "),
        (["--episodes", "4"], "4 episodes from number 0 were asked for, the task custom has 3: change --episodes"),
        (["--first-episode", "3"], "the task custom has 3: change --episodes or --first-episode"),
        (["--episodes", "0"], "0 episodes from number 0 were asked for"),
        (["--agents", "oracle@adapter"], "agent oracle@adapter: only manager and memlora take an adapter"),
        (["--compare", "oracle", "nobody"], "--compare oracle nobody: both must be among the agents no_memory, "),
        (["--agents", "oracle", "oracle"], "agent oracle is named twice"),
    ],
)
def test_a_mistake_ends_with_one_line(stories, capsys, tmp_path, argv, message):
    assert message in error_of(capsys, [*stories, *MANAGER, *argv])
    assert not (tmp_path / "out").exists()  # and before anything was run


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*evaluate*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_repository_is_understood(path):
    arguments = parse_arguments(["--config", str(path)], "")
    kwargs = {**arguments.env_kwargs, "split": arguments.split, "budget": arguments.budget}
    for env_id in arguments.env:
        if env_id == "memgym/Dialogue-v0":
            assert build_env(EnvSettings(env_id, kwargs), 1).num_envs == 1
