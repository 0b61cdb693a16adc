from pathlib import Path

import pytest
import torch

from agents.backbone import load_adapter, load_backbone
from agents.manager import MemoryManager
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


def test_an_unknown_teacher_is_an_error_that_says_what_was_expected(tiny_run):
    with pytest.raises(ValueError, match=r"nobody: no such file; expected a trajectories\.jsonl"):
        taught_by(settings_of(*arguments(tiny_run, "unused", "--teacher", "nobody")))


def test_records_of_other_episodes_are_refused(tiny_run, tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", tea_story("elsewhere"))
    settings = settings_of("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}")
    note = [Operation("insert", "episodic", "Ann: hello")]
    teacher = rollout(build_env(settings.env, 1), Scripted(note, note, note), [0])
    with TrajectoryWriter(tmp_path / "trajectories.jsonl") as writer:
        writer.write(teacher[0])
    with pytest.raises(ValueError, match="'elsewhere': it was made in another environment or from other data"):
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
            *("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {story}, split: test}}"),
            *("--role", "answerer", "--teacher", "oracle+append_all", "--max_steps", "12", "--batch_size", "6"),
            *("--learning_rate", "3e-2", "--output_dir", str(tmp_path / "run")),
        ]
    )
    losses = [row["loss"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert Manifest.read(tmp_path / "run" / "manifest.yaml").agent == "answerer"


def test_an_unknown_role_ends_with_one_line(tiny_run, tmp_path):
    with pytest.raises(SystemExit, match="role='judge': expected manager or answerer"):
        sft.main(arguments(tiny_run, tmp_path, "--role", "judge"))
