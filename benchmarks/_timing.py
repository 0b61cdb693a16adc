"""Fair timing on a machine that does other things as well: subjects take turns, medians are compared."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds the call took, and what it returned."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def alternate(subjects: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[tuple[float, T]]]:
    """Call the subjects by turns, every other round in reverse order, so that a slow spell slows all alike.

    Returns:
        Per subject, ``repeats`` pairs of seconds and returned value.
    """
    names = list(subjects)
    measured: dict[str, list[tuple[float, T]]] = {name: [] for name in names}
    for number in range(repeats):
        for name in names if number % 2 == 0 else reversed(names):
            measured[name].append(timed(subjects[name]))
    return measured


def peak_memory() -> float:
    """Most memory this process has held so far, in MB (10^6 bytes) of resident set."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
