import math
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate import Accelerator, DistributedType
from transformers import TrainerState

from agents.backbone import active_adapter, save_adapter
from agents.manager import MemoryManager
from agents.trained_as import read_record
from memgym.records import Manifest
from tests.scripted import make_vector, tea_story
from train import grpo, ppo
from train.advantages import Discounts, gae
from train.callbacks import read_metrics
from train.checkpoints import load_checkpoint
from train.credit import CreditSettings
from train.settings import load_settings
from train.setup import build_env, build_policy, save_policy
from train.turns import Turn, collate

CONFIGS = Path(ppo.__file__).parent / "configs"
RUN = [
    *("--episodes_per_step", "4", "--epochs", "2", "--minibatches", "2", "--micro_batch_size", "3"),
    *("--learning_rate", "1e-3", "--critic_learning_rate", "1e-2", "--target_kl", "null"),
    *("--eval_env", "{split: validation}", "--eval_episodes", "2", "--eval_every", "2"),
]
ENGRAM = ["--backbone.engram", "{heads: 2, rows: 101, row_dim: 4}"]
ROWS = [Turn((5, 6, 7, 8), (9, 10), 0.0), Turn((5,), (11, 12, 13, 2), 0.0)]


def arguments(tiny_run, folder, *more):
    return [*tiny_run, *RUN, "--output_dir", str(folder), *map(str, more)]


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """Folder of a run of four steps that nothing interrupted."""
    folder = tmp_path_factory.mktemp("ppo") / "finished"
    ppo.main(arguments(tiny_run, folder, "--max_steps", 4, "--save_every", 2))
    return folder


@pytest.fixture
def make(tiny_run, tmp_path):
    """The algorithm alone, over a tiny model."""

    def make(*more):
        settings = load_settings(ppo.PPOSettings, arguments(tiny_run, tmp_path, *more), "")
        backbone = build_policy(settings.backbone, settings.lora, settings.seed)
        return ppo.PPO(settings, backbone, Accelerator(cpu=True))

    return make


def rows_of(folder):
    return [row for row in read_metrics(folder / "metrics.jsonl") if "reward" in row]


# --- What a run leaves behind ----------------------------------------------------------------------------------------


def test_every_step_logs_reward_rollout_and_update(finished):
    rows = rows_of(finished)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        for share in ("score", "parse_failures", "truncated", "failed_operations", "clip_fraction"):
            assert 0 <= row[share] <= 1
        assert row["terms/correctness"] == row["score"]
        assert row["updates"] == 4
        assert row["entropy"] > 0
        assert row["approx_kl"] > 0
        assert row["grad_norm"] > 0
        assert row["completions/mean_length"] == row["generated_tokens"] / 8
        assert {"loss", "policy_loss", "value_loss", "explained_variance", "kl", "step_time"} <= row.keys()
        expected = row["score"] - 0.1 * sum(row[f"terms/{t}"] for t in ("failed", "unsupported", "unjustified_delete"))
        assert row["reward"] == pytest.approx(expected)  # what GRPO logs under that name


def test_the_kl_to_the_reference_is_0_at_the_first_step_and_not_afterwards(finished):
    first, *later = [row["kl"] for row in rows_of(finished)]
    assert first == 0.0
    assert all(kl > 0 for kl in later)


def test_held_out_scores_checkpoints_curve_and_manifest_are_those_of_grpo(finished, adapter_weights):
    rows = [row for row in read_metrics(finished / "metrics.jsonl") if "eval_score" in row]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert (finished / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")
    manifest = Manifest.read(finished)
    assert (manifest.env, manifest.agent, manifest.reward) == ("memgym/Dialogue-v0", "manager", "memgym")
    assert manifest.extra["settings"]["gae"]["turn_lambda"] == 1.0
    assert sorted(path.name for path in finished.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    saved, last = adapter_weights(finished / "adapter"), adapter_weights(finished / "checkpoint-4" / "adapter")
    assert all(torch.equal(saved[name], last[name]) for name in last)
    assert any(tensor.any() for name, tensor in saved.items() if "lora_B" in name)


# --- Resuming --------------------------------------------------------------------------------------------------------


def test_an_interrupted_and_resumed_run_equals_one_that_never_stopped(
    finished, tiny_run, tmp_path, run_until_power_cut, adapter_weights, comparable_metrics
):
    """It fails in its fourth step; step 3 is lost with it, and is done again from the checkpoint of step 2."""
    argv = arguments(tiny_run, tmp_path, "--max_steps", 4, "--save_every", 2)
    run_until_power_cut(ppo, argv, after=3)
    assert not (tmp_path / "adapter").exists()
    ppo.main([*argv, "--resume", "true"])
    assert comparable_metrics(tmp_path) == comparable_metrics(finished)
    resumed, whole = adapter_weights(tmp_path / "adapter"), adapter_weights(finished / "adapter")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    for file in ("trained.safetensors", "optimizer.pt"):  # the critic and all moments are the same as well
        assert (tmp_path / "checkpoint-4" / file).read_bytes() == (finished / "checkpoint-4" / file).read_bytes()


def test_a_run_from_an_adapter_keeps_its_reference_when_it_is_resumed(
    finished, tiny_run, tmp_path, run_until_power_cut, comparable_metrics, adapter_weights
):
    """In bfloat16, where a reference of another dtype would not be equal."""
    start = [
        "--backbone.adapter",
        finished / "adapter",
        "--lora.dtype",
        "bfloat16",
        "--max_steps",
        2,
        "--save_every",
        1,
    ]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    ppo.main(arguments(tiny_run, whole, *start, "--kl_in", "reward"))
    argv = arguments(tiny_run, resumed, *start, "--kl_in", "reward")
    run_until_power_cut(ppo, argv, after=1)
    ppo.main([*argv, "--resume", "true"])
    assert comparable_metrics(resumed) == comparable_metrics(whole)
    first, second = rows_of(whole)
    assert first["kl"] == 0.0
    assert second["kl"] > 0.0
    expected, found = adapter_weights(whole / "adapter"), adapter_weights(resumed / "adapter")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert {tensor.dtype for tensor in expected.values()} == {torch.bfloat16}


def test_resuming_what_was_never_started_or_has_another_shape_is_an_error(finished, tiny_run, tmp_path, make):
    with pytest.raises(SystemExit, match=f"error: --resume true, but there is no checkpoint in {tmp_path}"):
        ppo.main(arguments(tiny_run, tmp_path, "--resume", "true"))
    other = make("--lora.rank", "2")
    with pytest.raises(SystemExit, match=r"error: .*checkpoint-4 holds other weights than this run trains"):
        load_checkpoint(finished / "checkpoint-4", other.model, other.optimizer, other.scheduler)
    with pytest.raises(SystemExit, match=r"error: .* is no checkpoint of this trainer"):
        load_checkpoint(tmp_path, other.model, other.optimizer, other.scheduler)


def test_a_folder_is_used_again_only_to_go_on_with_the_same_settings(finished, tiny_run):
    with pytest.raises(SystemExit, match=r"error: .*checkpoint-4 is there from an earlier run: choose another output_"):
        ppo.main(arguments(tiny_run, finished, "--max_steps", 2, "--seed", 1))
    with pytest.raises(SystemExit, match="error: --resume true, but epochs is 3 and was 2 when"):
        ppo.main(arguments(tiny_run, finished, "--max_steps", 4, "--resume", "true", "--epochs", 3))


def test_adapter_and_checkpoints_know_what_they_were_trained_as(finished):
    for folder in (finished / "adapter", finished / "checkpoint-2" / "adapter"):
        assert read_record(folder) == {
            **{"role": "manager", "codec": "lines", "style": "terse", "search": False, "max_new_tokens": 8},
            "env": {
                **{"shown": 5, "show": "recent", "max_operations": 32, "max_steps_per_chunk": 3},
                **{"retrieve": 20, "neighbours": 0, "calendar_dates": False, "context_tokens": 2000},
            },
        }


def test_a_frozen_answerer_on_the_same_backbone_sits_the_exams(make, policy, tmp_path):
    save_adapter(policy, "default", tmp_path / "answerer")
    algorithm = make("--answerer", tmp_path / "answerer")
    reader = algorithm.curriculum.env(0).exam.reader
    assert (reader.adapter, reader.backbone) == ("answerer", algorithm.backbone)
    before = {name: p.clone() for name, p in algorithm.model.named_parameters()}
    algorithm.step(0)
    changed = [name for name, p in algorithm.model.named_parameters() if not torch.equal(p, before[name])]
    assert any("lora_B.default" in name for name in changed)
    assert not any("answerer" in name for name in changed)


def test_a_checkpoint_appears_when_it_is_complete(make, tmp_path, monkeypatch):
    algorithm = make()
    monkeypatch.setattr(torch, "save", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ppo.save_checkpoint(
            tmp_path / "checkpoint-1",
            algorithm.backbone,
            algorithm.model,
            algorithm.optimizer,
            algorithm.scheduler,
            TrainerState(),
        )
    assert not (tmp_path / "checkpoint-1").exists()


# --- What is trained -------------------------------------------------------------------------------------------------


class Witness(MemoryManager):
    """A manager whose decisions the test can look at."""

    def act(self, observations, episodes):
        decisions = super().act(observations, episodes)
        self.seen = [*getattr(self, "seen", []), *decisions]
        return decisions


def test_the_model_trains_on_its_own_text_and_nothing_else(make):
    algorithm = make()
    algorithm.policy.__class__ = Witness
    _, turns = algorithm.collect(0)
    flat = [turn for trajectory in turns for turn in trajectory]
    ids, mask = collate(flat, algorithm.backbone.tokenizer.pad_token_id, torch.device("cpu"))
    # 4 trajectories act together on each of 2 chunks; turns come trajectory by trajectory.
    decisions = [algorithm.policy.seen[4 * chunk + number] for number in range(4) for chunk in range(2)]
    decode = algorithm.backbone.tokenizer.decode
    for row, kept, decision in zip(ids, mask, decisions, strict=True):
        assert decode(row[kept], skip_special_tokens=True) == decision.text
        prompt = row[~kept][: len(decision.prompt_ids)]
        assert tuple(prompt.tolist()) == decision.prompt_ids
        assert not any(row[~kept][len(decision.prompt_ids) :])  # padding


def test_prompts_and_padding_have_no_part_in_the_loss(make):
    """The losses of the rows are those of their completion tokens, one each, whatever stands beside them."""
    algorithm = make()
    _, turns = algorithm.collect(0)
    flat = [turn for trajectory in turns for turn in trajectory]
    algorithm.score(flat)
    algorithm.estimate(turns)
    together = algorithm.losses(flat)["loss"]
    assert len(together) == sum(len(turn.completion_ids) for turn in flat)
    alone = torch.cat([algorithm.losses([turn])["loss"] for turn in flat])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_before_the_first_update_the_ratio_is_1_and_nothing_is_clipped(make):
    algorithm = make()
    _, turns = algorithm.collect(0)
    flat = [turn for trajectory in turns for turn in trajectory]
    algorithm.score(flat)
    algorithm.estimate(turns)
    losses = algorithm.losses(flat)
    assert losses["approx_kl"].abs().max() < 1e-6
    assert losses["clip_fraction"].sum() == 0
    advantages = torch.cat([turn.advantages for turn in flat])
    torch.testing.assert_close(losses["policy_loss"], -advantages, rtol=1e-3, atol=1e-4)
    assert advantages.mean().abs() < 1e-5
    assert advantages.std(correction=0).item() == pytest.approx(1.0, abs=1e-3)


def turn(reward, old, reference, values):
    made = Turn((5,), tuple(range(6, 6 + len(values))), reward)
    made.old_logps, made.reference_logps, made.values = map(torch.tensor, (old, reference, values))
    return made


@pytest.mark.parametrize(("where", "cost"), [("loss", 0.0), ("reward", 0.5)])
def test_the_reward_stands_at_the_turns_last_token_and_the_kl_where_it_arises(make, where, cost):
    algorithm = make("--kl_in", where, "--kl_coef", "0.5")
    first = turn(1.0, [-1.0, -2.0], [-1.5, -1.0], [0.25, 0.5])  # log ratios .5 and -1
    second = turn(2.0, [-1.0], [-1.0], [0.75])
    figures = algorithm.estimate([[first, second]])
    rewards = [torch.tensor([-cost * 0.5, 1.0 + cost * 1.0]), torch.tensor([2.0])]
    expected = gae(rewards, [first.values, second.values], Discounts())
    torch.testing.assert_close(first.returns, expected[0] + first.values)
    torch.testing.assert_close(second.returns, expected[1] + second.values)
    assert second.returns.tolist() == [2.0]
    assert first.returns[1].item() == pytest.approx(1 + cost + 2)
    whitened = torch.cat([first.advantages, second.advantages])
    plain = torch.cat(expected)
    torch.testing.assert_close(whitened, (plain - plain.mean()) / plain.std(correction=0), rtol=1e-4, atol=1e-4)
    k3 = [torch.tensor(r).exp().item() - 1 - r for r in (-0.5, 1.0, 0.0)]
    assert figures["kl"] == pytest.approx(sum(k3) / 3, rel=1e-5)


@pytest.mark.parametrize(("where", "weight"), [("loss", 0.5), ("reward", 0.0)])
def test_the_loss_of_a_token_is_policy_plus_value_plus_kl_by_hand(make, where, weight):
    """r = e^.5 with A = 1 and -1; the value moved from 0 to .5 with returns 1 and -1; .25 nats from the reference."""
    algorithm = make("--kl_in", where, "--kl_coef", "0.5", "--value_coef", "0.1")
    rows = [Turn((5, 6), (7, 8), 0.0)]
    algorithm.score(rows)
    now = rows[0].old_logps
    torch.nn.init.constant_(algorithm.model.value_head.linear.bias, 0.5)
    rows[0].old_logps, rows[0].reference_logps = now - 0.5, now + 0.25
    rows[0].advantages = rows[0].returns = torch.tensor([1.0, -1.0])
    policy = torch.tensor([-1.2, math.exp(0.5)])  # clipped where it gains, not where it loses
    value = torch.tensor([0.5 * 0.8**2, 0.5 * 1.5**2])  # the worse of .2 and .5
    kl = math.exp(0.25) - 1 - 0.25
    losses = algorithm.losses(rows)
    torch.testing.assert_close(losses["loss"], policy + 0.1 * value + weight * kl, rtol=1e-4, atol=1e-5)
    assert losses["clip_fraction"].tolist() == [1.0, 1.0]


def test_the_value_loss_of_an_update_is_clipped_around_the_old_value(make):
    """The critic is moved by hand; the loss is that of the formula, on values that only the head decides."""
    algorithm = make()
    _, turns = algorithm.collect(0)
    flat = turns[0]
    algorithm.score(flat)
    algorithm.estimate(turns[:1])
    torch.nn.init.constant_(algorithm.model.value_head.linear.bias, 0.5)  # all values were 0 and are now 0.5
    found = algorithm.losses(flat)["value_loss"]
    for loss, wanted in zip(found.tolist(), torch.cat([turn.returns for turn in flat]).tolist(), strict=True):
        assert loss == pytest.approx(0.5 * max((0.5 - wanted) ** 2, (0.2 - wanted) ** 2), abs=1e-6)


# --- One step --------------------------------------------------------------------------------------------------------


def test_a_minibatchs_gradient_is_the_same_however_it_is_cut(make):
    gradients = {}
    for size in (3, 8):
        algorithm = make("--micro_batch_size", size)
        _, turns = algorithm.collect(0)
        flat = [turn for trajectory in turns for turn in trajectory]
        algorithm.score(flat)
        algorithm.estimate(turns)
        figures = algorithm.accumulate(flat)
        named = {name: p.grad for name, p in algorithm.model.named_parameters() if p.requires_grad}
        gradients[size] = {**named, **{name: torch.tensor(value) for name, value in figures.items()}}
    assert max(gradient.abs().max() for gradient in gradients[8].values()) > 1e-2
    for name, gradient in gradients[8].items():
        torch.testing.assert_close(gradients[3][name], gradient, rtol=1e-3, atol=1e-5)


def test_updates_end_when_the_policy_has_moved_far(make):
    algorithm = make("--target_kl", "1e-9", "--learning_rate", "1e-2")
    assert algorithm.step(0)["updates"] == 1  # the second minibatch finds a policy that has moved, and is not used
    assert all(p.grad is None for p in algorithm.model.parameters())


def test_a_learning_rate_of_zero_changes_nothing_but_the_critic(make):
    algorithm = make("--learning_rate", "0")
    before = {name: p.clone() for name, p in algorithm.model.named_parameters()}
    algorithm.step(0)
    changed = [name for name, p in algorithm.model.named_parameters() if not torch.equal(p, before[name])]
    assert changed == ["value_head.linear.weight", "value_head.linear.bias"]


def test_without_a_kl_term_there_is_no_reference(make, finished):
    algorithm = make("--kl_coef", "0", "--backbone.adapter", finished / "adapter")
    assert algorithm.backbone.adapters == ("default",)
    assert "kl" not in algorithm.step(0)


@pytest.mark.parametrize("trained", ["shared", "adapter"])
def test_a_fresh_engram_is_trained_and_has_no_part_in_the_reference(make, trained):
    algorithm = make(*ENGRAM, "--backbone.train_engram", trained, "--learning_rate", "1e-2")
    assert len(algorithm.optimizer.param_groups) == 3  # adapter, tables, critic
    before = {name: p.clone() for name, p in algorithm.model.named_parameters() if p.requires_grad}
    assert any("engram" in name for name in before)
    assert algorithm.step(0)["kl"] == 0.0
    changed = [n for n, p in algorithm.model.named_parameters() if n in before and not torch.equal(p, before[n])]
    assert any("engram" in name for name in changed)
    with torch.no_grad(), active_adapter(algorithm.backbone, algorithm.reference):
        rows = algorithm.model(*algorithm._batch(ROWS)).logps
    assert torch.equal(rows, make().model(*algorithm._batch(ROWS)).logps)


def test_a_shared_engram_that_is_trained_further_leaves_no_reference(make, tmp_path):
    save_policy(make(*ENGRAM).backbone, tmp_path / "start")
    start = ["--backbone.adapter", tmp_path / "start" / "adapter", "--backbone.train_engram"]
    with pytest.raises(SystemExit, match=r"error: .*engram.* is trained and belongs to no adapter"):
        make(*start, "shared")
    assert make(*start, "shared", "--kl_coef", 0).reference is None
    assert make(*start, "frozen").step(0)["kl"] == 0.0


def test_dropout_of_the_adapter_is_off(make):
    algorithm = make("--lora.dropout", "0.5")
    first, second = algorithm.step(0), make("--lora.dropout", "0.5").step(0)
    assert first["policy_loss"] == second["policy_loss"]
    assert {m.p for m in algorithm.model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}


def test_processes_roll_episodes_of_their_own_and_finite_tasks_start_over(make):
    algorithm = make("--first_episode", 1)
    stories = make_vector(*(tea_story(f"s{n}") for n in range(5)), num_envs=4)
    algorithm.curriculum = SimpleNamespace(env=lambda step: stories)
    rolled = []
    for step, process in ((0, 0), (0, 1), (1, 0)):
        algorithm.accelerator = SimpleNamespace(process_index=process, num_processes=2)
        rolled.append([trajectory.episode for trajectory in algorithm.collect(step)[0]])
    assert rolled == [[1, 2, 3, 4], [0, 1, 2, 3], [4, 0, 1, 2]]


@pytest.mark.parametrize("kind", ["same_turn", "local_exams", "evidence"])
def test_every_credit_assignment_trains(make, kind):
    options = ["--credit.kind", kind, "--episodes_per_step", 2, "--group_size", 2]
    assert make(*options).step(0)["updates"] == 4


def test_a_curriculum_changes_the_episodes_with_the_step(make):
    stages = "[{until_step: 1, env: {dialogue: {chunks: 1}}}]"
    algorithm = make("--curriculum", stages)
    assert [len(trajectory.steps) for trajectory in algorithm.collect(0)[0]] == [1] * 4
    assert [len(trajectory.steps) for trajectory in algorithm.collect(1)[0]] == [2] * 4


# --- Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max_steps", "0"], "max_steps=0: expected at least 1"),
        (["--seed", "-1"], "seed=-1: expected 0 to 4294967295"),
        (["--agent.style", "foo"], "agent.style 'foo': expected one of full, terse, quote"),
        (["--answerer", "nowhere"], "no adapter in nowhere"),
        (["--minibatches", "5"], "minibatches=5: a step has 4 trajectories; expected no more"),
        (["--epochs", "0"], "epochs=0: expected at least 1"),
        (["--kl_in", "both"], "kl_in='both': expected reward or loss"),
        (["--agent.temperature", "0"], r"agent.temperature=0\.0: PPO learns from samples"),
        (["--credit.kind", "blame"], "credit.kind='blame': expected one of"),
        (["--credit.discount", "0.5"], r"credit\.discount is GRPO's alone: leave it out"),
        (["--credit.trajectory_weight", "2"], r"credit\.trajectory_weight is GRPO's alone: leave it out"),
        (["--curriculum", "[{until_step: 3}]"], r"curriculum\[0\]"),
        (["--share_prefixes", "true"], "unknown setting share_prefixes; expected one of"),  # GRPO's
        (["--agent.distil", "true"], r"agent\.distil=True is an Answer Agent's"),
    ],
)
def test_settings_that_cannot_work_end_with_one_line(tiny_run, tmp_path, options, message):
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        ppo.main(arguments(tiny_run, tmp_path, *options))


@pytest.mark.parametrize("kind", [DistributedType.DEEPSPEED, DistributedType.FSDP])
def test_sharded_models_are_refused(tiny_run, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(ppo, "Accelerator", lambda **options: SimpleNamespace(distributed_type=kind))
    with pytest.raises(SystemExit, match=r"error: train\.ppo needs a whole model on each process"):
        ppo.main(arguments(tiny_run, tmp_path))


def test_a_configuration_of_grpo_is_taken_without_what_grpo_alone_has(tiny_run, tmp_path, capsys):
    path = tmp_path / "grpo.yaml"
    credit = {"kind": "same_turn", "discount": 0.5, "trajectory_weight": 2.0}
    path.write_text(
        yaml.safe_dump({"group_size": 2, "turns_per_trajectory": 2, "grpo": {"beta": 0.1}, "credit": credit})
    )
    settings = load_settings(ppo.PPOSettings, ["--config", str(path)], "", ppo.OF_GRPO)
    assert (settings.group_size, settings.credit) == (2, CreditSettings("same_turn"))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="error: --resume true, but there is no checkpoint"):  # settings are fine
        ppo.main(arguments(tiny_run, tmp_path / "run", "--config", path, "--resume", "true"))
    left_out = "turns_per_trajectory, grpo, credit.discount, credit.trajectory_weight"
    assert capsys.readouterr().out == f"{path}: left out {left_out}, which this trainer does not have\n"


def test_what_grpo_alone_has_is_what_is_left_out_of_its_configurations():
    names = [{field.name for field in fields(kind)} for kind in (grpo.GRPOSettings, ppo.PPOSettings)]
    assert names[0] - names[1] == {name for name in ppo.OF_GRPO if "." not in name}


def as_it_is_run(path):
    """Those that share settings with the other trainer come after the file that holds these."""
    shared = path.with_name(f"{path.name.rpartition('_')[0]}.yaml")
    return [*(["--config", str(shared)] if shared.exists() else []), "--config", str(path)]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*ppo*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_repository_fits_the_trainer_and_its_environment(path):
    settings = load_settings(ppo.PPOSettings, as_it_is_run(path), "")
    if settings.env.id == "memgym/Dialogue-v0":
        env = build_env(settings.env, 1, settings.eval_env)
        assert env.envs[0].config.make_budget().total == yaml.safe_load(path.read_text())["env"]["kwargs"]["budget"]
