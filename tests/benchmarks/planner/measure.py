"""Time and memory of one call, as the benchmark's lines print them."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Measured(Generic[Answer]):
    answer: Answer
    cpu_s: float
    wall_s: float
    peak_mib: float  # of the whole process so far

    @property
    def cost(self) -> str:
        return f"{self.cpu_s:7.2f} CPU s {self.wall_s:7.2f} s {self.peak_mib:6.0f} MiB"


def measured(call: Callable[[], Answer]) -> Measured[Answer]:
    """The call's answer with what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = call()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return Measured(answer, cpu_s, wall_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
