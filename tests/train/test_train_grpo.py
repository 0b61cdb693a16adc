from pathlib import Path

import pytest
import torch
import yaml

from agents.answerer import AnswerAgent
from agents.backbone import LoraSettings, add_adapter, load_adapter, load_backbone, save_adapter
from memgym.records import Manifest
from tests.scripted import tea_story, write_custom
from train import grpo, setup
from train.callbacks import read_metrics
from train.settings import load_settings
from train.setup import build_env

CONFIGS = Path(grpo.__file__).parent / "configs"
SMALL = ["--group_size", "4", "--turns_per_trajectory", "2", "--episodes_per_step", "2", "--micro_batch_size", "8"]
RUN = [
    *SMALL,
    *("--seed", "23"),  # with which the samples of the last steps differ in reward: most of a random model's do not
    "--learning_rate",
    "1e-3",
    "--eval_env",
    "{split: validation}",
    "--eval_episodes",
    "2",
    "--eval_every",
    "2",
]


def arguments(tiny_run, folder, *more):
    return [*tiny_run, *RUN, "--output_dir", str(folder), *map(str, more)]


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """Folder of a run of four steps that nothing interrupted."""
    folder = tmp_path_factory.mktemp("grpo") / "finished"
    grpo.main(arguments(tiny_run, folder, "--max_steps", 4, "--save_every", 2))
    return folder


# --- What a run leaves behind ----------------------------------------------------------------------------------------


def test_every_step_logs_the_reward_its_terms_by_name_and_what_went_wrong(finished):
    rows = [row for row in read_metrics(finished / "metrics.jsonl") if "reward" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    terms = {"correctness", "evidence_recall", "compression", "failed", "unsupported", "unjustified_delete"}
    assert {key.removeprefix("terms/") for key in rows[0] if key.startswith("terms/")} == terms
    for row in rows:
        for share in ("score", "parse_failures", "truncated", "frac_reward_zero_std", "failed_operations"):
            assert 0 <= row[share] <= 1
        assert row["memory_tokens"] <= 60
        assert row["terms/correctness"] == row["score"]
        assert {"loss", "grad_norm", "learning_rate", "step_time"} <= row.keys()
        assert not any(key.startswith("eval_") for key in row)
        # All turns are trained, as K is the number of chunks; only searches make an episode longer than that.
        expected = row["score"] - 0.1 * sum(row[f"terms/{t}"] for t in ("failed", "unsupported", "unjustified_delete"))
        assert row["reward"] == pytest.approx(expected, abs=0.02)
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert any(row["grad_norm"] > 0 for row in rows[2:])  # or the tests of resuming would see nothing


def test_held_out_scores_stand_between_floor_and_ceiling_in_the_same_file(finished):
    rows = [row for row in read_metrics(finished / "metrics.jsonl") if "eval_score" in row]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert {(row["eval_floor"], row["eval_ceiling"]) for row in rows} == {
        (rows[0]["eval_floor"], rows[0]["eval_ceiling"])
    }
    assert rows[0]["eval_floor"] < rows[0]["eval_ceiling"]


def test_the_curve_is_drawn(finished):
    assert (finished / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_the_manifest_says_how_the_run_was_made(finished):
    manifest = Manifest.read(finished)
    assert (manifest.env, manifest.agent, manifest.seed) == ("memgym/Dialogue-v0", "manager", 23)
    assert manifest.reader.startswith("extractive")
    assert (manifest.reward, manifest.budget["total"]) == ("memgym", 60)
    assert manifest.env_kwargs["dialogue"]["chunks"] == 2
    settings = manifest.extra["settings"]
    assert (settings["group_size"], settings["learning_rate"], settings["eval_every"]) == (4, 0.001, 2)
    assert {"python", "torch", "transformers", "trl", "peft"} <= set(manifest.versions)


def test_the_adapter_is_the_last_checkpoints_and_changes_the_model(finished, adapter_weights):
    saved = adapter_weights(finished / "adapter")
    last = adapter_weights(finished / "checkpoint-4")
    assert saved.keys() == last.keys()
    assert all(torch.equal(saved[name], last[name]) for name in saved)
    backbone = load_backbone("tiny-llama", device="cpu")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = backbone.model(ids).logits
        load_adapter(backbone, finished / "adapter", "trained")
        assert not torch.allclose(backbone.model(ids).logits, before)


# --- Resuming --------------------------------------------------------------------------------------------------------


def test_an_interrupted_and_resumed_run_equals_one_that_never_stopped(
    finished, tiny_run, tmp_path, run_until_power_cut, adapter_weights, comparable_metrics
):
    """It fails in its fourth step; step 3 is lost with it, and is done again from the checkpoint of step 2."""
    argv = arguments(tiny_run, tmp_path, "--max_steps", 4, "--save_every", 2)
    run_until_power_cut(grpo, argv, after=3)
    assert not (tmp_path / "adapter").exists()
    grpo.main([*argv, "--resume", "true"])
    assert comparable_metrics(tmp_path) == comparable_metrics(finished)
    resumed, whole = adapter_weights(tmp_path / "adapter"), adapter_weights(finished / "adapter")
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_bfloat16_adapter_resumes_exactly_as_well(
    tiny_run, tmp_path, run_until_power_cut, adapter_weights, comparable_metrics
):
    options = ["--max_steps", 2, "--save_every", 1, "--lora.dtype", "bfloat16"]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    grpo.main(arguments(tiny_run, whole, *options))
    argv = arguments(tiny_run, resumed, *options)
    run_until_power_cut(grpo, argv, after=1)
    grpo.main([*argv, "--resume", "true"])
    assert comparable_metrics(resumed) == comparable_metrics(whole)
    expected, found = adapter_weights(whole / "adapter"), adapter_weights(resumed / "adapter")
    for name in expected:
        assert expected[name].dtype == found[name].dtype == torch.bfloat16
        assert torch.equal(expected[name], found[name])


def test_resuming_what_was_never_started_is_an_error(tiny_run, tmp_path):
    with pytest.raises(SystemExit, match=f"error: --resume true, but there is no checkpoint in {tmp_path}"):
        grpo.main(arguments(tiny_run, tmp_path, "--resume", "true"))


def test_a_new_run_does_not_start_in_the_folder_of_another(finished, tiny_run):
    with pytest.raises(SystemExit, match=r"error: .*checkpoint-4 is there from an earlier run: choose another output_"):
        grpo.main(arguments(tiny_run, finished, "--max_steps", 2, "--seed", 1))


def test_a_run_is_not_resumed_with_other_settings(finished, tiny_run):
    argv = arguments(tiny_run, finished, "--max_steps", 4, "--resume", "true", "--credit.discount", 0.5)
    with pytest.raises(SystemExit, match=r"error: --resume true, but credit\.discount is 0\.5 and was 0\.95 when"):
        grpo.main(argv)


# --- Who sits the exam -----------------------------------------------------------------------------------------------


@pytest.fixture
def answerer(own_backbone, tmp_path):
    """Folder of an Answer Agent's adapter that does something."""
    add_adapter(own_backbone, "default", LoraSettings(rank=2))
    for name, weight in own_backbone.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(weight, 0.1)
    own_backbone.trained_as["default"] = AnswerAgent(own_backbone, "default", max_new_tokens=4).record
    save_adapter(own_backbone, "default", tmp_path / "answerer")
    return tmp_path / "answerer"


def test_a_frozen_answerer_on_the_same_backbone_grades_training_and_held_out_episodes(
    tiny_run, tmp_path, answerer, monkeypatch, adapter_weights
):
    answered = []

    class Witness(AnswerAgent):
        def answer(self, tasks):
            answered.append((self.adapter, self.backbone, self.backbone.adapters, len(tasks)))
            return super().answer(tasks)

    monkeypatch.setattr(setup, "AnswerAgent", Witness)
    grpo.main(arguments(tiny_run, tmp_path / "run", "--max_steps", 1, "--answerer", answerer))
    assert {adapter for adapter, *_ in answered} == {"answerer"}
    assert len({id(backbone) for _, backbone, *_ in answered}) == 1
    assert {adapters for *_, adapters, _ in answered} == {("default", "answerer")}
    questions = 2 * 2  # of two episodes: held-out before and after, floor and ceiling once, and 4 trajectories of each
    assert sum(count for *_, count in answered) == 4 * questions + 4 * questions

    manifest = Manifest.read(tmp_path / "run")
    assert manifest.reader == f"lm(tiny-llama, {answerer})"
    assert manifest.extra["settings"]["answerer"] == str(answerer)
    assert "reader" not in manifest.env_kwargs
    saved = adapter_weights(tmp_path / "run" / "adapter")
    assert saved.keys() == adapter_weights(tmp_path / "run" / "checkpoint-1").keys()
    frozen = adapter_weights(tmp_path / "run" / "checkpoint-1" / "answerer")  # PEFT saves all it holds
    assert all(torch.equal(frozen[name], tensor) for name, tensor in adapter_weights(answerer).items())


# --- One step --------------------------------------------------------------------------------------------------------


def test_a_step_is_the_same_however_it_is_cut_into_micro_batches(tiny_run, tmp_path, adapter_weights):
    """Plain SGD, so that the change of the weights is the gradient itself."""
    changes, norms = {}, {}
    for size in (2, 4, 16):
        options = ["--max_steps", 1, "--micro_batch_size", size, "--eval_every", 99, "--grpo", "{optim: sgd}"]
        options += ["--seed", 16]  # with which the samples of the first step differ in reward
        grpo.main(arguments(tiny_run, tmp_path / str(size), *options))
        changes[size] = adapter_weights(tmp_path / str(size) / "adapter")
        (row,) = [row for row in read_metrics(tmp_path / str(size) / "metrics.jsonl") if "grad_norm" in row]
        norms[size] = row["grad_norm"]
    assert norms[16] > 0.01
    for size in (2, 4):
        assert norms[size] == pytest.approx(norms[16], rel=1e-4)
        for name, weights in changes[16].items():
            torch.testing.assert_close(changes[size][name], weights, rtol=1e-4, atol=1e-8)


def test_tensorboard_gets_the_same_figures_when_asked(tiny_run, tmp_path, monkeypatch):
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    grpo.main(arguments(tiny_run, tmp_path / "run", "--max_steps", 1, "--report_to", "tensorboard"))
    events = event_files.EventAccumulator(str(tmp_path / "board")).Reload()
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    for tag, key in (("train/reward", "reward"), ("train/terms/failed", "terms/failed"), ("eval/score", "eval_score")):
        logged = [event.value for event in events.Scalars(tag)]
        assert logged == pytest.approx([row[key] for row in rows if key in row])


def test_a_learning_rate_of_zero_changes_nothing(tiny_run, tmp_path, adapter_weights):
    """And so what the other tests see change is what was learned, not what was sampled, saved or loaded."""
    grpo.main(arguments(tiny_run, tmp_path, "--max_steps", 1, "--save_every", 1, "--learning_rate", 0))
    weights = adapter_weights(tmp_path / "adapter")
    assert all((tensor == 0).all() for name, tensor in weights.items() if "lora_B" in name)


# --- Settings --------------------------------------------------------------------------------------------------------


def settings_of(*argv):
    return load_settings(grpo.GRPOSettings, argv, "")


def test_one_generation_batch_is_one_step_is_whole_episodes():
    arguments = grpo.trainer_arguments(settings_of(*SMALL, "--micro_batch_size", "4"))
    assert arguments.per_device_train_batch_size == 4
    assert arguments.gradient_accumulation_steps == arguments.steps_per_generation == 4
    assert arguments.generation_batch_size == 16
    assert arguments.num_generations == 4
    assert arguments.shuffle_dataset is False


def test_further_fields_of_trls_config_pass_through_and_win():
    arguments = grpo.trainer_arguments(
        settings_of("--grpo.beta", "0.1", "--grpo.warmup_steps=3", "--grpo.logging_steps", "2")
    )
    assert (arguments.beta, arguments.warmup_steps, arguments.logging_steps) == (0.1, 3, 2)


def test_a_micro_batch_that_does_not_divide_the_step_is_named():
    with pytest.raises(SystemExit, match="error: micro_batch_size=3 does not divide the 16 rows of a step"):
        grpo.trainer_arguments(settings_of(*SMALL, "--micro_batch_size", "3"))


def test_finite_tasks_start_over_when_their_episodes_run_out(tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", *(tea_story(f"s{n}") for n in range(3)))
    settings = settings_of(
        *("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}", "--first_episode", "1"),
        *("--max_steps", "2", "--episodes_per_step", "2", "--turns_per_trajectory", "2"),
    )
    prompts = grpo.training_grid(settings, build_env(settings.env, 1))["prompt"]
    assert list(prompts) == ["1:0", "1:1", "2:0", "2:1", "0:0", "0:1", "1:0", "1:1"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--agent.codec", "foo"], "agent.codec 'foo': expected one of mem_alpha, memory_r1, lines"),
        (["--agent.style", "foo"], "agent.style 'foo': expected one of full, terse, quote"),
        (["--agent.style", "quote", "--agent.search", "true"], "agent.style 'quote' cannot search"),
        (["--agent.max_new_tokens", "0"], "agent.max_new_tokens=0: expected at least 1"),
        (["--agent.temperature", "0"], r"agent.temperature=0\.0: GRPO learns from samples"),
        (["--agent.temperature", "-1"], r"agent.temperature=-1\.0: expected at least 0"),
        (["--grpo", "{foo: 1}"], "grpo.foo: GRPOConfig has no such field"),
        (["--group_size", "1"], "group_size=1: expected at least 2"),
        (["--eval_episodes", "0"], "eval_episodes=0: expected at least 1"),
        (["--eval_every", "0"], "eval_every=0: expected at least 1"),
        (["--save_every", "0"], "save_every=0: expected at least 1"),
        (["--seed", "-1"], "seed=-1: expected 0 to 4294967295"),
        (["--max_steps", "0"], "max_steps=0: expected at least 1"),
        (["--first_episode", "-1"], "first_episode=-1: expected at least 0"),
        (["--turns_per_trajectory", "0"], "turns_per_trajectory=0: expected at least 1"),
        (["--learning_rate", "nan"], "learning_rate=nan: expected at least 0"),
        (["--report_to", "wandb"], "report_to='wandb': expected one of none, "),
    ],
)
def test_a_mistake_in_the_settings_ends_with_one_line_before_anything_is_loaded(monkeypatch, argv, message):
    monkeypatch.setattr(grpo, "set_up", pytest.fail)
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        grpo.main(argv)
    assert "\n" not in str(raised.value.code)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--grpo", "{optim: foo}"], ".*foo"),
        (["--answerer", "nowhere"], "no adapter in nowhere"),
        (["--answerer", "nowhere", "--env.kwargs.reader", "extractive"], r"answerer and env\.kwargs\.reader both say"),
        (["--backbone.engram", "{colour: red}"], ".*colour"),
        (["--agent.distil", "true"], r"agent\.distil=True is an Answer Agent's"),
    ],
)
def test_a_mistake_that_comes_to_light_in_the_set_up_ends_with_one_line(tiny_run, tmp_path, argv, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        grpo.main(arguments(tiny_run, tmp_path / "run", *argv))
    assert "\n" not in str(raised.value.code)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*grpo*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_repository_fits_the_trainer_and_its_environment(path):
    shared = path.with_name(f"{path.name.rpartition('_')[0]}.yaml")  # with PPO
    settings = settings_of(*(["--config", str(shared)] if shared.exists() else []), "--config", str(path))
    trainer = grpo.trainer_arguments(settings)
    rows = settings.episodes_per_step * settings.turns_per_trajectory * settings.group_size
    assert trainer.generation_batch_size == rows
    if "path" not in settings.env.kwargs and settings.env.id == "memgym/Dialogue-v0":
        env = build_env(settings.env, 1, settings.eval_env)
        assert env.envs[0].config.make_budget().total == yaml.safe_load(path.read_text())["env"]["kwargs"].get("budget")
