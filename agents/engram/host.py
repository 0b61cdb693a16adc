"""A table in host memory: rows travel to the accelerator while it computes the layers before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import nn


class HostTable(nn.Embedding):
    """An embedding that stays on the CPU when its model moves, in pinned memory if there is a CUDA device."""

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> HostTable:
        return self  # what nn.Module calls for .to(device), .half() and the like

    def fetch(self, rows: torch.Tensor) -> Fetch:
        """Start to read ``rows`` (...), on any device. The values come from the fetch's ``wait``."""
        ready = torch.cuda.current_stream(rows.device).record_event() if rows.is_cuda else None
        return Fetch(self.weight, rows, _reader().submit(_read, self.weight.detach(), rows, ready))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Values (..., D) of ``rows`` (...), on their device."""
        return self.fetch(rows).wait()


class Fetch:
    """Rows on their way."""

    def __init__(self, weight: torch.Tensor, rows: torch.Tensor, pending: Future[Any]) -> None:
        self._weight, self._rows, self._pending = weight, rows, pending

    def wait(self) -> torch.Tensor:
        """The values (..., D), on the device of the rows; differentiable in the table."""
        values, arrived = self._pending.result()
        if arrived is not None:
            stream = torch.cuda.current_stream(values.device)
            stream.wait_event(arrived)
            values.record_stream(stream)  # it was allocated on another stream
        return _Read.apply(self._weight, self._rows, values)


class _Read(torch.autograd.Function):
    """Gives values that were read already their gradient."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.weight_shape = weight.shape
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        received = gradients[0].cpu().flatten(0, -2)
        return received.new_zeros(ctx.weight_shape).index_add_(0, rows.cpu().flatten(), received), None, None


@cache
def _reader() -> ThreadPoolExecutor:
    """One thread: fetches are served in order, the layer that is needed first first."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="engram")


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _read(
    weight: torch.Tensor, rows: torch.Tensor, ready: torch.cuda.Event | None
) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """The values of rows, and the event of their arrival; ``ready`` is when the rows are known."""
    if ready is None:
        return nn.functional.embedding(rows, weight), None
    stream = _stream(rows.device)
    with torch.cuda.stream(stream):
        stream.wait_event(ready)
        values = torch.empty(*rows.shape, weight.shape[1], dtype=weight.dtype, pin_memory=True)
        torch.index_select(weight, 0, rows.cpu().flatten(), out=values.view(-1, weight.shape[1]))
        return values.to(rows.device, non_blocking=True), stream.record_event()
