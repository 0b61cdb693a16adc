"""What a trainer does for Engram: checkpoints hold it, gate statistics are logged and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from agents import engram
from agents.backbone import Backbone
from agents.engram.statistics import GateStatistics, plot_gates
from train.callbacks import METRICS, read_metrics

GATES = "gates.png"


class EngramCallback(TrainerCallback):
    """Keeps the shared Engram with the trainer's checkpoints, and logs what its gates do. Put it before MetricsFile."""

    def __init__(self, backbone: Backbone) -> None:
        """Watch the Engram of ``backbone``; without one the callback does nothing."""
        self.backbone = backbone
        self.gates = GateStatistics(backbone.model) if engram.is_attached(backbone.model) else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start to watch."""
        if self.gates:
            self.gates.__enter__()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Add the statistics since the last log, rollouts included, and start anew."""
        if self.gates and logs is not None:
            self.gates.__exit__()
            logs |= self.gates.summary()
            self.gates.__enter__()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put Engram beside the adapter, which is all that the trainer itself saves."""
        if self.gates and state.is_world_process_zero:
            engram.save_engram(self.backbone.model, Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop watching."""
        if self.gates:
            self.gates.__exit__()


def restore_engram(backbone: Backbone, checkpoint: str) -> None:
    """Give a training that goes on from a checkpoint the Engram it had then.

    Raises:
        SystemExit: The checkpoint has none.
    """
    if engram.is_attached(backbone.model):
        try:
            engram.reload_engram(backbone.model, checkpoint)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from error


def plot_run(folder: str | Path) -> None:
    """Draw the gate statistics of a run into its folder, if it logged any."""
    rows = read_metrics(Path(folder) / METRICS)
    if any(key.startswith("engram/") for row in rows for key in row):
        plot_gates(rows, Path(folder) / GATES)
