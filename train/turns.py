"""Turns: the steps of a trajectory that are trained, and the rows that PPO makes of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from memgym.rollout import Decision, Trajectory


@dataclass(eq=False)  # tensors are not compared as a whole
class Turn:
    """One turn: a context of its own. Vectors hold one element per token of the completion, shapes (C,)."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    reward: float
    old_logps: torch.Tensor = field(init=False, repr=False)  # under the policy that generated it
    reference_logps: torch.Tensor = field(init=False, repr=False)  # under the reference; only with a KL term
    values: torch.Tensor = field(init=False, repr=False)  # of the critic at that time
    advantages: torch.Tensor = field(init=False, repr=False)
    returns: torch.Tensor = field(init=False, repr=False)

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)

    def token_rewards(self, kl_cost: float) -> torch.Tensor:
        """The turn's reward at its last token, and at each token what leaving the reference there costs; (C,).

        Args:
            kl_cost: Of a nat; 0 does without the reference.
        """
        rewards = torch.zeros_like(self.values)
        if kl_cost:
            rewards -= kl_cost * (self.old_logps - self.reference_logps)
        rewards[-1] += self.reward
        return rewards


def is_generated(decision: Decision) -> bool:
    """Whether a decision is one generation, with tokens to train.

    MemLoRA's updates are not: with nothing to decide nothing is generated, and of several generations, which have no
    prompt in common, no single one is the decision.
    """
    return bool(decision.prompt_ids and decision.completion_ids)


def same_turns(group: Sequence[Trajectory]) -> list[dict[int, int]]:
    """Which steps of some trajectories of one episode are the same turn: the n-th on the same chunk.

    By their number alone they are not, as some take more steps on a chunk than others: a manager that searches, or
    MemLoRA where there are facts.

    Returns:
        The turns in order; each holds the step of every trajectory that has it, by the trajectory's place in the group.
    """
    turns: dict[tuple[int, int], dict[int, int]] = {}
    for member, trajectory in enumerate(group):
        on_chunk: Counter[int] = Counter()
        for number, step in enumerate(trajectory.steps):
            turns.setdefault((step.chunk, on_chunk[step.chunk]), {})[member] = number
            on_chunk[step.chunk] += 1
    return [turns[place] for place in sorted(turns)]


def given_to_turns(trajectory: Trajectory, rewards: Sequence[float]) -> list[float]:
    """Rewards of the steps, those of steps without tokens to train given to the last turn before.

    To the turns these steps are a part of the environment: with MemLoRA an extraction answers for the update that
    follows on its chunk. Before the first turn there is nobody who could have earned it: no turn gets it.
    """
    given = [0.0] * len(rewards)
    turn: int | None = None
    for number, (step, reward) in enumerate(zip(trajectory.steps, rewards, strict=True)):
        turn = number if is_generated(step.decision) else turn
        given[number if turn is None else turn] += reward
    return given


def own_rewards(trajectory: Trajectory) -> list[float]:
    """The weighted step terms of each turn in full size, with those of the untrained steps it answers for."""
    return given_to_turns(trajectory, [step.own_reward for step in trajectory.steps])


def turns_of(trajectory: Trajectory, rewards: Sequence[float]) -> list[Turn]:
    """The turns of a trajectory that have tokens to train, in order, with what ``given_to_turns`` gives them.

    Raises:
        ValueError: No decision was generated token by token.
    """
    steps = zip(trajectory.steps, given_to_turns(trajectory, rewards), strict=True)
    decisions = [(step.decision, reward) for step, reward in steps if is_generated(step.decision)]
    if not decisions:
        raise no_tokens(trajectory.policy)
    return [Turn(decision.prompt_ids, decision.completion_ids, reward) for decision, reward in decisions]


def no_tokens(policy: str) -> ValueError:
    """The error of a policy that cannot be trained."""
    return ValueError(f"policy {policy!r} gave no decision with tokens: only a language model is trained")


def collate(turns: Sequence[Turn], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of prompt, completion, padding: ids (B, T) and the mask (B, T) of the completions."""
    width = max(turn.length for turn in turns)
    ids = [[*turn.prompt_ids, *turn.completion_ids, *[pad] * (width - turn.length)] for turn in turns]
    mask = [[0] * len(turn.prompt_ids) + [1] * len(turn.completion_ids) + [0] * (width - turn.length) for turn in turns]
    return torch.tensor(ids, device=device), torch.tensor(mask, dtype=torch.bool, device=device)


def per_token(turns: Sequence[Turn], name: str) -> torch.Tensor:
    """A vector of all turns as one (N,), in the order in which ``ActorCritic`` scores them."""
    return torch.cat([getattr(turn, name) for turn in turns])


def hand_out(turns: Sequence[Turn], name: str, values: torch.Tensor) -> None:
    """The inverse of ``per_token``: give each turn its part of (N,)."""
    for turn, part in zip(turns, values.split([len(turn.completion_ids) for turn in turns]), strict=True):
        setattr(turn, name, part)


def minibatches(turns: Sequence[Turn], count: int, seed: str) -> Iterator[list[Turn]]:
    """Shuffle the turns and deal them out into ``count`` parts of about equal size."""
    shuffled = list(turns)
    random.Random(seed).shuffle(shuffled)
    for number in range(count):
        yield shuffled[number::count]


def micro_batches(turns: Sequence[Turn], size: int) -> list[list[Turn]]:
    """Rows to run together, of similar length, so that little of it is padding."""
    ordered = sorted(turns, key=lambda turn: turn.length)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
