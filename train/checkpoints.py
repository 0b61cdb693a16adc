"""Checkpoints of a training loop of our own: everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerState

from agents.backbone import Backbone
from train.setup import save_policy

TRAINED = "trained.safetensors"  # every trained weight by name
OPTIMIZER = "optimizer.pt"
STATE = "trainer_state.json"

Scheduler = torch.optim.lr_scheduler.LRScheduler


def save_checkpoint(
    folder: Path,
    backbone: Backbone,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler,
    state: TrainerState,
) -> None:
    """Write a checkpoint; ``folder`` comes into being when it is complete.

    Random states are no part of it: every step seeds its own.

    Args:
        folder: ``checkpoint-N``; replaced if it exists.
        backbone: Its adapter is saved beside the rest, for evaluations.
        model: Everything that is trained, the critic included.
        optimizer: Saved with its moments.
        scheduler: Saved with its position.
        state: Step and log.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_policy(backbone, partial)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in _trained(model).items()}, partial / TRAINED)
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, partial / OPTIMIZER)
    state.save_to_json(str(partial / STATE))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_checkpoint(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, scheduler: Scheduler
) -> TrainerState:
    """Put weights, optimiser and scheduler back; the state they were saved with.

    Raises:
        SystemExit: The checkpoint is of another model.
    """
    if not (folder / TRAINED).is_file():
        raise SystemExit(f"error: {folder} is no checkpoint of this trainer: expected {TRAINED} in it")
    saved, trained = load_file(folder / TRAINED), _trained(model)
    if {n: p.shape for n, p in saved.items()} != {n: p.shape for n, p in trained.items()}:
        raise SystemExit(
            f"error: {folder} holds other weights than this run trains: resume with the settings it began with"
        )
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved[name])
    states = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True)
    optimizer.load_state_dict(states["optimizer"])
    scheduler.load_state_dict(states["scheduler"])
    return TrainerState.load_from_json(str(folder / STATE))


def _trained(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
