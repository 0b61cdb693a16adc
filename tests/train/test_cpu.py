import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trl import SFTTrainer
from trl.kernels import chunked_logprob
from trl.trainer import utils as trl_utils

from memgym.rewards import Recipe, correctness
from memgym.rollout import Decision
from tests.scripted import FakeReader, fact, make_vector, tea_story
from train import cpu, sft
from train.cpu import use_all_cores  # before the tests' own set-up puts a dummy in its place
from train.examples import Example
from train.rollouts import GridRollouts

ROOT = Path(__file__).parents[2]

LEAVES = r"""
import atexit

import torch

from train.cpu import prepare_device

# What is registered first is called last. One write, or two processes may mix theirs.
atexit.register(lambda: print(f"left: {not torch.distributed.is_initialized()}\n", end=""))
prepare_device()
torch.distributed.barrier()
"""


@pytest.fixture(autouse=True)
def as_trl_comes(monkeypatch):
    """Each test starts from TRL's own rule and leaves it in place."""
    monkeypatch.setattr(trl_utils, "_use_triton", chunked_logprob._use_triton)


@pytest.fixture
def scored_positions(monkeypatch):
    """Number of positions of every call that went through the LM head."""
    counts = []
    original = trl_utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden, *args):
            counts.append(len(hidden))
            return original.apply(hidden, *args)

    monkeypatch.setattr(trl_utils, "_ChunkedLogProbFunction", Counting)
    return counts


def loss_and_gradients(trainer, batch):
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, dict(batch))
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


def assert_the_same_but_faster(trainer, batch, scored_positions, trained, positions):
    before_loss, before = loss_and_gradients(trainer, batch)
    cpu.score_trained_positions_only()
    after_loss, after = loss_and_gradients(trainer, batch)
    assert scored_positions == [positions, trained]
    assert before_loss.abs() > 1e-3
    torch.testing.assert_close(after_loss, before_loss, rtol=1e-5, atol=1e-5)
    assert max(gradient.abs().max() for gradient in before.values()) > 1e-3
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-5, atol=1e-5)


def test_the_supervised_loss_and_its_gradients_are_the_same(policy, tmp_path, scored_positions):
    examples = [
        Example(list(range(3, 3 + prompt)), [*range(40, 40 + reply), 2]) for prompt, reply in ((30, 4), (21, 9))
    ]
    trainer = SFTTrainer(
        model=policy.model,
        args=sft.trainer_arguments(sft.SFTSettings(output_dir=str(tmp_path), batch_size=2)),
        train_dataset=sft.as_dataset(examples),
        processing_class=policy.tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert_the_same_but_faster(trainer, batch, scored_positions, trained=5 + 10, positions=2 * (30 + 5 - 1))


class Scribble:
    """Replies of different length, of which every other one is rewarded."""

    name = "scribble"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, backbone):
        self.backbone = backbone

    def reseed(self, seed):
        pass

    def act(self, observations, episodes):
        return [
            Decision(
                (fact("The bicycle is red."),) if row % 2 else (),
                prompt_ids=tuple(range(3, 30)),
                completion_ids=(*range(50, 52 + row), 2),
            )
            for row in range(len(observations))
        ]


def test_the_policy_loss_and_its_gradients_are_the_same(policy, make_trainer, scored_positions):
    reader = FakeReader(lambda task: "red" if task.context else "no idea")
    env = make_vector(tea_story(days=2), num_envs=2, reader=reader, reward=Recipe("qa", {}, {"qa": (1.0, correctness)}))
    trainer = make_trainer(GridRollouts(env, Scribble(policy), group_size=2, slots=3, seed=0))
    trainer.train()
    (batch,) = trainer.batches
    batch["old_per_token_logps"] = torch.full(batch["completion_ids"].shape, -5.5)  # else the loss is 0 and its ratio 1
    scored_positions.clear()
    replies = 2 * (3 + 4) + 2  # two turns of two trajectories, and the third slot's one-token fillers
    assert batch["completion_mask"].sum() == replies
    assert_the_same_but_faster(trainer, batch, scored_positions, trained=replies, positions=6 * (27 + 4 - 1))


def test_another_trl_is_refused_rather_than_run_slowly(monkeypatch):
    monkeypatch.delattr(trl_utils, "_use_triton")
    with pytest.raises(ValueError, match="install the trl version"):
        cpu.score_trained_positions_only()


@pytest.mark.parametrize(("local_processes", "threads"), [(None, 6), ("1", 6), ("2", 3), ("4", 1), ("8", 1)])
def test_processes_share_the_logical_processors(monkeypatch, local_processes, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if local_processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local_processes)
    assert threads_of(monkeypatch) == threads


def test_where_the_system_does_not_tell_a_process_s_own_all_are_shared(monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert threads_of(monkeypatch) == 5


def threads_of(monkeypatch):
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    use_all_cores()
    (threads,) = used
    return threads


def test_processes_leave_their_group_before_the_interpreter_ends(tmp_path):
    """Several would sometimes abort otherwise, which no test can wait for; that they leave it can be seen."""
    program = tmp_path / "program.py"
    program.write_text(LEAVES, encoding="utf-8")
    machine = ["--config_file", "train/accelerate/cpu2.yaml", "--main_process_port", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *machine, str(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stdout.count("left: True")) == (0, 2), done.stderr[-2000:]
