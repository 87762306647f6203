"""What each fault came to, as lines of a table at the end of the run."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

SEED = int(os.environ.get("STOWAGE_FAULT_SEED") or random.SystemRandom().randrange(1, 10**6))


@dataclass(frozen=True)
class Row:
    """`fault`: its number in the list or its failpoint. `seconds`: from the fault until nothing differed any more."""

    fault: str
    step: str
    outcome: str
    seconds: float


rows: list[Row] = []


def lines() -> list[str]:
    """The table as text, and none when no fault was tried."""
    if not rows:
        return []
    widths = [max(len(getattr(row, part)) for row in rows) for part in ("fault", "step", "outcome")]
    head = f"{'fault':{widths[0]}}  {'step':{widths[1]}}  {'outcome':{widths[2]}}  s to truth"
    fault, step, outcome = widths
    body = [f"{row.fault:{fault}}  {row.step:{step}}  {row.outcome:{outcome}}  {row.seconds:10.1f}" for row in rows]
    return [f"seed {SEED}: STOWAGE_FAULT_SEED={SEED} repeats it", head, *body]
