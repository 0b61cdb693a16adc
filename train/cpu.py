"""Training on a CPU: what makes the stock trainers several times faster there."""

from __future__ import annotations

import atexit
import os
import time
from datetime import timedelta

import torch
from accelerate import PartialState
from trl.trainer import utils as trl_utils

from memgym.records import usable_processors

PATIENCE = timedelta(hours=2)  # that processes wait for each other; one may grade held-out episodes meanwhile


def prepare_device() -> None:
    """Apply the measures of this file, if training runs on a CPU; let several processes end without an abort."""
    # The first state made in a process decides: without cpu=True, two CPU processes would not know of each other.
    state = PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)
    if state.num_processes > 1:
        atexit.register(part, state)
    if state.device.type == "cpu":
        use_all_cores()
        score_trained_positions_only()


def part(state: PartialState) -> None:
    """Leave the process group, and give its threads time to drop the tensors of the last collective.

    A thread of Gloo's that drops one takes the interpreter's lock; once the interpreter has begun to end, that aborts
    the process (exit code -6, "terminate called without an active exception"): the launch has failed, all work done.
    """
    state.destroy_process_group()
    time.sleep(0.2)  # seconds; a sleeping process holds no lock


def score_trained_positions_only() -> None:
    """Let TRL project only the positions with a label through the LM head, as it does on GPUs.

    On devices without Triton, TRL scores every position and masks the prompt's afterwards, so that compilers which
    specialise on shapes need not recompile. A CPU has no such compiler; with prompts four times as long as the
    replies and 49k rows of vocabulary, most of a step would go into positions that no loss sees. The loss is the same.

    Raises:
        ValueError: TRL has changed in a way this does not fit.
    """
    if not hasattr(trl_utils, "_use_triton"):
        raise ValueError("trl.trainer.utils has no _use_triton: install the trl version that pyproject.toml asks for")
    trl_utils._use_triton = lambda device: True


def use_all_cores() -> None:
    """Give this process its share of the machine's logical processors.

    PyTorch starts one thread per physical core, and on virtual machines two logical processors often count as one.
    """
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, usable_processors() // local))
