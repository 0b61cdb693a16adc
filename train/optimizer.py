"""Optimiser groups: Engram's tables learn five times as fast as the rest and never decay.

Weight decay would move every row of a table at every step, where the gradient moves only those that were read.
Source: arXiv 2601.07372, section 3.1 (tables: Adam, learning rate x 5, no weight decay).
"""

from __future__ import annotations

from typing import Any

import torch

TABLE_RATE = 5.0


def parameter_groups(model: torch.nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters, for a torch optimiser.

    Args:
        model: With or without Engram.
        learning_rate: Of everything but the tables.
        weight_decay: Of everything but the tables.

    Returns:
        One group, or two with the tables in the second.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    tables = [parameter for name, parameter in named if is_table(name)]
    rest = [parameter for name, parameter in named if not is_table(name)]
    groups = [{"params": rest, "lr": learning_rate, "weight_decay": weight_decay}]
    if tables:
        groups.append({"params": tables, "lr": TABLE_RATE * learning_rate, "weight_decay": 0.0})
    return groups


def is_table(name: str) -> bool:
    """Whether a parameter of that name is a table of Engram, the shared one or an adapter's own."""
    return ".engram." in f".{name}" and name.endswith(".table.weight")


class TableGroups:
    """Mixed into a trainer of transformers or TRL, before it: gives the tables a group of their own."""

    model: Any
    args: Any

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The trainer's own optimiser with its groups divided."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)  # type: ignore[misc]
        named = (self.model if model is None else model).named_parameters()
        tables = {id(parameter): parameter for name, parameter in named if is_table(name)}
        moved = [p for group in optimizer.param_groups for p in group["params"] if id(p) in tables]
        if moved:
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if id(p) not in tables]
            rate = TABLE_RATE * self.args.learning_rate
            optimizer.add_param_group({"params": moved, "lr": rate, "weight_decay": 0.0})
        return optimizer
