"""PPO's losses, token by token."""

from __future__ import annotations

import torch


def clipped_policy_loss(log_ratio: torch.Tensor, advantages: torch.Tensor, clip: float) -> torch.Tensor:
    """-min(r A, clamp(r, 1 - clip, 1 + clip) A) with r = exp(log_ratio) (arXiv 1707.06347, Eq. 7); shapes (N,)."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def clipped_value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, clip: float
) -> torch.Tensor:
    """Half the squared error of the value, or of the value within ``clip`` of the old one if worse; shapes (N,)."""
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns).square(), (clipped - returns).square())


def kl_estimate(log_ratio: torch.Tensor) -> torch.Tensor:
    """KL(p || q) from samples of p with log_ratio = log q - log p: unbiased and never negative; shapes (N,).

    Source: J. Schulman, Approximating KL divergence (2020), estimator k3.
    """
    return log_ratio.exp() - 1 - log_ratio
