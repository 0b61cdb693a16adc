"""What a run leaves behind can be read again, exactly, and says when it cannot."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from memgym.memory.budget import UNLIMITED, Budget
from memgym.memory.operations import Operation
from memgym.policies import RandomActions
from memgym.records import (
    MANIFEST,
    TRAJECTORIES,
    Manifest,
    TrajectoryWriter,
    package_versions,
    plain,
    read_trajectories,
    replacing_records,
    trajectory_from_row,
    trajectory_to_row,
)
from memgym.rollout import Decision, Trajectory, rollout
from tests.scripted import Scripted, fact, make_vector, tea_story

ODD_TEXTS = ("日記 é", "half \ud83d character", "line\nbreak \u2028 \0", '"quotes" \\ \\ud83d')


@pytest.fixture
def trajectories() -> list[Trajectory]:
    vector = make_vector(tea_story("a", days=1), tea_story("b"), budget=60)
    script = Scripted([*map(fact, ODD_TEXTS), Operation("insert", "episodic", quote=1)], [fact("tea", k=7)], [])
    return [*rollout(vector, RandomActions(1), [0, 1]), *rollout(vector, script, [1])]


def written(tmp_path: Path, trajectories: list[Trajectory]) -> Path:
    with TrajectoryWriter(tmp_path / "run" / TRAJECTORIES) as writer:
        for trajectory in trajectories:
            writer.write(trajectory)
    return tmp_path / "run"


def model_trajectory(trajectory: Trajectory) -> Trajectory:
    """As a language model would have made it: text, tokens, a cut-off reply."""
    decision = replace(
        trajectory.steps[0].decision, text="+ tea\n\ud83d", prompt_ids=(1, 2, 3), completion_ids=(4, 5), truncated=True
    )
    return replace(trajectory, steps=[replace(trajectory.steps[0], decision=decision), *trajectory.steps[1:]])


def test_trajectories_come_back_as_they_were_written(tmp_path, trajectories):
    trajectories = [*trajectories, model_trajectory(trajectories[-1])]
    folder = written(tmp_path, trajectories)
    assert list(read_trajectories(folder)) == trajectories
    assert list(read_trajectories(folder / TRAJECTORIES)) == trajectories


def test_one_row_is_one_line_of_utf8_json_with_its_figures_beside_it(tmp_path, trajectories):
    lines = (written(tmp_path, trajectories) / TRAJECTORIES).read_bytes().decode("utf-8").split("\n")
    assert lines.pop() == ""
    rows = [json.loads(line) for line in lines]
    assert [row["episode_id"] for row in rows] == ["a", "b", "b"]
    for row, trajectory in zip(rows, trajectories, strict=True):
        assert (row["score"], row["reward"]) == (trajectory.score, trajectory.reward)
        assert row["memory_tokens"] == trajectory.memory_tokens


def test_rows_are_appended_and_flushed_as_they_come(tmp_path, trajectories):
    path = tmp_path / TRAJECTORIES
    with TrajectoryWriter(path) as writer:
        writer.write(trajectories[0])
        assert len(list(read_trajectories(path))) == 1
    with TrajectoryWriter(path) as writer:
        writer.write(trajectories[1])
    assert list(read_trajectories(path)) == trajectories[:2]


def test_new_records_take_the_place_of_the_old_when_all_is_written(tmp_path, trajectories):
    path = tmp_path / TRAJECTORIES
    for number in (0, 1):
        with replacing_records(path) as writer:
            writer.write(trajectories[number])
            assert list(tmp_path.glob("*.partial"))
        assert list(read_trajectories(path)) == [trajectories[number]]
    assert [file.name for file in tmp_path.iterdir()] == [TRAJECTORIES]


def test_records_that_break_off_leave_the_old_ones_and_stand_beside_them(tmp_path, trajectories):
    path = tmp_path / "run" / TRAJECTORIES
    with replacing_records(path) as writer:
        writer.write(trajectories[0])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), replacing_records(path) as writer:
            writer.write(trajectories[1])
            raise KeyboardInterrupt
        assert list(read_trajectories(path)) == trajectories[:1]
        assert list(read_trajectories(path.with_name(f"{TRAJECTORIES}.partial"))) == trajectories[1:2]


def test_a_row_is_made_of_plain_json_types(trajectories):
    for trajectory in trajectories:
        row = json.loads(json.dumps(trajectory_to_row(trajectory)))
        assert trajectory_from_row(row) == trajectory


def test_rows_of_older_versions_may_lack_newer_fields_of_an_operation(trajectories):
    row = json.loads(json.dumps(trajectory_to_row(trajectories[-1])))
    for operation in row["steps"][1]["decision"]["operations"]:
        del operation["quote"]
    assert trajectory_from_row(row) == trajectories[-1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not a trajectory of this version .JSONDecodeError"),
        ("", "line 2: not a trajectory of this version .JSONDecodeError"),
        ("[]", "line 2: not a trajectory of this version .TypeError"),
        ('{"episode": 0}', "line 2: not a trajectory of this version .KeyError.'steps'"),
        ('{"steps": [{"chunk": 0}]}', "line 2: not a trajectory of this version .KeyError.'decision'"),
    ],
)
def test_a_row_that_is_no_trajectory_is_named(tmp_path, trajectories, line, message):
    folder = written(tmp_path, trajectories[:1])
    with (folder / TRAJECTORIES).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=message):
        list(read_trajectories(folder))


def test_an_operation_of_another_version_is_named(tmp_path, trajectories):
    folder = written(tmp_path, trajectories[-1:])
    path = folder / TRAJECTORIES
    path.write_text(path.read_text(encoding="utf-8").replace('"entry_id"', '"entry_number"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: not a trajectory of this version \(TypeError"):
        list(read_trajectories(path))


def test_the_folder_of_several_runs_names_them(tmp_path, trajectories):
    folder = written(tmp_path, trajectories[:1])
    with pytest.raises(ValueError, match=f"or the folder of a run, such as {folder}$"):
        list(read_trajectories(tmp_path))


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / TRAJECTORIES).write_bytes(b"\x7fELF\xd0\xff\n")
    with pytest.raises(ValueError, match=r"trajectories\.jsonl, line 1: not a trajectory of this version"):
        list(read_trajectories(tmp_path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no such file; expected a trajectories\.jsonl or the folder of a run"):
        list(read_trajectories(tmp_path))


# --- manifests ---


def manifest(**fields) -> Manifest:
    return Manifest(
        **{
            "command": "memgym rollout --budget 50",
            "env": "memgym/Dialogue-v0",
            "env_kwargs": {"budget": 50, "dialogue": {"chunks": 2}},
            "agent": "random_actions",
            "seed": 3,
            "reader": "extractive-1",
            "reward": "memgym",
            "budget": {"core": 512, "episodic": None, "semantic": None, "total": 50},
            "config": {"shown": 5, "reader": "extractive-1"},
            "data": {"task": "dialogue", "arguments": {}, "sha256": None},
            "time": {"wall_s": 1.5},
            **fields,
        }
    )


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    original = manifest(extra={"note": "日記", "values": [1, 2.5, True, None, "yes", "1e3"]})
    original.write(tmp_path / "run" / MANIFEST)
    assert Manifest.read(tmp_path / "run" / MANIFEST) == original
    assert Manifest.read(tmp_path / "run") == original


def test_a_manifest_names_what_decides_the_outcome():
    made = manifest()
    assert set(made.versions) >= {"python", "memgym", "gymnasium", "numpy"}
    assert set(made.hardware) == {"machine", "system", "cpus"}
    assert "no-such-package" not in package_versions()


def test_a_manifest_is_written_whole_or_not_at_all(tmp_path):
    manifest(seed=1).write(tmp_path / MANIFEST)
    manifest(seed=2).write(tmp_path / MANIFEST)
    assert Manifest.read(tmp_path).seed == 2
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "seed: 1\n", "command: [unclosed", "unknown_field: 1\n"])
def test_what_is_no_manifest_raises_one_line(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ValueError, match="not a manifest of this version"):
        Manifest.read(tmp_path)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no such file; expected the manifest\.yaml of a run"):
        Manifest.read(tmp_path)


class Named:
    name = "a reader"


class Unnamed:
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, "a", None, True, 2.5), [1, "a", None, True, 2.5]),
        ({1: (2,)}, {"1": [2]}),
        (Path("a") / "b", "a/b"),
        (UNLIMITED, {"core": None, "episodic": None, "semantic": None, "total": None}),
        (Named(), "a reader"),
        (tea_story, "tests.scripted:tea_story"),
        (Unnamed(), f"{__name__}:Unnamed"),
        (Decision((), "x"), "Decision(operations=(), text='x', prompt_ids=(), completion_ids=(), truncated=False)"),
    ],
)
def test_settings_become_types_that_yaml_knows(value, expected):
    assert plain(value) == expected


def test_a_budget_survives_its_plain_form():
    budget = Budget(total=40, episodic=30)
    assert make_vector(tea_story(), budget=plain(budget)).envs[0].config.make_budget() == budget
