"""Returns and advantages, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass
class Discounts:
    """How far rewards reach back in time."""

    gamma: float = 1.0
    """Discount from token to token of a turn."""
    gae_lambda: float = 1.0
    """Trace decay from token to token of a turn."""
    turn_gamma: float = 1.0
    """Discount from a turn's last token to the next turn's first."""
    turn_lambda: float = 1.0
    """Trace decay from a turn's last token to the next turn's first. 1 credits all turns alike, as GRPO does. With
    less, a critic that knows nothing yet leaves the first turns of a long episode next to nothing of a reward at its
    end, and whitening, which takes off the mean, makes that a blame."""


def gae(rewards: Sequence[torch.Tensor], values: Sequence[torch.Tensor], discounts: Discounts) -> list[torch.Tensor]:
    """Generalised advantage estimates of all tokens that one trajectory generated.

    A_j = delta_j + g l A_{j+1} with delta_j = r_j + g V_{j+1} - V_j (arXiv 1506.02438, Eq. 16). The turns are contexts
    of their own, but one follows the other: the token after a turn's last one is the first of the next turn. Nothing
    follows the last turn, as episodes end and are never cut off.

    Args:
        rewards: One vector per turn, in order; one reward per token, shapes (T_k,).
        values: V of the state each token was chosen in, of the same shapes.
        discounts: g and l, within turns and between them.

    Returns:
        Advantages, of the same shapes. Added to ``values`` they are the returns that a critic is trained on.
    """
    within = (discounts.gamma, discounts.gae_lambda)
    between = (discounts.turn_gamma, discounts.turn_lambda)
    advantages = [torch.zeros_like(turn) for turn in values]
    advantage = value_after = 0.0
    for turn in reversed(range(len(values))):
        turn_rewards, turn_values = rewards[turn].tolist(), values[turn].tolist()
        last = len(turn_values) - 1
        estimates = [0.0] * len(turn_values)
        for token in reversed(range(len(turn_values))):
            g, decay = between if token == last else within
            delta = turn_rewards[token] + g * value_after - turn_values[token]
            advantage = delta + g * decay * advantage
            estimates[token], value_after = advantage, turn_values[token]
        advantages[turn] = values[turn].new_tensor(estimates)
    return advantages


def discounted_returns(rewards: Sequence[float], chunks: Sequence[int], discount: float) -> list[float]:
    """G_t = r_t + discount^(chunks from step t to t + 1) G_{t+1} of every step.

    Not per step: trajectories of a group are compared, and one that searches more has more steps to its end.

    Args:
        rewards: By step.
        chunks: Index of the chunk of each step.
        discount: Per chunk, in [0, 1].
    """
    returns = list(rewards)
    for step in reversed(range(len(returns) - 1)):
        returns[step] += discount ** (chunks[step + 1] - chunks[step]) * returns[step + 1]
    return returns


def group_relative(values: Sequence[float]) -> list[float]:
    """(x - mean) / (std + 1e-8) of every member of a group, with the population's standard deviation."""
    mean = sum(values) / len(values)
    std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / (std + 1e-8) for value in values]


def moments(values: torch.Tensor) -> torch.Tensor:
    """Count, sum and sum of squares (3,), in float64: added up over processes, they are those of all their values."""
    values = values.double()
    return torch.stack([values.new_tensor(values.numel()), values.sum(), values.square().sum()])


def variance(of: torch.Tensor) -> torch.Tensor:
    """The population's variance from its moments."""
    count, total, squares = of
    return (squares / count - (total / count).square()).clamp(min=0)


def whiten(values: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """(x - mean) / (std + 1e-8), with the moments ``of`` the whole batch; shapes (N,)."""
    mean, std = of[1] / of[0], variance(of).sqrt()
    return ((values.double() - mean) / (std + 1e-8)).to(values.dtype)


def explained_variance(residuals: torch.Tensor, returns: torch.Tensor) -> float:
    """1 - Var(return - value) / Var(return) from the moments of both: 1 is a perfect critic, 0 one that knows nothing.

    NaN where all returns are equal.
    """
    whole = variance(returns)
    return float(1 - variance(residuals) / whole) if whole > 0 else float("nan")
