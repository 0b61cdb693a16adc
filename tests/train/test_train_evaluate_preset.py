"""The presets: what they describe, and all rows of LoCoMo's on an invented file in its schema, with tiny adapters."""

import json
import os
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from agents.backbone import LoraSettings, add_adapter, attach_engram, load_backbone, save_adapter
from memgym.records import Manifest
from train import evaluate
from train.evaluate_arguments import PRESETS, parse_arguments
from train.evaluate_runs import Preparation
from train.settings import EnvSettings, load_settings
from train.setup import build_env

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("MEMGYM_DATA") or ROOT.parent / "shared" / "data") / "locomo" / "locomo10.json"
LOCOMO = yaml.safe_load((PRESETS / "locomo.yaml").read_text())
SETTINGS = {
    "train.distill": "DistillSettings",
    "train.sft": "SFTSettings",
    "train.grpo": "GRPOSettings",
    "train.ppo": "PPOSettings",
    "train.select_adapters": "SelectionSettings",
}


# --- What they describe ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_understood_and_its_baselines_are_among_its_systems(path):
    """A label that comes twice would be refused."""
    arguments = parse_arguments(["--preset", path.stem], "")
    labels = [system.label for system in arguments.systems]
    assert labels == list(yaml.safe_load(path.read_text())["systems"])
    assert set(arguments.against) <= {"best_untrained", *labels}
    adapters = {adapter for system in arguments.systems for adapter in system.adapters}
    assert set(arguments.trained_by) <= adapters


@pytest.mark.parametrize(("adapter", "command"), LOCOMO["trained_by"].items(), ids=LOCOMO["trained_by"])
def test_the_command_that_trains_an_adapter_is_understood_and_writes_where_it_is_looked_for(
    adapter, command, monkeypatch
):
    monkeypatch.chdir(ROOT)
    for part in command.split("&&"):
        words = shlex.split(part)
        start = words.index("-m") + 1
        module = import_module(words[start])
        kind, ignored = getattr(module, SETTINGS[words[start]]), getattr(module, "OF_GRPO", ())
        settings = load_settings(kind, words[start + 1 :], "", ignored)
    folder = Path(adapter).parts[0]
    assert Path(settings.output_dir) == Path(LOCOMO["runs"]) / folder


def test_untrained_systems_have_no_adapter_and_do_not_know_the_questions():
    for system in parse_arguments(["--preset", "locomo"], "").systems:
        assert system.untrained == (not system.adapters and system.agent != "oracle"), system.label


@pytest.mark.skipif(not REAL.is_file(), reason="the LoCoMo file is not at hand")
def test_the_preset_asks_the_1307_test_questions_of_eight_conversations():
    argv = ["--preset", "locomo", "--systems", "no_memory", "--env-kwargs", f"{{path: {REAL}}}"]
    arguments = parse_arguments(argv, "")
    kwargs = Preparation(arguments, None)._env_kwargs(arguments.systems[0])
    env = build_env(EnvSettings("memgym/LoCoMo-v0", kwargs), 1)
    questions = [question for index in range(env.task.size) for question in env.task.episode(index).questions]
    assert (env.task.size, len(questions)) == (8, 1307)
    assert {question.category for question in questions} == {"1", "2", "3", "4"}


# --- All rows --------------------------------------------------------------------------------------------------------


def conversation(id_, pet):
    """Two sessions, and a question of every category but 3."""
    return {
        "sample_id": id_,
        "conversation": {
            "speaker_a": "Ulla",
            "speaker_b": "Per",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ulla", "dia_id": "D1:1", "text": f"My {pet} is called Moss."},
                {"speaker": "Per", "dia_id": "D1:2", "text": "Lovely."},
            ],
            "session_2_date_time": "9:00 am on 9 June, 2023",
            "session_2": [{"speaker": "Per", "dia_id": "D2:1", "text": "I moved to Bern yesterday."}],
        },
        "qa": [
            {"question": "Where does Per live?", "answer": "Bern", "evidence": ["D2:1"], "category": 1},
            {"question": "When did Per move?", "answer": "8 June 2023", "evidence": ["D2:1"], "category": 2},
            {"question": "What is Ulla's pet?", "answer": f"a {pet}", "evidence": ["D1:1"], "category": 4},
            {"question": "Who is Ola?", "adversarial_answer": "a bear", "evidence": ["D1:1"], "category": 5},
        ],
    }


ROLES = {
    "answerer": {"role": "answerer", "distil": False, "max_new_tokens": 4},
    "answerer_distil": {"role": "answerer", "distil": True, "max_new_tokens": 6},
    "manager": {"role": "manager", "codec": "lines", "style": "quote", "search": False, "max_new_tokens": 6},
}


def role_of(folder):
    """As what the adapter in a folder of the preset has been trained; None for MemLoRA's managers."""
    name = folder.removesuffix("/adapter").removesuffix("_engram")
    if name.startswith("memlora/"):
        return ROLES["answerer"] if name.endswith("answer") else None
    if name.startswith(("memory_r1_answer", "answerer_grpo", "answerer_ppo", "answerer_dates", "answerer_sentences")):
        return ROLES["answerer"]
    return ROLES.get(name, ROLES["manager"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Tiny adapters wherever the preset wants one."""
    root = tmp_path_factory.mktemp("runs")
    wanted = {
        str(folder.relative_to(root))
        for system in parse_arguments(["--preset", "locomo"], "").systems
        for folder in system.adapter_folders(root)
    }
    plain, with_engram = (load_backbone("tiny-llama", device="cpu") for _ in range(2))
    attach_engram(with_engram, {"heads": 2, "rows": 101, "row_dim": 4, "table_init_std": 3.0})
    for number, folder in enumerate(sorted(wanted)):
        backbone = with_engram if "engram" in folder else plain
        add_adapter(backbone, f"a{number}", LoraSettings(rank=2, alpha=4), seed=number)
        if record := role_of(folder):
            backbone.trained_as[f"a{number}"] = record
        save_adapter(backbone, f"a{number}", root / folder)
    return root


@pytest.fixture
def command(runs, tmp_path):
    """The preset on the invented file, with an encoder of five words in place of a model."""
    data = tmp_path / "locomo.json"
    data.write_text(
        json.dumps([conversation("conv-41", "cat"), conversation("conv-42", "dog"), conversation("conv-26", "cow")])
    )
    systems = {label: dict(system) for label, system in LOCOMO["systems"].items()}
    for system in systems.values():
        if "encoder" in system.get("env_kwargs", {}):
            system["env_kwargs"] = {**system["env_kwargs"], "encoder": "tests.bag_of_words:BagOfWords"}
    config = tmp_path / "test.yaml"
    config.write_text(yaml.safe_dump({"systems": systems, "max_new_tokens": 4, "env_kwargs": {"path": str(data)}}))
    options = ["--runs", str(runs), "--backbone", "tiny-llama", "--output", str(tmp_path / "out")]
    return ["--preset", "locomo", "--config", str(config), *options]


def test_all_rows_of_the_locomo_preset_run_and_are_tested_against_the_baselines(command, tmp_path, capsys):
    summary = evaluate.main(command)
    printed = capsys.readouterr().out
    assert list(summary["agents"]) == list(LOCOMO["systems"])
    for figures in summary["agents"].values():
        assert (figures["episodes"], figures["questions"]) == (2, 6), "two test conversations, without category 5"
        assert list(figures["categories"]) == ["1", "2", "4"]
        assert list(figures["measures"]) == ["score", "bleu1", "evidence_recall"]
        assert figures["measures"]["score"]["mean"] == pytest.approx(figures["question_score"])
    assert f"memgym/LoCoMo-v0, {len(LOCOMO['systems'])} systems, 2 episodes" in printed
    assert "agent                      LoCoMo F1  by episode " in printed
    assert "1 multi-hop (2)  2 temporal (2)  4 single-hop (2)" in printed
    best, *fixed = summary["against"]
    assert LOCOMO["systems"][best["baseline"]]["untrained"]
    assert [family["baseline"] for family in fixed] == LOCOMO["against"][1:]
    assert all(
        len(family["agents"]) == len(LOCOMO["systems"]) - 1 and family["questions"] == 6
        for family in summary["against"]
    )

    manifests = {label: Manifest.read(tmp_path / "out" / label) for label in LOCOMO["systems"]}
    distils = {label for label, manifest in manifests.items() if manifest.extra.get("answerer", {}).get("distil")}
    assert distils == {"full_distil"}
    assert manifests["full_context"].config["reader_window"] == 4000
    dated = {label for label, manifest in manifests.items() if manifest.config["calendar_dates"]}
    own = {"rag_dates_own_grpo", "rag_sentences_own_grpo"}
    assert dated == {"full_dates_grpo", "rag_neighbours_dates_grpo", "full_sentences_grpo", *own}
    sixty = {label for label, manifest in manifests.items() if manifest.config["per_speaker"]}
    assert sixty == {"memory_r1_ppo_60", "memory_r1_grpo_60"}
    assert all(manifests[label].config["retrieve"] == 60 for label in sixty)
    assert manifests["memory_r1_grpo_hybrid"].config["retrieval"] == "hybrid"
    assert manifests["rag_hybrid"].config["retrieval"] == "hybrid"
    budgets = {label: manifest.budget["total"] for label, manifest in manifests.items()}
    unlimited = {label for label, total in budgets.items() if total is None}
    assert unlimited == {
        *("untrained_rag", "rag", "rag_hybrid", "rag_neighbours", "rag_grpo", "rag_neighbours_grpo"),
        *("rag_neighbours_engram", "rag_neighbours_dates_grpo", "rag_own_grpo", *own),
        *("oracle_unlimited", "memlora_unlimited"),
    }
    assert set(budgets.values()) == {None, 4000, 24000, 25000, 26000}

    again = evaluate.main(command)
    assert (again["agents"], again["against"]) == (summary["agents"], summary["against"])
    assert capsys.readouterr().out.count("where nothing has changed") == len(LOCOMO["systems"])


def test_a_part_of_the_preset_runs_before_the_rest_is_trained(command, tmp_path, capsys):
    argv = [*command, "--runs", str(tmp_path / "nothing")]
    with pytest.raises(SystemExit, match=r"^error: system no_memory: no adapter in .*nothing/answerer/adapter: .*: "):
        evaluate.main(argv)
    summary = evaluate.main([*argv, "--systems", "untrained_rag", "untrained_recency", "untrained_oracle"])
    assert list(summary["agents"]) == ["untrained_recency", "untrained_rag", "untrained_oracle"]
    assert [family["against"] for family in summary["against"]] == ["best_untrained"]
