import json

import pytest

from agents.backbone import LoraSettings, add_adapter, load_backbone, save_adapter
from agents.memlora import OPERATIONS, load_adapters
from train import select_adapters
from train.settings import load_settings

DIALOGUE = "{chunks: 2, turns_per_chunk: 2, questions: 1, verbosity: short}"


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    """Two adapters per operation: folders by operation."""
    root = tmp_path_factory.mktemp("candidates")
    backbone = load_backbone("tiny-llama", device="cpu")
    folders = {operation: [root / f"{operation}-{number}" for number in range(2)] for operation in OPERATIONS}
    for number, folder in enumerate(folder for pair in folders.values() for folder in pair):
        add_adapter(backbone, f"a{number}", LoraSettings(rank=2, alpha=4), seed=number)
        save_adapter(backbone, f"a{number}", folder)
    return folders


def arguments(candidates, output, *more):
    named = [word for op in OPERATIONS for word in (f"--{op}", json.dumps([str(path) for path in candidates[op]]))]
    env = ["--env.kwargs", f"{{split: validation, dialogue: {DIALOGUE}}}", "--episodes", "2"]
    tiny = ["--backbone.name", "tiny-llama", "--max_new_tokens", "4", "--output_dir", str(output)]
    return [*named, *env, *tiny, *more]


@pytest.fixture
def scores(monkeypatch):
    """Let pipelines score what a table says; the pipelines that were asked for."""
    asked = []

    def use(table):
        def score(settings, backbone, adapters, episodes):
            assert set(adapters.values()) <= set(backbone.adapters)
            asked.append(dict(adapters))
            return table["+".join(adapters.values())], 10.0

        monkeypatch.setattr(select_adapters, "score_pipeline", score)
        return asked

    return use


def test_each_operation_is_chosen_with_the_ones_chosen_before(candidates, scores, tmp_path, capsys):
    """By itself update_0 is better with extract_1, but extract_1 was not chosen."""
    asked = scores(
        {
            "extract_0": 0.5,
            "extract_1": 0.4,
            "extract_0+update_0": 0.3,
            "extract_0+update_1": 0.6,
            "extract_0+update_1+answer_0": 0.7,
            "extract_0+update_1+answer_1": 0.7,
        }
    )
    select_adapters.main(arguments(candidates, tmp_path))
    assert [len(adapters) for adapters in asked] == [1, 1, 2, 2, 3, 3]
    rows = json.loads((tmp_path / "selection.json").read_text())
    chosen = {row["operation"]: row["adapter"] for row in rows if row["chosen"]}
    assert chosen == {
        "extract": str(candidates["extract"][0]),
        "update": str(candidates["update"][1]),
        "answer": str(candidates["answer"][0]),  # the first of equals
    }
    assert [row["score"] for row in rows] == [0.5, 0.4, 0.3, 0.6, 0.7, 0.7]
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "selection.md").read_text()
    assert f"| update | **{candidates['update'][1]}** | 0.600 | 10 | 0.01 |" in printed
    assert f"| **{candidates['update'][1]}** | " in printed.split("| update | readable |")[1]


def test_the_chosen_adapters_are_copied_to_where_the_agent_takes_them_from(candidates, scores, tmp_path):
    scores(
        {"extract_0": 0, "extract_1": 1, "extract_1+update_0": 0, "extract_1+update_1": 0}
        | {f"extract_1+update_0+answer_{n}": n for n in range(2)}
    )
    select_adapters.main(arguments(candidates, tmp_path))
    backbone = load_backbone("tiny-llama", device="cpu")
    assert load_adapters(backbone, tmp_path) == OPERATIONS
    for operation, number in (("extract", 1), ("update", 0), ("answer", 1)):
        weights = "adapter_model.safetensors"
        copied, original = (tmp_path / operation / weights), (candidates[operation][number] / weights)
        assert copied.read_bytes() == original.read_bytes()


def test_nothing_of_an_earlier_winner_stays_beside_a_later_one(candidates, scores, tmp_path):
    scores(
        {"extract_0": 0, "extract_1": 1, "extract_1+update_0": 0, "extract_1+update_1": 0}
        | {f"extract_1+update_0+answer_{n}": n for n in range(2)}
    )
    for folder in ("extract", "extract.partial"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "engram.safetensors").write_bytes(b"earlier")
    select_adapters.main(arguments(candidates, tmp_path))
    names = {path.name for path in candidates["extract"][1].iterdir()}
    assert {path.name for path in (tmp_path / "extract").iterdir()} == names
    assert not (tmp_path / "extract.partial").exists()


def test_pipelines_are_run_for_real(candidates, tmp_path):
    select_adapters.main(arguments({op: paths[:1] for op, paths in candidates.items()}, tmp_path))
    rows = json.loads((tmp_path / "selection.json").read_text())
    assert [row["operation"] for row in rows] == list(OPERATIONS)
    assert all(0.0 <= row["score"] <= 1.0 and row["chosen"] for row in rows)
    assert [list(row["quality"]) for row in rows] == [
        ["readable", "precision", "recall", "f1"],
        ["readable", "valid_ids", "accuracy", "macro_f1"],
        ["squad_f1", "bleu1", "rouge_l", "meteor", "lexical_mean"],
    ]
    assert all(0.0 <= value <= 1.0 for row in rows for value in row["quality"].values())


def test_without_calls_adapters_are_judged_by_the_pipeline_alone(candidates, scores, tmp_path, capsys):
    scores({"extract_0": 1, "extract_0+update_0": 1, "extract_0+update_0+answer_0": 1})
    few = {op: paths[:1] for op, paths in candidates.items()}
    select_adapters.main(arguments(few, tmp_path, "--calls", "0"))
    assert [row["quality"] for row in json.loads((tmp_path / "selection.json").read_text())] == [{}] * 3
    assert "readable" not in capsys.readouterr().out


def test_while_extract_is_chosen_updates_go_by_rule(own_backbone):
    from agents.fact_pipeline import Reply, UpdateRequest
    from agents.facts import Note

    add_adapter(own_backbone, "x", LoraSettings(rank=2, alpha=4))
    policy = select_adapters.RuleUpdates(own_backbone, extract="x", update=None)
    note = (Note(1, "Ann skis."),)
    requests = [UpdateRequest(fact, note, "", 0, 0) for fact in ("Ann skis.", "Ann skis in Bern.", "Per swims.")]
    assert policy.update(requests) == [Reply("NONE"), Reply("UPDATE 1"), Reply("ADD")]


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--update", "[]"], "no candidate for update: name at least one folder, --update"),
        (["--extract", "[nowhere]"], "no adapter in nowhere"),
        (
            ["--env.kwargs.split", "test"],
            "conversation 'procedural/test/0/0' is of the test split; adapters are chosen",
        ),
        (["--env.kwargs.split", "train"], "conversation 'procedural/train/0/0' is of the train split"),
        (["--episodes", "0"], "episodes=0: expected at least 1"),
        (["--teacher", "model"], "teacher 'model': expected one of oracle, annotations"),
        (["--teacher", "annotations"], "teacher 'annotations' knows LoCoMo only, not 'dialogue'"),
    ],
)
def test_a_mistake_ends_the_program_with_one_line(candidates, tmp_path, argv, error):
    with pytest.raises(SystemExit, match=f"error: .*{error}") as caught:
        select_adapters.main(arguments(candidates, tmp_path, *argv))
    assert "\n" not in str(caught.value)


def test_validation_is_the_split_unless_another_is_named():
    assert load_settings(select_adapters.SelectionSettings, [], "").env.kwargs == {"split": "validation"}


def test_a_table_names_every_candidate_and_what_it_does_by_itself():
    rows = [
        select_adapters.Candidate("extract", name, score, 9.6, 1.234, {"readable": 1.0, "f1": score / 2}, name == "b")
        for name, score in (("a", 0.1), ("b", 0.2))
    ]
    assert select_adapters.format_selection(rows).split("\n")[2:] == [
        "| extract | a | 0.100 | 10 | 1.23 |",
        "| extract | **b** | 0.200 | 10 | 1.23 |",
        "",
        "| extract | readable | f1 |",
        "|---|---|---|",
        "| a | 1.000 | 0.050 |",
        "| **b** | 1.000 | 0.100 |",
    ]
