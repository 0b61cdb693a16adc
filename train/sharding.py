"""Training with weights that are divided among processes: FSDP and DeepSpeed ZeRO-3."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from transformers import Trainer


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether no process holds all weights; ZeRO-1 and ZeRO-2 divide gradients and optimiser states alone."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        return accelerator.state.deepspeed_plugin.zero_stage == 3
    return accelerator.distributed_type == DistributedType.FSDP


def need_whole_model(accelerator: Accelerator, what: str) -> None:
    """Refuse to begin what cannot be done with divided weights.

    Rollouts cannot: processes generate for episodes of different lengths, and weights are gathered only when all
    processes compute the same layer.

    Raises:
        SystemExit: The weights are divided.
    """
    if is_sharded(accelerator):
        raise SystemExit(
            f"error: {what} needs a whole model on each process: use a --config_file without FSDP and ZeRO-3, such as "
            "train/accelerate/gpu.yaml or zero2.yaml"
        )


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """All weights by name where they are divided, else None. Every process has to call it."""
    if not is_sharded(trainer.accelerator):
        return None
    weights: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return weights
