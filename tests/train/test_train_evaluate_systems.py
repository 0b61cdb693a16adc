"""Systems of an evaluation: what YAML may say, which adapters they need, what Engram and MemLoRA make of them."""

import pytest
import torch
import yaml

from agents.backbone import LoraSettings, add_adapter, attach_engram, load_backbone, save_adapter
from agents.baselines.append_all import AppendAll
from agents.manager import MemoryManager
from memgym.records import Manifest, read_trajectories
from tests.scripted import tea_story, write_custom
from train import evaluate
from train.evaluate_arguments import parse_arguments
from train.evaluate_models import Models
from train.evaluate_systems import System, product, read_systems

ENGRAM = {"heads": 2, "rows": 101, "row_dim": 4, "table_init_std": 3.0}
SMALL = LoraSettings(rank=2, alpha=4)


def save_random(backbone, name, folder, seed):
    """A small adapter that does something."""
    add_adapter(backbone, name, SMALL, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in backbone.model.named_parameters():
            if "lora_B" in key and f".{name}." in key:
                parameter.normal_(std=0.1, generator=generator)
    save_adapter(backbone, name, folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Adapters of a plain manager, of MemLoRA twice, and of two managers with an Engram each."""
    root = tmp_path_factory.mktemp("runs")
    backbone = load_backbone("tiny-llama", device="cpu")
    save_random(backbone, "a0", root / "plain", 0)
    for number, path in enumerate(("one/extract", "one/update", "two/extract", "two/update"), start=1):
        save_random(backbone, f"a{number}", root / path, number)
    for seed in (0, 1):
        backbone = load_backbone("tiny-llama", device="cpu")
        attach_engram(backbone, {**ENGRAM, "seed": seed})
        save_random(backbone, "default", root / f"engram{seed}", seed)
    return root


@pytest.fixture
def command(runs, tmp_path):
    """Arguments for three stories and the systems that are given."""
    path = write_custom(tmp_path / "stories.jsonl", *map(tea_story, "abc"))
    fixed = {"env": ["memgym/Custom-v0"], "env_kwargs": {"path": str(path)}, "backbone": "tiny-llama"}

    def make(systems, **options):
        values = {**fixed, "runs": str(runs), "output": str(tmp_path / "out"), "max_new_tokens": 4, **options}
        config = tmp_path / "systems.yaml"
        config.write_text(yaml.safe_dump({**values, "systems": systems}, sort_keys=False))
        return ["--config", str(config)]

    return make


def error_of(capsys, argv):
    with pytest.raises(SystemExit) as raised:
        evaluate.main(argv)
    message = raised.value.code if isinstance(raised.value.code, str) else capsys.readouterr().err.splitlines()[-1]
    assert "\n" not in message
    return message


def texts(folder):
    return [step.decision.text for trajectory in read_trajectories(folder) for step in trajectory.steps]


# --- One table -------------------------------------------------------------------------------------------------------


def test_every_system_is_a_row_with_its_own_agent_reader_and_settings(command, tmp_path, capsys):
    systems = {
        "floor": {"agent": "no_memory", "reader": "extractive", "untrained": True},
        "all": {"agent": "append_all", "reader": "extractive", "env_kwargs": {"retrieve": 1}, "untrained": True},
        "read": {"agent": "oracle", "reader": "answerer", "reader_kwargs": {"max_new_tokens": 3}},
    }
    summary = evaluate.main([*command(systems, budget=40), "--against", "best_untrained", "floor"])
    printed = capsys.readouterr().out
    assert "memgym/Custom-v0, 3 systems, 3 episodes" in printed
    table = printed[printed.index("agent ") :].splitlines()
    assert [line.split()[0] for line in table[2:5]] == list(systems) == list(summary["agents"])
    manifests = {label: Manifest.read(tmp_path / "out" / label) for label in systems}
    assert (
        manifests["floor"].reader == manifests["all"].reader != manifests["read"].reader == "lm(tiny-llama, no adapter)"
    )
    assert (manifests["all"].config["retrieve"], manifests["floor"].config["retrieve"]) == (1, 20)
    assert manifests["read"].extra["answerer"]["max_new_tokens"] == 3
    assert summary["systems"]["all"]["env_kwargs"] == {"retrieve": 1}
    best, floor = summary["against"]
    assert (best["against"], best["baseline"]) == ("best_untrained", "all")
    assert list(best["agents"]) == ["floor", "read"]
    assert (floor["baseline"], list(floor["agents"])) == ("floor", ["all", "read"])
    assert "Against best_untrained, 6 questions of 3 episodes, paired; " in printed


def test_a_memory_that_two_systems_share_is_written_once(command, tmp_path, monkeypatch):
    acted = []
    for kind in (MemoryManager, AppendAll):

        def act(self, observations, episodes, original=kind.act):
            acted.append(self.name)
            return original(self, observations, episodes)

        monkeypatch.setattr(kind, "act", act)
    longer = {"reader": "answerer", "reader_kwargs": {"max_new_tokens": 3}}
    systems = {
        "one": {"agent": "manager@plain", "reader": "extractive"},
        "two": {"agent": "manager@plain", **longer},
        "copy": {"agent": "append_all", "reader": "extractive"},
        "copy_read": {"agent": "append_all", **longer},
        "copy_all": {"agent": "append_all", "reader": "extractive", "env_kwargs": {"budget": None}},
    }
    argv = command(systems, budget=40)
    evaluate.main(argv)
    steps = 3  # of each story
    assert [acted.count("manager"), acted.count("append_all")] == [steps, 2 * steps]
    shared = {label: Manifest.read(tmp_path / "out" / label).time.get("memory_from") for label in systems}
    assert shared == {"one": None, "two": "one", "copy": None, "copy_read": "copy", "copy_all": None}
    records = {label: list(read_trajectories(tmp_path / "out" / label)) for label in systems}
    for label in ("two", "copy_read"):  # as if each were run alone
        evaluate.main([*argv, "--systems", label, "--fresh"])
        assert list(read_trajectories(tmp_path / "out" / label)) == records[label]


def test_another_adapter_writes_another_memory(command, tmp_path):
    agents = ("manager@plain", "manager", "manager@engram0")
    systems = {f"s{number}": {"agent": agent, "reader": "extractive"} for number, agent in enumerate(agents)}
    systems["off"] = {"agent": agents[-1], "reader": "extractive", "engram": False}
    systems["sampling"] = {"agent": "manager", "reader": "extractive", "agent_kwargs": {"temperature": 1.0}}
    evaluate.main(command(systems))
    assert not any("memory_from" in Manifest.read(tmp_path / "out" / label).time for label in systems)


def test_systems_are_picked_by_label_and_a_baseline_that_is_not_among_them_is_said(command, capsys):
    systems = {label: {"agent": label, "reader": "extractive"} for label in ("no_memory", "recency", "oracle")}
    argv = [*command(systems, against=["recency"]), "--systems", "oracle", "no_memory"]
    summary = evaluate.main(argv)
    assert list(summary["agents"]) == ["no_memory", "oracle"], "in the order of the file"
    assert "against" not in summary
    assert "against recency: no such system in this evaluation" in capsys.readouterr().out


def test_a_config_adds_systems_to_those_of_a_preset_and_changes_them(tmp_path):
    config = tmp_path / "more.yaml"
    mine = {"rag": {"agent": "rag", "reader": "extractive"}, "mine": {"agent": "random", "reader": "extractive"}}
    config.write_text(yaml.safe_dump({"systems": mine, "budget": 100}))
    argv = ["--preset", "locomo", "--config", str(config), "--systems", "recency", "rag", "mine"]
    arguments = parse_arguments(argv, "")
    assert [(system.label, system.reader.partition("@")[0]) for system in arguments.systems] == [
        ("recency", "answerer"),
        ("rag", "extractive"),
        ("mine", "extractive"),
    ]
    assert (arguments.budget, arguments.split) == (100, "test")


def test_systems_of_the_command_line_know_which_of_them_are_untrained():
    trained = [system.untrained for system in product(["rag", "oracle", "manager", "m=manager@a"], "answerer")]
    assert trained == [True, False, True, False]
    assert not product(["rag"], "answerer@a")[0].untrained
    assert product(["a=b=manager@x"], "extractive") == [System("a=b", "manager@x", "extractive")]


# --- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (["rag"], "systems: expected a mapping of labels to systems, got ['rag']"),
        ({"a/b": {}}, "system 'a/b': expected a label of letters, digits and . _ = + -: it names a folder"),
        ({"a": "rag"}, "system a: expected a mapping with agent and reader, got 'rag'"),
        ({"a": {"agent": "rag"}}, "system a: reader is missing"),
        (
            {"a": {"agent": "rag", "reader": "x", "colour": 1}},
            "system a: unknown setting colour; expected one of agent",
        ),
        ({"a": {"agent": "rag", "reader": 3}}, "system a: reader: expected text, got 3"),
        ({"a": {"agent": "rag", "reader": "x", "engram": "no"}}, "system a: engram: expected on or off, got 'no'"),
        ({"a": {"agent": "rag", "reader": "x", "env_kwargs": 1}}, "system a: env_kwargs: expected a mapping, got 1"),
        ({"a": {"agent": "rog", "reader": "x"}}, "system a: agent 'rog' is unknown; choose one of no_memory"),
        ({"a": {"agent": "rag@x", "reader": "x"}}, "system a: agent rag@x: only manager and memlora take an adapter"),
    ],
)
def test_a_system_that_cannot_be_meant_is_named(systems, message):
    with pytest.raises(ValueError) as raised:
        read_systems(systems)
    assert str(raised.value).startswith(message)


BOTH = {"low": {"agent": "no_memory", "reader": "extractive"}, "high": {"agent": "oracle", "reader": "extractive"}}


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({}, ["--agents", "rag"], "--agents and --readers make tables of their own: leave them out, or the systems"),
        ({}, ["--systems", "low", "mid"], "--systems: 'mid' is unknown; choose some of low, high"),
        ({}, ["--against", "mid"], "--against mid: expected best_untrained or one of low, high"),
        ({"env_kwargs": {"colour": 1}}, [], "(system high)"),
        ({"agent_kwargs": {"colour": 1}}, [], "error: high: "),
        ({"reader_kwargs": {"distil": True}}, [], "error: high: reader extractive takes no reader_kwargs"),
        ({"engram": False}, [], "error: system high: engram is off, but none of its adapters was trained with one"),
    ],
)
def test_a_mistake_ends_with_one_line_before_anything_is_run(command, capsys, tmp_path, changes, more, message):
    systems = {**BOTH, "high": {**BOTH["high"], **changes}}
    assert message in error_of(capsys, [*command(systems), *more])
    assert not (tmp_path / "out").exists()


def test_a_label_that_comes_twice_is_named(tmp_path, capsys):
    path = tmp_path / "twice.yaml"
    path.write_text("systems:\n  a: {agent: rag, reader: extractive}\n  a: {agent: oracle, reader: extractive}\n")
    assert "a comes twice in one mapping" in error_of(capsys, ["--config", str(path)])


def test_systems_that_are_asked_other_questions_are_no_comparison(command, tmp_path, capsys):
    other = write_custom(tmp_path / "other.jsonl", *map(tea_story, "xyz"))
    systems = {**BOTH, "high": {**BOTH["high"], "env_kwargs": {"path": str(other)}}}
    assert "high is asked other questions than low: compare their env_kwargs" in error_of(capsys, command(systems))


def test_a_missing_adapter_is_told_with_the_command_that_trains_it(command, capsys, runs):
    systems = {
        **BOTH,
        "new": {"agent": "manager@new/adapter", "reader": "extractive"},
        "pair": {"agent": "memlora@nowhere", "reader": "answerer@plain"},
    }
    message = error_of(capsys, command(systems, trained_by={"new/adapter": "accelerate launch -m train.sft"}))
    assert message == (
        f"error: system new: no adapter in {runs / 'new' / 'adapter'}: expected a folder with adapter_config.json; "
        "this trains it: accelerate launch -m train.sft; pair lack adapters too; "
        "to leave out what is missing: --systems low high"
    )


# --- MemLoRA ---------------------------------------------------------------------------------------------------------


def test_memlora_s_adapters_write_the_memory(command, runs, tmp_path):
    evaluate.main([*command({"m": {"agent": "memlora@one", "reader": "extractive"}})])
    manifest = Manifest.read(tmp_path / "out" / "m")
    assert manifest.extra["styles"] == {"extract": "terse", "update": "terse"}
    assert list(manifest.extra["system"]["adapters"]) == [str(runs / "one" / part) for part in ("extract", "update")]
    assert any(texts(tmp_path / "out" / "m"))


def test_memlora_on_the_command_line_is_bare_or_has_its_folder(command, runs):
    models = Models(parse_arguments(["--backbone", "tiny-llama", "--runs", str(runs)], ""))
    one, two, again = (models.agent(System("a", f"memlora@{name}", "x"), None) for name in ("one", "two", "one"))
    bare = models.agent(System("a", "memlora", "x"), None)
    assert one.backbone is again.backbone
    assert one.backbone is not two.backbone, "their adapters have the same names"
    assert one.backbone is bare.backbone
    assert set(bare.adapters.values()) == {None}
    assert set(bare.styles.values()) == {"full"}


# --- Engram ----------------------------------------------------------------------------------------------------------


def test_engram_is_switched_off_per_system(command, tmp_path):
    trained = {"agent": "manager@engram0", "reader": "extractive"}
    evaluate.main(command({"on": trained, "off": {**trained, "engram": False}}, max_new_tokens=12))
    assert texts(tmp_path / "out" / "on") != texts(tmp_path / "out" / "off")
    assert Manifest.read(tmp_path / "out" / "off").extra["system"]["engram"] is False


def test_no_engram_switches_it_off_in_all_that_have_one(command, tmp_path):
    systems = {
        "with": {"agent": "manager@engram0", "reader": "extractive"},
        "without": {"agent": "manager@plain", "reader": "extractive"},
    }
    evaluate.main([*command(systems), "--no-engram"])
    switched = {label: Manifest.read(tmp_path / "out" / label).extra["system"]["engram"] for label in systems}
    assert switched == {"with": False, "without": True}


def test_adapters_share_a_backbone_unless_their_engrams_differ(runs):
    models = Models(parse_arguments(["--backbone", "tiny-llama", "--runs", str(runs)], ""))
    plain, first, second = (
        models.agent(System(name, f"manager@{name}", "x"), None) for name in ("plain", "engram0", "engram1")
    )
    assert plain.backbone is first.backbone
    assert second.backbone is not first.backbone
    off = models.agent(System("off", "manager@engram0", "x", engram=False), None)
    assert off.backbone is first.backbone
    assert first.backbone.without_engram == {None, plain.adapter, off.adapter}
    assert isinstance(off, MemoryManager)
