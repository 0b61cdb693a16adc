"""Train a Memory Manager or an Answer Agent with PPO (arXiv 1707.06347): our own, as TRL has had none since 1.13.

    accelerate launch -m train.ppo --config train/configs/ppo.yaml
    accelerate launch --config_file train/accelerate/cpu2.yaml -m train.ppo --config train/configs/ppo.yaml
    accelerate launch -m train.ppo --config train/configs/grpo.yaml --output_dir runs/ppo

What a language model and a memory episode make of the algorithm:

1. An action is a token. The tokens that a trajectory generated, turn after turn, are one sequence for GAE, although
   each turn is a context of its own (train/advantages.py).
2. The critic is a linear head on the policy's own last hidden state (train/value_head.py).
3. Which turn is rewarded with what is a setting (train/credit.py); the reward stands at the turn's last token.
4. A KL term holds the policy to where the run started (train/reference.py), in the reward or in the loss.

Every step rolls ``group_size`` trajectories of ``episodes_per_step`` fresh episodes per process and trains all their
turns. A stopped run goes on with ``--resume true`` and ends as if it had never stopped. Of a configuration of
train.grpo the settings that GRPO alone has are left out, and a line names them.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import gather_object
from transformers import Trainer, get_scheduler

from agents.backbone import Backbone, active_adapter
from memgym.rollout import Trajectory, rollout
from train.advantages import Discounts, explained_variance, gae, moments, whiten
from train.callbacks import HeldOutEvaluation, MetricsFile, RewardBar, Watchdog
from train.checkpoints import load_checkpoint, save_checkpoint
from train.cpu import prepare_device
from train.credit import GRPO_ONLY, Credit, CreditSettings
from train.curriculum import Curriculum
from train.engram import EngramCallback, plot_run
from train.held_out import HeldOut
from train.loop import Loop, loop_arguments
from train.losses import clipped_policy_loss, clipped_value_loss, kl_estimate
from train.optimizer import parameter_groups
from train.reference import add_reference
from train.rollouts import (
    average,
    generated_tokens,
    mean_turn_reward,
    numbered_episodes,
    sampling_seed,
    summarise,
)
from train.settings import BackboneSettings, EnvSettings, LoraShape, check_run, load_settings
from train.setup import (
    PolicySettings,
    build_policy,
    one_line_errors,
    save_policy,
    starting_point,
    trained_policy,
    with_answerer,
    write_manifest,
)
from train.turns import Turn, collate, hand_out, micro_batches, minibatches, per_token, turns_of
from train.value_head import ActorCritic

OF_GRPO = ("turns_per_trajectory", "share_prefixes", "grpo", *(f"credit.{name}" for name in GRPO_ONLY))


@dataclass
class PPOSettings:
    """Settings of a PPO run."""

    output_dir: str = "runs/ppo"
    seed: int = 0
    resume: bool = False
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    lora: LoraShape = field(default_factory=LoraShape)
    env: EnvSettings = field(default_factory=EnvSettings)
    answerer: str | None = None
    """Folder of an Answer Agent's adapter on the same backbone, which then sits all exams; it is not trained."""
    curriculum: list[dict[str, Any]] = field(default_factory=list)
    """Stages with ``until_step`` and changes to ``env.kwargs`` (train/curriculum.py)."""
    agent: PolicySettings = field(default_factory=PolicySettings)
    credit: CreditSettings = field(default_factory=CreditSettings)
    gae: Discounts = field(default_factory=Discounts)
    max_steps: int = 200
    episodes_per_step: int = 16
    """Episodes per process and step."""
    group_size: int = 1
    """Trajectories per episode; credit.kind same_turn compares them."""
    first_episode: int = 0
    """Index of the first training episode in the task."""
    epochs: int = 2
    """Passes over a step's turns."""
    minibatches: int = 2
    """Optimiser steps per pass."""
    micro_batch_size: int = 8
    """Rows (turns) per forward and backward pass."""
    learning_rate: float = 1e-5
    critic_learning_rate: float = 1e-4
    """Of the value head alone."""
    weight_decay: float = 0.0
    lr_scheduler: str = "constant_with_warmup"
    """A name in ``transformers.SchedulerType``; counts steps, not optimiser steps."""
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    """Of the gradient of each parameter group for itself: the critic's is not to use up the policy's."""
    clip: float = 0.2
    """Of the probability ratio."""
    value_clip: float = 0.2
    """Of the change of a value."""
    value_coef: float = 0.1
    kl_coef: float = 0.01
    """Weight of the KL to the reference; 0 does without the reference."""
    kl_in: str = "loss"
    """reward, or loss."""
    target_kl: float | None = 0.05
    """End a step's updates when they have moved the policy this far (nats per token); None never does."""
    eval_env: dict[str, Any] = field(default_factory=dict)
    """Changes to ``env.kwargs`` for the held-out episodes, such as ``split: validation``."""
    eval_episodes: int = 16
    eval_temperature: float = 0.0
    """Of the held-out episodes: 0 is greedy; the rollouts' own temperature shows the policy as it is trained."""
    eval_every: int = 20
    save_every: int = 50
    report_to: str = "none"
    """none, tensorboard or trackio; metrics.jsonl is written always."""

    def __post_init__(self) -> None:
        least = {"eval_episodes": 1, "eval_temperature": 0, "eval_every": 1, "micro_batch_size": 1}
        check_run(self, max_steps=1, group_size=1, episodes_per_step=1, epochs=1, minibatches=1, **least)
        trajectories = self.episodes_per_step * self.group_size
        if self.minibatches > trajectories:
            raise ValueError(
                f"minibatches={self.minibatches}: a step has {trajectories} trajectories; expected no more"
            )
        if self.kl_in not in ("reward", "loss"):
            raise ValueError(f"kl_in={self.kl_in!r}: expected reward or loss")
        if self.agent.temperature <= 0:
            raise ValueError("agent.temperature=0.0: PPO learns from samples; expected more than 0")
        for name in GRPO_ONLY:
            if getattr(self.credit, name) != getattr(CreditSettings(), name):
                raise ValueError(f"credit.{name} is GRPO's alone: leave it out; PPO carries rewards back with gae")


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says."""
    settings = load_settings(PPOSettings, sys.argv[1:] if argv is None else argv, __doc__ or "", OF_GRPO)
    checkpoint = starting_point(settings)
    prepare_device()
    with one_line_errors():
        accelerator, ppo, loop, held_out = set_up(settings)
    backbone, output = ppo.backbone, Path(settings.output_dir)
    if checkpoint:
        state = load_checkpoint(Path(checkpoint), ppo.model, ppo.optimizer, ppo.scheduler)
        loop.state.global_step, loop.state.log_history = state.global_step, state.log_history
    for step in loop.steps():
        done = loop.finish_step(ppo.step(step))
        if accelerator.is_main_process and (done % settings.save_every == 0 or done == settings.max_steps):
            folder = output / f"checkpoint-{done}"
            save_checkpoint(folder, backbone, ppo.model, ppo.optimizer, ppo.scheduler, loop.state)
    if accelerator.is_main_process:
        save_policy(backbone, output)
        plot_run(output)
        held_out.plot(output)


def set_up(settings: PPOSettings) -> tuple[Accelerator, PPO, Loop, HeldOut]:
    """The process, the algorithm with its policy, the loop around it, and what grades it."""
    arguments = loop_arguments(settings)
    accelerator = Accelerator(cpu=arguments.use_cpu)
    if accelerator.distributed_type in (DistributedType.DEEPSPEED, DistributedType.FSDP):
        raise SystemExit("error: train.ppo needs a whole model on each process: use a --config_file without sharding")
    backbone = build_policy(settings.backbone, settings.lora, settings.seed)
    ppo = PPO(settings, backbone, accelerator)
    held_out = HeldOut(ppo.env, settings.eval_env, settings.eval_episodes, settings.eval_temperature, ppo.policy)
    evaluation = HeldOutEvaluation(held_out, settings.eval_every)
    callbacks = [EngramCallback(backbone), MetricsFile(settings.output_dir), Watchdog(), evaluation, RewardBar()]
    loop = Loop(arguments, callbacks, backbone.model)
    evaluation.trainer = cast(Trainer, loop)
    if accelerator.is_main_process:
        write_manifest(settings.output_dir, settings, ppo.curriculum.env(settings.max_steps), ppo.policy.name)
    return accelerator, ppo, loop, held_out


class PPO:
    """The algorithm. ``step`` reads top to bottom: collect, score, estimate, update."""

    def __init__(self, settings: PPOSettings, backbone: Backbone, accelerator: Accelerator) -> None:
        """Set up policy, actor, critic, reference and optimiser.

        Args:
            settings: Of the run.
            backbone: With the adapter "default", which is trained.
            accelerator: Of this process.
        """
        self.settings = settings
        self.backbone = backbone
        self.accelerator = accelerator
        running = settings.episodes_per_step * settings.group_size
        self.env = with_answerer(settings.env, settings.answerer, backbone)
        self.curriculum = Curriculum(self.env, settings.curriculum, running)
        env = self.curriculum.env(settings.max_steps)
        self.policy = trained_policy(backbone, settings.agent, env, settings.seed)
        self.credit = Credit(settings.credit, settings.group_size, env.envs[0].recipe)
        started = settings.backbone
        self.reference = (
            add_reference(backbone, started.adapter is not None, bool(started.engram)) if settings.kl_coef else None
        )
        self.model = ActorCritic(backbone.model, settings.agent.temperature)
        if accelerator.device.type != "cpu":
            backbone.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # the ratio compares two passes over one token: they must not differ by chance
        critic = list(self.model.value_head.parameters())
        self.groups = [
            *parameter_groups(backbone.model, settings.learning_rate, settings.weight_decay),
            {"params": critic, "lr": settings.critic_learning_rate, "weight_decay": 0.0},
        ]
        self.parallel, self.optimizer = accelerator.prepare(self.model, torch.optim.AdamW(self.groups))
        # Not prepared: accelerate would step it once per process.
        self.scheduler = get_scheduler(
            settings.lr_scheduler, self.optimizer.optimizer, settings.warmup_steps, settings.max_steps
        )

    def step(self, step: int) -> dict[str, float]:
        """One step of training; its figures, the same on every process."""
        started = time.perf_counter()
        learning_rate = self.scheduler.get_last_lr()[0]
        trajectories, turns = self.collect(step)
        flat = list(chain.from_iterable(turns))
        self.score(flat)
        figures = self.estimate(turns)
        figures |= self.update(flat, step)
        self.scheduler.step()
        trained = sum(len(turn.completion_ids) for turn in flat)
        rows, tokens, generated = self._sum(torch.tensor([len(flat), trained, generated_tokens(trajectories)])).tolist()
        return {
            **average(gather_object([summarise(trajectories) | {"reward": mean_turn_reward(trajectories)}])),
            **figures,
            "generated_tokens": generated,
            "completions/mean_length": tokens / rows,
            "learning_rate": learning_rate,
            "step_time": time.perf_counter() - started,
        }

    def collect(self, step: int) -> tuple[list[Trajectory], list[list[Turn]]]:
        """Roll this process's episodes of the step; their trajectories, and the turns of each with their rewards."""
        settings, env = self.settings, self.curriculum.env(step)
        count, process = settings.episodes_per_step, self.accelerator.process_index
        start = settings.first_episode + (step * self.accelerator.num_processes + process) * count
        self.policy.reseed(sampling_seed(settings.seed, step, process))
        episodes = numbered_episodes(env.task, start, count)
        trajectories = rollout(env, self.policy, [index for index in episodes for _ in range(settings.group_size)])
        rewards = self.credit.step_rewards(env, trajectories)
        return trajectories, [turns_of(*pair) for pair in zip(trajectories, rewards, strict=True)]

    @torch.no_grad()
    def score(self, turns: list[Turn]) -> None:
        """What actor, critic and reference think of the tokens before the first update.

        The actor's log-probabilities are computed anew, by the pass that training uses: those of the generation differ
        by rounding, and the ratio of the first update would not be 1.
        """
        for rows in micro_batches(turns, self.settings.micro_batch_size):
            batch = self._batch(rows)
            scores = self.model(*batch)
            hand_out(rows, "old_logps", scores.logps)
            hand_out(rows, "values", scores.values)
            if self.settings.kl_coef:
                with active_adapter(self.backbone, self.reference):
                    hand_out(rows, "reference_logps", self.model(*batch).logps)

    def estimate(self, turns: list[list[Turn]]) -> dict[str, float]:
        """Advantages and returns of all tokens, one trajectory after the other."""
        kl_cost = self.settings.kl_coef if self.settings.kl_in == "reward" else 0.0
        for trajectory in turns:
            rewards = [turn.token_rewards(kl_cost) for turn in trajectory]
            advantages = gae(rewards, [turn.values for turn in trajectory], self.settings.gae)
            for turn, advantage in zip(trajectory, advantages, strict=True):
                turn.advantages, turn.returns = advantage, advantage + turn.values
        flat = list(chain.from_iterable(turns))
        # Whitened over the tokens of all processes: each of them trains on the same scale.
        batch = self._sum(moments(per_token(flat, "advantages")))
        for turn in flat:
            turn.advantages = whiten(turn.advantages, batch)
        returns, values = per_token(flat, "returns"), per_token(flat, "values")
        residuals = self._sum(moments(returns - values))
        figures = {"explained_variance": explained_variance(residuals, self._sum(moments(returns)))}
        if self.settings.kl_coef:
            estimates = kl_estimate(per_token(flat, "reference_logps") - per_token(flat, "old_logps"))
            count, total, _ = self._sum(moments(estimates))
            figures["kl"] = float(total / count)
        return figures

    def update(self, turns: list[Turn], step: int) -> dict[str, float]:
        """Epochs of minibatches, ended early when the policy has moved far; means of what the minibatches gave."""
        settings = self.settings
        done: list[dict[str, float]] = []
        for epoch in range(settings.epochs):
            seed = f"{settings.seed}:{step}:{self.accelerator.process_index}:{epoch}"
            for rows in minibatches(turns, settings.minibatches, seed):
                figures = self.accumulate(rows)
                if settings.target_kl is not None and figures["approx_kl"] > settings.target_kl:
                    self.optimizer.zero_grad()  # this minibatch, of which all processes know, is not learned from
                    return _means(done or [figures]) | {"updates": len(done)}
                limit = settings.max_grad_norm
                norms = [float(self.accelerator.clip_grad_norm_(group["params"], limit)) for group in self.groups]
                self.optimizer.step()
                self.optimizer.zero_grad()
                done.append(figures | {"grad_norm": norms[0], "critic_grad_norm": norms[-1]})
        return _means(done) | {"updates": len(done)}

    def accumulate(self, rows: list[Turn]) -> dict[str, float]:
        """The gradient of a minibatch, micro-batch by micro-batch; means over its tokens on all processes."""
        count = self._sum(torch.tensor(sum(len(turn.completion_ids) for turn in rows)))
        parts = micro_batches(rows, self.settings.micro_batch_size)
        sums: dict[str, torch.Tensor] = {}
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.parallel):
                losses = self.losses(part)
                # The mean over all tokens of the minibatch, wherever they are: DDP takes the mean over processes.
                self.accelerator.backward(losses["loss"].sum() * self.accelerator.num_processes / count)
            for name, values in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=values.device)) + values.detach().sum()
        totals = self._sum(torch.stack(list(sums.values())))
        return dict(zip(sums, (totals / count).tolist(), strict=True))

    def losses(self, rows: list[Turn]) -> dict[str, torch.Tensor]:
        """Loss and diagnostics of every completion token of the rows, shapes (N,)."""
        settings = self.settings
        scores = self.parallel(*self._batch(rows))
        names = ("old_logps", "advantages", "values", "returns")
        old_logps, advantages, old_values, returns = (per_token(rows, name) for name in names)
        log_ratio = scores.logps - old_logps
        policy = clipped_policy_loss(log_ratio, advantages, settings.clip)
        value = clipped_value_loss(scores.values, old_values, returns, settings.value_clip)
        loss = policy + settings.value_coef * value
        if settings.kl_coef and settings.kl_in == "loss":
            loss = loss + settings.kl_coef * kl_estimate(per_token(rows, "reference_logps") - scores.logps)
        return {
            "loss": loss,
            "policy_loss": policy,
            "value_loss": value,
            "approx_kl": kl_estimate(log_ratio),
            "clip_fraction": ((log_ratio.exp() - 1).abs() > settings.clip).float(),
            "entropy": scores.entropies,
        }

    def _batch(self, rows: list[Turn]) -> tuple[torch.Tensor, torch.Tensor]:
        return collate(rows, self.backbone.tokenizer.pad_token_id, self.accelerator.device)

    def _sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Over all processes."""
        return self.accelerator.reduce(tensor.to(self.accelerator.device), "sum")


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in figures) / len(figures) for name in figures[0]}


if __name__ == "__main__":
    main()
