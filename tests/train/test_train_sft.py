import shutil
from pathlib import Path

import pytest
import torch

from agents.backbone import load_adapter, load_backbone
from agents.manager import MemoryManager
from agents.trained_as import read_record
from memgym.memory.operations import Operation
from memgym.records import Manifest, TrajectoryWriter
from memgym.rollout import rollout
from tests.scripted import Scripted, tea_story, write_custom
from train import sft
from train.callbacks import read_metrics
from train.examples import Example, examples_from
from train.settings import load_settings
from train.setup import build_env

CONFIGS = Path(sft.__file__).parent / "configs"
RUN = ["--teacher", "oracle", "--episodes", "4", "--batch_size", "4", "--learning_rate", "3e-2"]


def arguments(tiny_run, folder, *more):
    return [*tiny_run, *RUN, "--output_dir", str(folder), *map(str, more)]


def settings_of(*argv):
    return load_settings(sft.SFTSettings, argv, "")


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """Folder of a run of eight steps that nothing interrupted: four epochs of two."""
    folder = tmp_path_factory.mktemp("sft") / "finished"
    sft.main(arguments(tiny_run, folder, "--max_steps", 8, "--save_every", 3))
    return folder


def taught_by(settings):
    return sft.teacher_trajectories(settings, settings.teacher)


def examples_of(tiny_run):
    settings = settings_of(*arguments(tiny_run, "unused"))
    student = MemoryManager(load_backbone("tiny-llama", device="cpu"))
    return examples_from(build_env(settings.env, 1), student, taught_by(settings))


# --- What is trained -------------------------------------------------------------------------------------------------


def test_a_few_steps_lower_the_loss(finished):
    losses = [row["loss"] for row in read_metrics(finished / "metrics.jsonl") if "loss" in row]
    assert len(losses) == 8
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2])  # the same examples, three epochs later


def test_the_saved_adapter_reloads_and_explains_the_teachers_replies_better(finished, tiny_run):
    backbone = load_backbone("tiny-llama", device="cpu")
    before = mean_loss(backbone, examples_of(tiny_run))
    load_adapter(backbone, finished / "adapter", "trained")
    assert mean_loss(backbone, examples_of(tiny_run)) < 0.8 * before


def mean_loss(backbone, examples):
    """Mean negative log-probability of a reply's tokens."""
    losses = []
    with torch.no_grad():
        for example in examples:
            ids = torch.tensor([example.prompt_ids + example.completion_ids])
            logits = backbone.model(ids).logits[0, len(example.prompt_ids) - 1 : -1]
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(example.completion_ids)))
    return float(torch.stack(losses).mean())


def test_labels_are_the_replies_with_their_end_and_never_the_prompts(tiny_run):
    examples = examples_of(tiny_run)
    tokenizer = load_backbone("tiny-llama", device="cpu").tokenizer
    for row, example in zip(sft.as_dataset(examples), examples, strict=True):
        trained = [label for label in row["labels"] if label != -100]
        assert tokenizer.decode(trained) == tokenizer.decode(example.completion_ids)
        assert tokenizer.decode(trained).endswith("<|im_end|>")
        masked = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
        assert masked == example.prompt_ids
        assert row["input_ids"] == example.prompt_ids + example.completion_ids


def test_the_trainer_is_handed_these_labels_whole(policy, tmp_path):
    """However long an example is: one that is cut would teach to stop in the middle."""
    from trl import SFTTrainer

    examples = [Example([5] * 3000, [6, 7, 2])]
    trainer = SFTTrainer(
        model=policy.model,
        args=sft.trainer_arguments(sft.SFTSettings(output_dir=str(tmp_path))),
        train_dataset=sft.as_dataset(examples),
        processing_class=policy.tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["input_ids"].shape == (1, 3003)
    assert batch["labels"][0].tolist() == [-100] * 3000 + [6, 7, 2]


# --- The teacher -----------------------------------------------------------------------------------------------------


def test_a_teachers_records_teach_the_same_as_the_teacher(finished, tiny_run, tmp_path, adapter_weights):
    recorded = taught_by(settings_of(*arguments(tiny_run, tmp_path)))
    with TrajectoryWriter(tmp_path / "teacher" / "trajectories.jsonl") as writer:
        for trajectory in recorded:
            writer.write(trajectory)
    run = tmp_path / "run"
    sft.main(arguments(tiny_run, run, "--max_steps", 8, "--save_every", 3, "--teacher", tmp_path / "teacher"))
    first, second = adapter_weights(finished / "adapter"), adapter_weights(run / "adapter")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_teacher_acts_in_the_environment_it_is_defined_by(tiny_run):
    """The oracle is shown all it holds, whatever the student sees."""
    settings = settings_of(*arguments(tiny_run, "unused", "--env.kwargs.shown", 0, "--env.kwargs.max_operations", 1))
    settings.env.kwargs["dialogue"] |= {"turns_per_chunk": 6, "questions": 6}
    trajectories = taught_by(settings)
    assert [trajectory.episode for trajectory in trajectories] == [0, 1, 2, 3]
    operations = [step.operations for trajectory in trajectories for step in trajectory.steps]
    assert max(map(len, operations)) > 1
    assert all(operation["status"] == "ok" for step in operations for operation in step)


def test_teachers_take_arguments_and_other_episodes(tiny_run):
    plain = taught_by(settings_of(*arguments(tiny_run, "unused")))
    later = taught_by(settings_of(*arguments(tiny_run, "unused", "--first_episode", 2)))
    assert [t.episode for t in later] == [2, 3, 4, 5]
    assert later[0] == plain[2]
    errs = taught_by(settings_of(*arguments(tiny_run, "unused", "--teacher_kwargs", "{noise: 1.0}")))
    assert all(a.steps[0].decision != b.steps[0].decision for a, b in zip(plain, errs, strict=True))


def test_a_finite_task_is_not_asked_for_more_episodes_than_it_has(tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", *map(tea_story, "abc"))
    settings = settings_of("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}", "--teacher", "oracle")
    assert [trajectory.episode for trajectory in taught_by(settings)] == [0, 1, 2]


def test_records_of_other_episodes_are_refused(tiny_run, tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", tea_story("elsewhere"))
    settings = settings_of("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}")
    note = [Operation("insert", "episodic", "Ann: hello")]
    teacher = rollout(build_env(settings.env, 1), Scripted(note, note, note), [0])
    with TrajectoryWriter(tmp_path / "trajectories.jsonl") as writer:
        writer.write(teacher[0])
    with pytest.raises(
        SystemExit, match=r"^error: .* 'elsewhere': it was made in another environment or from other data"
    ):
        sft.main(arguments(tiny_run, tmp_path / "run", "--teacher", tmp_path / "trajectories.jsonl"))


# --- The run ---------------------------------------------------------------------------------------------------------


def test_an_interrupted_and_resumed_run_equals_one_that_never_stopped(
    finished, tiny_run, tmp_path, run_until_power_cut, adapter_weights, comparable_metrics
):
    """It fails after step 5, in the middle of an epoch, and goes on from the checkpoint of step 3."""
    argv = arguments(tiny_run, tmp_path, "--max_steps", 8, "--save_every", 3)
    run_until_power_cut(sft, argv, after=5)
    sft.main([*argv, "--resume", "true"])
    without = {"num_tokens"}  # which TRL counts per process: those since the resumption
    assert comparable_metrics(tmp_path, without) == comparable_metrics(finished, without)
    resumed, whole = adapter_weights(tmp_path / "adapter"), adapter_weights(finished / "adapter")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_the_manifest_says_how_the_run_was_made(finished):
    manifest = Manifest.read(finished)
    assert (manifest.env, manifest.budget["total"]) == ("memgym/Dialogue-v0", 60)
    settings = manifest.extra["settings"]
    assert (settings["teacher"], settings["episodes"], settings["max_steps"]) == ("oracle", 4, 8)


def test_training_goes_on_from_an_adapter(finished, tiny_run, tmp_path, adapter_weights):
    sft.main(arguments(tiny_run, tmp_path, "--max_steps", 1, "--backbone.adapter", finished / "adapter"))
    first = next(row for row in read_metrics(tmp_path / "metrics.jsonl") if "loss" in row)
    fresh = next(row for row in read_metrics(finished / "metrics.jsonl") if "loss" in row)
    assert first["loss"] < 0.8 * fresh["loss"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*sft*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_repository_fits_the_trainer_and_its_environment(path):
    settings = settings_of("--config", str(path))
    assert sft.trainer_arguments(settings).max_steps == settings.max_steps
    if "path" not in settings.env.kwargs and settings.env.id == "memgym/Dialogue-v0":
        assert build_env(settings.env, 1).num_envs == 1


# --- The Answer Agent ------------------------------------------------------------------------------------------------


def test_an_answerer_learns_the_gold_answers_of_the_exam(tmp_path):
    story = write_custom(tmp_path / "data.jsonl", tea_story("s0"), tea_story("s1", days=2))
    sft.main(
        [
            *("--backbone.name", "tiny-llama", "--lora.rank", "4"),
            *("--env.id", "memgym/Custom-v0"),
            *("--env.kwargs", f"{{path: {story}, split: test, retrieve: 7, neighbours: 1, context_tokens: 9000}}"),
            *("--role", "answerer", "--teacher", "oracle+append_all", "--max_steps", "12", "--batch_size", "6"),
            *("--learning_rate", "3e-2", "--output_dir", str(tmp_path / "run")),
        ]
    )
    losses = [row["loss"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert Manifest.read(tmp_path / "run" / "manifest.yaml").agent == "answerer"
    assert read_record(tmp_path / "run" / "adapter")["env"] == {
        **{"retrieve": 7, "neighbours": 1, "calendar_dates": False, "context_tokens": 9000}
    }


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--role", "judge"], "role='judge': expected manager or answerer"),
        (["--teacher", "nope"], "teacher='nope': expected one of no_memory, "),
        (["--teacher", "oracle+manager"], "teacher='manager': expected one of no_memory, "),
        (["--teacher_kwargs", "{colour: red}"], "teacher_kwargs: .*colour"),
        (["--teacher_kwargs", "{noise: loud}"], "teacher_kwargs: "),
        (["--first_episode", "-1"], "first_episode=-1: expected at least 0"),
        (["--episodes", "0"], "episodes=0: expected at least 1"),
        (["--max_steps", "0"], "max_steps=0: expected at least 1, or -1 to train epochs"),
        (["--epochs", "0"], "epochs=0.0: expected more than 0"),
        (["--sft", "{foo: 1}"], "sft.foo: SFTConfig has no such field"),
        (["--sft", "{optim: foo}"], ".*foo"),
        (["--seed", "-1"], "seed=-1: expected 0 to 4294967295"),
        (["--report_to", "wandb"], "report_to='wandb': expected one of none, "),
        (["--agent.codec", "foo"], "agent.codec 'foo': expected one of mem_alpha, memory_r1, lines"),
    ],
)
def test_a_mistake_ends_with_one_line(tiny_run, tmp_path, argv, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        sft.main(arguments(tiny_run, tmp_path / "run", *argv))
    assert "\n" not in str(raised.value.code)
    assert not (tmp_path / "run").exists()


def test_a_finite_task_has_no_episodes_beyond_its_last(tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", *map(tea_story, "abc"))
    settings = settings_of("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}", "--first_episode", "3")
    with pytest.raises(ValueError, match="first_episode=3: the task custom has 3 episodes"):
        sft.training_episodes(settings, build_env(settings.env, 1).task)


def test_adapter_and_checkpoints_know_what_they_were_trained_as(finished):
    for folder in ("adapter", "checkpoint-3"):
        backbone = load_backbone("tiny-llama", device="cpu")
        load_adapter(backbone, finished / folder, "trained")
        assert backbone.trained_as["trained"] == {
            **{"role": "manager", "codec": "lines", "style": "terse", "search": False, "max_new_tokens": 8},
            "env": {
                **{"shown": 5, "show": "recent", "max_operations": 32, "max_steps_per_chunk": 3},
                **{"retrieve": 20, "neighbours": 0, "calendar_dates": False, "context_tokens": 2000},
            },
        }


def test_an_adapter_is_not_trained_on_in_another_format(finished, tiny_run, tmp_path):
    argv = ["--backbone.adapter", finished / "adapter", "--agent.style", "full"]
    with pytest.raises(SystemExit, match="error: the adapter was trained with style='terse', not 'full'"):
        sft.main(arguments(tiny_run, tmp_path / "run", *argv))


# --- A folder that is used again -------------------------------------------------------------------------------------


def test_a_new_run_in_the_folder_of_another_ends_with_one_line_and_changes_nothing(finished, tiny_run, adapter_weights):
    before = adapter_weights(finished / "adapter")
    with pytest.raises(SystemExit, match=r"error: .*checkpoint-8 is there from an earlier run: choose another output_"):
        sft.main(arguments(tiny_run, finished, "--max_steps", 2, "--seed", 1))
    after = adapter_weights(finished / "adapter")
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--seed", 1], "seed is 1 and was 0 when"),
        (["--learning_rate", 0.5], "learning_rate is 0.5 and was 0.03 when"),
        (["--env.kwargs.budget", 61], "env.kwargs.budget is 61 and was 60 when"),
        (["--env.kwargs.split", "train"], "env.kwargs.split is 'train' and was 'not set' when"),
        (["--lora.top_layers", 1], "lora.top_layers is 1 and was None when"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(finished, tiny_run, changed, message):
    with pytest.raises(SystemExit, match=f"^error: --resume true, but {message}"):
        sft.main(arguments(tiny_run, finished, "--max_steps", 8, "--save_every", 3, "--resume", "true", *changed))


def test_a_run_may_be_resumed_to_go_further(finished, tiny_run, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "moved")
    longer = ["--max_steps", 9, "--save_every", 9, "--epochs", 5, "--resume", "true"]
    sft.main(arguments(tiny_run, folder, *longer))
    assert [row["step"] for row in read_metrics(folder / "metrics.jsonl") if "loss" in row] == list(range(1, 10))
