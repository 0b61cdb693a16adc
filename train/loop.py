"""A training loop of our own for the callbacks and trackers of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import PartialState
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback


def loop_arguments(settings: Any) -> TrainingArguments:
    """What callbacks and trackers are told; also sets this process up, as it does for the stock trainers.

    Args:
        settings: Of a trainer; with output_dir, seed, max_steps, learning_rate and report_to.
    """
    on_cpu = PartialState().device.type == "cpu"
    return TrainingArguments(
        output_dir=settings.output_dir,
        seed=settings.seed,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        use_cpu=on_cpu,
        bf16=not on_cpu,
        report_to=settings.report_to,
        disable_tqdm=True,
        log_level="warning",
    )


class Loop:
    """Counts steps and calls callbacks: the part of ``transformers.Trainer`` that these look at."""

    def __init__(self, args: TrainingArguments, callbacks: Sequence[TrainerCallback], model: torch.nn.Module) -> None:
        """Create the loop.

        Args:
            args: ``max_steps`` and ``report_to`` count; the rest is for trackers to record.
            callbacks: Called in this order, after the trackers.
            model: Shown to trackers.
        """
        self.args = args
        first, local_first = args.process_index == 0, args.local_process_index == 0
        self.state = TrainerState(
            max_steps=args.max_steps, is_world_process_zero=first, is_local_process_zero=local_first
        )
        self.state.epoch = None  # type: ignore[assignment]  # there are steps only
        self.control = TrainerControl()
        trackers = [tracker() for tracker in get_reporting_integration_callbacks(args.report_to)]
        self.callback_handler = CallbackHandler([DefaultFlowCallback(), *trackers, *callbacks], model, None, None, None)

    def steps(self) -> Iterator[int]:
        """The steps to do, from the one that ``state`` is at; ``finish_step`` ends each."""
        self._call("on_train_begin")
        while self.state.global_step < self.args.max_steps:
            self._call("on_step_begin")
            yield self.state.global_step
        self._call("on_train_end")

    def finish_step(self, figures: dict[str, float]) -> int:
        """Count the step and log its figures; the number of steps done."""
        self.state.global_step += 1
        self.log(figures)
        self._call("on_step_end")
        return self.state.global_step

    def log(self, figures: dict[str, float]) -> None:
        """Log to metrics.jsonl, the bar and the trackers."""
        Trainer.log(self, figures)  # type: ignore[arg-type]

    def _call(self, event: str) -> None:
        self.control = getattr(self.callback_handler, event)(self.args, self.state, self.control)
