"""Every metric that a rule may watch, made from the table of metrics, and the PromQL that asks for it in bulk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from datacenter.metrics.table import METRICS, Metric, Of
from hosts.units import GIB, MIB

# The mean of a moment: a single sample decides nothing, one lost sample is no gap.
WINDOW, RATE_WINDOW = "30s", "1m"
MINUTELY_WINDOW = "150s"  # of what is written once a minute
OPEN_MOST = 100  # open alerts asked for by name: a store takes 16 KiB of query; with more, all values are fetched
# shown unit of the table -> the unit in which people give a threshold, and what makes the store's value of one
_UNITS = {
    "bytes": ("GiB", 1 / GIB),
    "bytes/s": ("MiB/s", 1 / MIB),
    "ratio": ("%", 100.0),
    "celsius": ("°C", 1.0),
    "watts": ("W", 1.0),
    "seconds": ("s", 1.0),
}


@dataclass(frozen=True)
class Measure:
    """A metric as a rule watches it; of a thing with several parts it is the one that is worst."""

    metric: Metric

    @property
    def key(self) -> str:
        return self.metric.name

    @property
    def thing(self) -> Of:
        return self.metric.of

    @property
    def label(self) -> str:
        worst = f" (of the worst {self.metric.part})" if self.metric.part else ""
        return f"{self.metric.words}{worst}"

    @property
    def unit(self) -> str:
        return _UNITS.get(self.metric.shown_unit, (self.metric.shown_unit, 1.0))[0]

    @property
    def scale(self) -> float:
        """Turns the store's value into one of `unit`."""
        return _UNITS.get(self.metric.shown_unit, ("", 1.0))[1]

    @property
    def id_label(self) -> str:
        """The label that says whose series it is; empty for the collector, of which there is one."""
        return {"collector": "", "site": "site"}.get(self.thing, f"{self.thing}_uuid")

    def query(self, comparison: str, well_from: float, scope: Iterable[tuple[str, str]], open_ids: list[str]) -> str:
        """PromQL for what is wrong or near it, and for what has an open alert, whatever its value: one query a rule.

        `well_from` is in the rule's unit, `scope` are pairs of label and value, `open_ids` those of the things.
        """
        labels = ['aggregate=""', *(f'{name}="{_quoted(value)}"' for name, value in scope)]
        everything = self._expression(labels, comparison)
        if len(open_ids) > OPEN_MOST or self.thing in ("collector", "site"):  # of these there are few
            return everything
        found = f"{everything} {'>' if comparison == 'above' else '<'} {well_from / self.scale!r}"
        if not open_ids:
            return found
        named = f'{self.id_label}=~"{"|".join(open_ids)}"'
        return f"({found}) or {self._expression([*labels, named], comparison)}"

    def _expression(self, labels: list[str], comparison: str) -> str:
        gauge_window = MINUTELY_WINDOW if self.metric.topic == "inventory" else WINDOW
        function, window = ("rate", RATE_WINDOW) if self.metric.kind == "counter" else ("avg_over_time", gauge_window)
        worst = "max" if comparison == "above" else "min"
        by = f" by ({self.id_label})" if self.id_label else ""
        return f"{worst}{by} ({function}({self.metric.name}{{{','.join(labels)}}}[{window}]))"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@cache
def measures() -> dict[str, Measure]:
    """Every measure by its metric's name, in the order of the table; without what only carries names."""
    return {metric.name: Measure(metric) for metric in METRICS if metric.unit}
