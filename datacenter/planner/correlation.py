"""Which workloads peak together, from what was recorded of them.

The planner needs no such list: it adds up the recorded steps themselves. People do, to see why two small loads
never share a host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .model import DataCenter
from .validation import check_series


@dataclass(frozen=True, slots=True)
class Together:
    """Two workloads by id, and how far their demand rises and falls as one: 1 always, -1 one against the other."""

    first: str
    second: str
    correlation: float
    sentence: str


def peaking_together(data_center: DataCenter, resource: str = "cpu_cores", least: float = 0.7) -> tuple[Together, ...]:
    """Pairs with at least that correlation (Pearson) over all recorded steps, the closest first.

    Workloads without a series of that resource, or with the same demand in every step, are in no pair. Takes memory
    for the square of the number of workloads with a series.
    """
    check_series(data_center)
    known = [item for item in data_center.workloads if item.series and getattr(item.series, resource)]
    known = [item for item in known if len(set(getattr(item.series, resource))) > 1]
    if len(known) < 2:
        return ()
    table = _correlations(np.array([getattr(item.series, resource) for item in known], dtype=float))
    pairs = np.argwhere(np.triu(table >= least, 1))
    order = sorted(pairs.tolist(), key=lambda pair: (-table[pair[0], pair[1]], pair))
    steps = len(getattr(known[0].series, resource))
    return tuple(
        Together(
            known[one].id,
            known[other].id,
            round(float(table[one, other]), 4),
            f"{known[one].label} and {known[other].label} rise and fall together: correlation "
            f"{table[one, other]:.2f} over {steps:,} recorded steps.",
        )
        for one, other in order
    )


def _correlations(series: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = series - series.mean(axis=1, keepdims=True)
    scaled = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(scaled @ scaled.T)
