"""The memgym command from end to end: what it prints, what it leaves, how it fails."""

import functools
import hashlib
import json
import operator
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import gymnasium
import pytest

from memgym.cli import main
from memgym.envs.config import EnvConfig
from memgym.policies import RandomActions
from memgym.protocol import describe_env
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, TrajectoryWriter, read_trajectories
from memgym.rollout import rollout
from memgym.tasks.procedural.generator import VERSION
from tests.scripted import FakeReader, tea_story, write_custom

ROOT = Path(__file__).parents[1]
EXAMPLE = str(ROOT / "tests/data/custom_example.jsonl")
DIALOGUE = "{budget: 60, dialogue: {chunks: 2, turns_per_chunk: 4, questions: 3}}"


def memgym(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def failing(capsys, *arguments: object) -> str:
    """The one error line of a command that fails."""
    status, _, errors = memgym(capsys, *arguments)
    lines = [line for line in errors.splitlines() if line and not line.startswith("  0%")]
    assert status == 1
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


@pytest.fixture
def story_file(tmp_path) -> Path:
    return write_custom(tmp_path / "stories.jsonl", tea_story("a", days=1), tea_story("b"), tea_story("c", days=2))


@pytest.fixture
def recorded(tmp_path, story_file, capsys) -> Path:
    """A run over the story file."""
    output = tmp_path / "run"
    status, _, _ = memgym(
        capsys, "rollout", "--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {story_file}, budget: 60}}",
        "--policy", "agents.baselines.append_all:AppendAll", "--output", output,
    )  # fmt: skip
    assert status == 0
    return output


# --- envs and validate ---


def test_envs_lists_every_environment_with_what_it_is(capsys):
    status, out, _ = memgym(capsys, "envs")
    assert status == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert len({line.index(text) for line, text in zip(out.splitlines(), lines.values(), strict=True)}) == 1, "columns"
    assert lines["memgym/Dialogue-v0"] == "Remember what two invented people told each other."
    assert {"memgym/LoCoMo-v0", "memgym/Custom-v0"} <= set(lines)


def test_validate_counts_what_is_in_a_good_file(capsys):
    assert memgym(capsys, "validate", EXAMPLE) == (0, f"{EXAMPLE}: 2 episodes, 4 questions, no problems\n", "")


def test_validate_names_every_problem_with_its_line_and_field(capsys, tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "a", "chunks": [], "questions": []}\n{"id": 5}\n')
    status, out, errors = memgym(capsys, "validate", file)
    assert status == 1
    assert out.splitlines()[0] == f"{file} line 1: chunks: empty: expected at least one chunk to read"
    assert f"{file} line 2: id: " in out
    assert errors == f"{len(out.splitlines())} problems\n"


def test_validate_says_what_is_wrong_with_the_file_itself(capsys, tmp_path):
    assert failing(capsys, "validate", tmp_path / "none.jsonl").startswith("no file")
    assert "expected a file that ends in .json or .jsonl" in failing(capsys, "validate", tmp_path / "x.txt")


# --- rollout ---


def test_a_rollout_leaves_trajectories_and_a_manifest_that_says_how(capsys, tmp_path):
    output = tmp_path / "run"
    arguments = [
        "rollout", "--env-kwargs", DIALOGUE, "--policy-kwargs", "{seed: 7}", "--episodes", "3",
        "--first-episode", "2", "--num-envs", "2", "--output", str(output),
    ]  # fmt: skip
    status, out, _ = memgym(capsys, *arguments)
    trajectories = list(read_trajectories(output))
    mean = sum(trajectory.score for trajectory in trajectories) / 3
    assert status == 0
    assert out == f"random_actions: score {mean:.3f} -> {output / TRAJECTORIES}\n"
    assert [trajectory.episode for trajectory in trajectories] == [2, 3, 4]
    manifest = Manifest.read(output)
    assert manifest.command.startswith("memgym rollout --env-kwargs '{budget: 60, dialogue:")
    assert manifest.env == "memgym/Dialogue-v0"
    assert manifest.env_kwargs["dialogue"] == {"chunks": 2, "turns_per_chunk": 4, "questions": 3}
    assert (manifest.agent, manifest.seed, manifest.reward) == ("random_actions", 7, "memgym")
    assert manifest.reader.startswith("extractive")
    assert manifest.budget == {"core": 512, "episodic": None, "semantic": None, "total": 60}
    assert manifest.extra == {"policy": "memgym.policies:RandomActions", "policy_kwargs": {"seed": 7}}


def test_an_environment_goes_by_the_name_that_gymnasium_takes(capsys, tmp_path):
    for folder, env_id in (("a", "memgym/Dialogue-v0"), ("b", "memgym:memgym/Dialogue-v0")):
        arguments = ["--env", env_id, "--env-kwargs", DIALOGUE, "--episodes", "1", "--output", tmp_path / folder]
        assert memgym(capsys, "rollout", *arguments)[0] == 0
        assert memgym(capsys, "replay", tmp_path / folder)[0] == 0
    assert (tmp_path / "a" / TRAJECTORIES).read_bytes() == (tmp_path / "b" / TRAJECTORIES).read_bytes()


def test_a_finite_task_is_run_whole_and_the_digest_of_its_file_is_kept(recorded, story_file):
    assert [trajectory.episode_id for trajectory in read_trajectories(recorded)] == ["a", "b", "c"]
    arguments = {"path": str(story_file), "split": None}
    digest = hashlib.sha256(story_file.read_bytes()).hexdigest()
    assert Manifest.read(recorded).data == {"task": "custom", "arguments": arguments, "sha256": digest}


def test_a_manifest_says_the_whole_protocol(recorded):
    config = Manifest.read(recorded).config
    assert config == {
        "budget": {"core": 512, "episodic": None, "semantic": None, "total": 60},
        "reward": {
            "step_terms": {"failed": -0.1, "unsupported": -0.1, "unjustified_delete": -0.1},
            "episode_terms": {"correctness": 1.0, "evidence_recall": 0.0, "compression": 0.0},
        },
        "reader": "extractive-1(min_coverage=0.38, loose_dates=False)",
        "reader_window": 1_000_000,
        "retrieve": 20,
        "per_speaker": False,
        "retrieval": "bm25",
        "encoder": None,
        "neighbours": 0,
        "calendar_dates": False,
        "context_tokens": 2000,
        "exam_context": "memory",
        "shown": 1_048_576,  # the policy's own
        "show": "recent",
        "max_operations": 1_048_576,
        "max_steps_per_chunk": 3,
        "question_visible": False,
        "count_tokens": "memgym.memory.budget:count_lexical_tokens",
    }
    assert set(config) == {one.name for one in fields(EnvConfig)} | {"reader_window"}


def test_the_digest_of_generated_dialogues_changes_with_what_they_are_made_from(capsys, tmp_path):
    def data(kwargs):
        memgym(capsys, "rollout", "--env-kwargs", kwargs, "--episodes", "1", "--output", tmp_path)
        return Manifest.read(tmp_path).data

    first = data(DIALOGUE)
    assert first["arguments"]["knobs"]["turns_per_chunk"] == 4
    assert first["arguments"]["knobs"]["noise"] == 0.3, "defaults are filled in"
    assert (first["arguments"]["generator"], first["arguments"]["split"]) == (f"procedural-{VERSION}", "train")
    assert data(DIALOGUE) == first
    changed = (DIALOGUE.replace("3}}", "4}}"), DIALOGUE.replace("{budget", "{split: test, budget"))
    digests = {first["sha256"], *(data(kwargs)["sha256"] for kwargs in changed)}
    assert len(digests) == 3 and all(len(digest) == 64 for digest in digests)


def test_a_run_that_breaks_off_leaves_the_last_one_whole(capsys, tmp_path, monkeypatch):
    memgym(capsys, "rollout", "--env-kwargs", DIALOGUE, "--episodes", "2", "--output", tmp_path)
    before = (tmp_path / TRAJECTORIES).read_bytes()

    def broken(self, observations, episodes):
        raise ValueError("out of ideas")

    monkeypatch.setattr("memgym.policies.RandomActions.act", broken)
    error = failing(capsys, "rollout", "--env-kwargs", DIALOGUE, "--episodes", "1", "--output", tmp_path)
    assert error == "out of ideas"
    assert (tmp_path / TRAJECTORIES).read_bytes() == before
    assert len(list(read_trajectories(tmp_path))) == 2


def test_a_policy_that_asks_for_the_task_is_given_it(capsys, tmp_path, story_file):
    status, out, _ = memgym(
        capsys, "rollout", "--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {story_file}, budget: 60}}",
        "--policy", "agents.baselines.oracle:Oracle", "--output", tmp_path,
    )  # fmt: skip
    assert (status, out.partition(":")[0]) == (0, "oracle")


def test_a_second_rollout_replaces_the_first(capsys, tmp_path):
    arguments = ["rollout", "--env-kwargs", DIALOGUE, "--episodes", "1", "--output", tmp_path]
    memgym(capsys, *arguments)
    first = (tmp_path / TRAJECTORIES).read_text(encoding="utf-8")
    memgym(capsys, *arguments)
    assert (tmp_path / TRAJECTORIES).read_text(encoding="utf-8") == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "memgym/Nowhere-v0"], "Nowhere"),
        (["--env", "CartPole-v1"], "CartPole-v1 is not a memory environment"),
        (["--env", "no_such_package:Some-v0"], "no_such_package:Some-v0: "),
        (["--env-kwargs", "{bugdet: 5}"], "memgym/Dialogue-v0: EnvConfig.__init__() got an unexpected keyword"),
        (["--env-kwargs", "{budget: lots}"], "budget total='lots': expected a non-negative int"),
        (["--env-kwargs", "{shown: few}"], "shown='few': expected a whole number"),
        (["--env-kwargs", "{reward: gold}"], "reward 'gold' is unknown"),
        (["--env-kwargs", "{split: weekend}", "--episodes", "1"], "split='weekend'"),
        (["--env", "memgym/Custom-v0"], "memgym/Custom-v0: CustomEnv.__init__() missing"),
        (["--env", "memgym/Custom-v0", "--env-kwargs", "{path: none.jsonl}"], "no file none.jsonl"),
        (["--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {EXAMPLE}}}", "--episodes", "3"],
         "3 episodes from 0 on were asked for, task 'custom' has 2: change --episodes or --first-episode"),
        (["--episodes", "0"], "0 episodes from 0 on were asked for, task 'dialogue' has no end"),
        (["--first-episode", "-1"], "8 episodes from -1 on"),
        (["--num-envs", "0"], "num_envs=0: expected at least 1"),
        (["--policy", "memgym.policies:Clever"], "--policy memgym.policies:Clever: expected MODULE:CLASS of a policy"),
        (["--policy", "no.such:Policy"], "--policy no.such:Policy: expected MODULE:CLASS"),
        (["--policy", "nothing"], "--policy 'nothing': expected MODULE:CLASS"),
        (["--policy", ""], "--policy '': expected MODULE:CLASS"),
        (["--policy", "tests.scripted:FakePolicy"],
         "--policy tests.scripted:FakePolicy needs backbone, codec: give it with --policy-kwargs"),
        (["--policy", "os:getcwd"],
         "--policy os:getcwd: expected MODULE:CLASS of a policy (it has no name, env_overrides, act)"),
        (["--policy", "builtins:int"], "--policy builtins:int: expected MODULE:CLASS of a policy (no signature"),
        (["--policy-kwargs", "{seed: 1.5}"], "seed=1.5: expected a whole number of at least 0"),
        (["--policy-kwargs", "{seed: -1}"], "seed=-1: expected a whole number of at least 0"),
        (["--env-kwargs", "{task_seed: first}"], "task_seed='first': expected a whole number"),
        (["--policy-kwargs", "{wings: 2}"], "expected MODULE:CLASS of a policy (RandomActions"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_one_error_line_and_keeps_the_last_run(capsys, tmp_path, arguments, message):
    (tmp_path / TRAJECTORIES).write_text("the last run\n")
    assert message in failing(capsys, "rollout", *arguments, "--output", tmp_path)
    assert (tmp_path / TRAJECTORIES).read_text() == "the last run\n"


@pytest.mark.parametrize("value", ["[1, 2]", "budget", "", "{unclosed: [", "{a: 1}}"])
def test_keyword_arguments_that_are_no_mapping_are_refused_by_the_parser(capsys, value):
    with pytest.raises(SystemExit) as exit_:
        main(["rollout", "--env-kwargs", value])
    assert exit_.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("memgym rollout: error: argument --env-kwargs: ")


def test_without_a_command_the_parser_asks_for_one(capsys):
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


# --- replay ---


@pytest.mark.parametrize("policy", ["append_all:AppendAll", "rag:Rag", "full_context:FullContext", "recency:Recency"])
def test_what_was_recorded_replays_exactly_whatever_the_policy_asked_of_the_environment(
    capsys, tmp_path, story_file, policy
):
    memgym(
        capsys, "rollout", "--env", "memgym/Custom-v0", "--env-kwargs", f"{{path: {story_file}, budget: 30}}",
        "--policy", f"agents.baselines.{policy}", "--output", tmp_path / "run",
    )  # fmt: skip
    assert memgym(capsys, "replay", tmp_path / "run") == (0, "3 episodes replayed, 0 differences\n", "")
    assert memgym(capsys, "replay", tmp_path / "run" / TRAJECTORIES)[0] == 0


def test_random_play_replays_exactly(capsys, tmp_path):
    memgym(capsys, "rollout", "--env-kwargs", DIALOGUE, "--episodes", 4, "--output", tmp_path)
    assert memgym(capsys, "replay", tmp_path)[:2] == (0, "4 episodes replayed, 0 differences\n")


ENCODER = """
class Letters:
    name, dimension = "letters", 26

    def encode(self, texts):
        return [[float(text.lower().count(chr(97 + i))) for i in range(26)] for text in texts]
"""


def test_an_encoder_in_the_folder_of_the_command_is_found_by_every_command(tmp_path):
    (tmp_path / "my_encoder.py").write_text(ENCODER)
    kwargs = DIALOGUE.replace("{budget", "{encoder: my_encoder:Letters, budget")
    code = "import sys; from memgym.cli import main; sys.exit(main(sys.argv[1:]))"
    for arguments in (["rollout", "--env-kwargs", kwargs, "--episodes", "1", "--output", "run"], ["replay", "run"]):
        # Under -P the folder is not on the path, as for an installed command.
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert done.stdout == "1 episodes replayed, 0 differences\n"


@pytest.fixture
def recorded_with_a_model(tmp_path, story_file, recorded) -> Path:
    """A run whose reader memgym alone cannot make, as a language model's."""
    reader = FakeReader(lambda task: task.context[0].text.split()[4] if task.context else "none", window=11)
    env = gymnasium.make_vec("memgym:memgym/Custom-v0", num_envs=2, path=str(story_file), budget=60, reader=reader)
    with TrajectoryWriter(tmp_path / "model" / TRAJECTORIES) as writer:
        rollout(env, RandomActions(5), [0, 1, 2, 1], on_episode=writer.write)
    manifest = Manifest.read(recorded)
    manifest.env_kwargs["reader"] = "fake"
    for name, value in describe_env(env).items():
        setattr(manifest, name, value)
    manifest.write(tmp_path / "model" / MANIFEST)
    return tmp_path / "model"


def test_a_run_with_a_model_as_reader_is_replayed_with_its_recorded_answers(capsys, recorded_with_a_model):
    status, out, errors = memgym(capsys, "replay", recorded_with_a_model)
    assert out.splitlines() == [
        "reader fake is not at hand: its recorded answers are graded, not given anew",
        "4 episodes replayed, 0 differences",
    ]
    assert (status, errors) == (0, "")
    assert memgym(capsys, "show", recorded_with_a_model, "--row", "3")[1].startswith("episode b, policy random_actions")


@pytest.mark.parametrize("field", ["score", "retrieved", "context_tokens"])
def test_a_grade_of_a_model_s_answer_that_was_touched_up_is_found(capsys, recorded_with_a_model, field):
    path = recorded_with_a_model / TRAJECTORIES
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").strip().split("\n")]
    rows[1]["exam"]["answers"][0][field] = [9] if field == "retrieved" else 9
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = memgym(capsys, "replay", recorded_with_a_model)
    assert (status, out.splitlines()[-1]) == (1, "4 episodes replayed, 1 differences")


def test_answers_to_other_questions_are_no_record_of_the_exam(capsys, recorded_with_a_model):
    path = recorded_with_a_model / TRAJECTORIES
    path.write_text(path.read_text(encoding="utf-8").replace("What colour", "Which colour"))
    assert "the record answers other questions than the exam asks" in failing(capsys, "replay", recorded_with_a_model)


@pytest.mark.parametrize("command", ["replay", "show"])
def test_a_record_without_an_episode_is_an_error(capsys, recorded, command):
    (recorded / TRAJECTORIES).write_text("")
    assert failing(capsys, command, recorded) == f"{recorded}: holds no trajectories, expected at least one"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["exam", "score"], 0.123, "b: exam: score 0.123 recorded, "),
        (["terms", "correctness"], 0.123, "b: episode reward "),
        (["episode_reward"], 0.123, "b: episode reward 0.123 recorded, "),
        (["stream_tokens"], 9, "b: stream of 9 tokens recorded, 46 replayed"),
        (["steps", 1, "reward"], 0.123, "b: step 1: reward 0.123 recorded, "),
        (["steps", 1, "tokens", "total"], 9, "b: step 1: operations did something else"),
    ],
)
def test_a_figure_that_was_touched_up_is_found(capsys, recorded, place, value, message):
    path = recorded / TRAJECTORIES
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    *outer, name = place
    functools.reduce(operator.getitem, outer, rows[1])[name] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = memgym(capsys, "replay", recorded)
    assert status == 1
    assert out.splitlines()[0].startswith(message)
    assert out.splitlines()[-1] == "3 episodes replayed, 1 differences"


def test_an_environment_that_was_changed_is_found(capsys, recorded):
    manifest = Manifest.read(recorded)
    manifest.env_kwargs["budget"] = 5
    manifest.write(recorded / MANIFEST)
    status, out, _ = memgym(capsys, "replay", recorded)
    assert status == 1
    assert "b: step 0: operations did something else" in out


@pytest.mark.parametrize("command", ["replay", "show"])
def test_data_that_changed_since_are_an_error(capsys, recorded, story_file, command):
    write_custom(story_file, tea_story("a"), tea_story("b"), tea_story("c"))
    assert failing(capsys, command, recorded).startswith("the data has changed since the run was recorded: sha256")


@pytest.mark.parametrize("command", ["replay", "show"])
def test_a_record_without_its_manifest_or_the_other_way_round_is_an_error(capsys, recorded, tmp_path, command):
    assert "no such file; expected a trajectories.jsonl" in failing(capsys, command, tmp_path / "nowhere")
    shutil.copy(recorded / TRAJECTORIES, tmp_path / TRAJECTORIES)
    assert "expected the manifest.yaml of a run" in failing(capsys, command, tmp_path / TRAJECTORIES)
    (recorded / TRAJECTORIES).write_text("{}\n")
    assert "line 1: not a trajectory of this version" in failing(capsys, command, recorded)


# --- show ---


def test_show_prints_the_episode_of_a_row(capsys, recorded):
    status, out, errors = memgym(capsys, "show", recorded, "--row", 1)
    assert (status, errors) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "episode b, policy append_all"
    assert lines[2] == "Chunk 1 of 3  2024-05-01T09:00"
    assert lines[3] == "  | Ann: I bought a red bicycle in Bern."
    assert lines[5] == "  + insert episodic #1: Ann: I bought a red bicycle in Bern."
    assert "Exam" in lines
    assert lines[-1] == "memory 46 of 46 tokens"


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_is_not_there_is_an_error(capsys, recorded, row):
    assert failing(capsys, "show", recorded, "--row", row).endswith("holds 3 trajectories, from row 0")


def test_a_reader_that_hangs_up_is_no_error(recorded):
    code = f"import sys; from memgym.cli import main; sys.exit(main(['show', {str(recorded)!r}]))"
    command = f'{sys.executable} -c "$CODE" | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env={"CODE": code, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
