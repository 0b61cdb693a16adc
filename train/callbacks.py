"""What a trainer reports while it runs: a bar with the reward, metrics as JSONL, held-out evaluations, warnings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import ProgressCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from agents.backbone import Backbone
from agents.trained_as import write_record

logger = logging.get_logger(__name__)

METRICS = "metrics.jsonl"


class RewardBar(ProgressCallback):
    """The trainer's own bar, with the latest reward and score behind it."""

    SHOWN = ("loss", "reward", "score", "eval_score")

    def __init__(self) -> None:
        """Create the bar."""
        super().__init__()
        self._latest: dict[str, str] = {}

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Show the figures instead of printing the whole log."""
        self._latest |= {key: f"{logs[key]:.3f}" for key in self.SHOWN if isinstance(logs.get(key), int | float)}
        if state.is_world_process_zero and self.training_bar is not None:
            self.training_bar.set_postfix(self._latest)


class MetricsFile(TrainerCallback):
    """Writes every log to ``metrics.jsonl``; a resumed run first drops what the interrupted one wrote later."""

    def __init__(self, folder: str | Path) -> None:
        """Write into ``folder``."""
        self.path = Path(folder) / METRICS

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the rows up to the step that training starts from."""
        if state.is_world_process_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            resumed = state.global_step > 0 and self.path.exists()
            rows = read_metrics(self.path) if resumed else []
            kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= state.global_step]
            self.path.write_text("".join(kept), encoding="utf-8")

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Append one row."""
        if state.is_world_process_zero and logs:
            row = {"step": state.global_step, **{key: _finite(value) for key, value in logs.items()}}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def _finite(value: Any) -> Any:
    """NaN and infinity have no place in JSON; None says that there was nothing to measure."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a ``metrics.jsonl``; a last line cut off by an interruption is left out."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            rows.append(json.loads(line))
    return rows


class HeldOutEvaluation(TrainerCallback):
    """Grades the policy on held-out episodes before training and every N steps: the QA reward curve."""

    def __init__(self, evaluate: Callable[[], dict[str, float]], every: int) -> None:
        """Create the callback.

        Args:
            evaluate: Runs the evaluation on all processes and gives metrics by name.
            every: Steps between evaluations.

        Raises:
            ValueError: ``every`` is less than 1.
        """
        if every < 1:
            raise ValueError(f"eval_every={every}: expected at least 1")
        self.evaluate = evaluate
        self.every = every
        self.trainer: Trainer | None = None  # set once it exists; it logs the figures everywhere it logs

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The curve starts with the untrained policy."""
        if state.global_step == 0:
            self._run(control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Evaluate at every N-th step and at the last one."""
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._run(control)

    def _run(self, control: TrainerControl) -> None:
        """Log a row of its own: neither taking the step's figures along nor standing in for the step's log."""
        if self.trainer is None:
            raise ValueError("HeldOutEvaluation has no trainer: set its attribute `trainer` before training starts")
        due = control.should_log
        Trainer.log(self.trainer, {f"eval_{name}": value for name, value in self.evaluate().items()})
        control.should_log = due


class AdapterRecord(TrainerCallback):
    """Says in the trainer's checkpoints what their adapter was trained as (agents/trained_as.py)."""

    def __init__(self, backbone: Backbone) -> None:
        """Go by what ``backbone`` knows of the adapter "default"."""
        self.backbone = backbone

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the record beside the adapter."""
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            write_record(folder, self.backbone.trained_as["default"])


class Watchdog(TrainerCallback):
    """Says once, in one line, when a run is not learning for a reason that the figures show."""

    CHECKS = (
        ("truncated", 0.5, "replies reach max_new_tokens: raise it, or shorten the warm start's replies"),
        ("parse_failures", 0.5, "operations cannot be parsed: warm-start the policy on the codec's format"),
        (
            "frac_reward_zero_std",
            0.9,
            "groups have no reward variance and give no gradient: raise the temperature, the group size or the number "
            "of questions",
        ),
    )
    PATIENCE = 3  # logs in a row

    def __init__(self) -> None:
        """Create the callback."""
        self._bad = {name: 0 for name, _, _ in self.CHECKS}

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Count the logs in which a share is too high."""
        for name, limit, advice in self.CHECKS:
            if name not in logs:
                continue
            self._bad[name] = self._bad[name] + 1 if logs[name] > limit else 0
            if self._bad[name] == self.PATIENCE and state.is_world_process_zero:
                logger.warning(f"step {state.global_step}: {name} is {logs[name]:.2f}: {advice}")
