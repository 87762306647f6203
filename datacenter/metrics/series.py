"""From a sample message of a host plane to the lines that are stored and the values that pages show.

This is the busiest code of the collector, run for every figure of every workload: what a key means is looked up once
for a whole table of rows, and a stored line is one string. Which metrics there are: `table.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from datacenter.metrics.store import quoted
from datacenter.metrics.table import HOST_BY_KEY, WORKLOAD_BY_KEY, Metric
from hosts.inventory import plain_text

WORKLOADS_PER_HOST_MOST = 5000
PARTS_MOST = 128
SENTENCES_MOST = 10
LARGEST = 1e18  # beyond it nothing is believed
COLDEST = -273.15
_NUMBERS = (int, float)  # by class, not isinstance: True is an int and no figure


@dataclass
class Readings:
    """What one message said: lines for the store, and the newest values by object key ("host:<uuid>")."""

    lines: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Whose message it is."""

    host_uuid: str
    host: str
    site: str

    @property
    def labels(self) -> str:
        """The host's labels, without the braces."""
        return f'host_uuid="{self.host_uuid}",host="{quoted(self.host)}",site="{quoted(self.site)}"'


def number(value: Any, least: float = 0.0) -> float | None:
    """A finite number of at least `least`, or None: what a host sends is not to be trusted."""
    if value.__class__ not in _NUMBERS or not least <= value <= LARGEST:
        return None
    return float(value)


def sample_read(message: Mapping[str, Any], at: float, place: Place, owners: Mapping[str, str]) -> Readings:
    """All that makes sense in the message. Workloads that are not the host's by `owners` (uuid -> host) are left out.

    A workload's series carries no host: it goes on under the same labels after a migration.
    """
    readings, at_ms = Readings(), int(at * 1000)
    host = host_values(readings.lines, message.get("host_sample"), at_ms, place)
    _parts(readings.lines, message.get("host_parts"), at_ms, place)
    readings.values[f"host:{place.host_uuid}"] = {"at": at, **host, "stale": _sentences(message.get("stale"))}
    tables = message.get("workloads")
    for table in tables[:2] if isinstance(tables, list) else ():
        if isinstance(table, dict) and table.get("kind") in ("vm", "container"):
            _table(readings, table, at, place, owners)
    return readings


def host_values(lines: list[str], row: Any, at_ms: int, place: Place) -> dict[str, float]:
    """The host's own figures, which also become lines."""
    values: dict[str, float] = {}
    for key, raw in row.items() if isinstance(row, dict) else ():
        metric = HOST_BY_KEY.get(key)
        if metric is None or metric.part or (value := number(raw)) is None:
            continue
        values[key] = value
        lines.append(f"{metric.name}{{{place.labels}}} {value * metric.scale!r} {at_ms}\n")
    return values


def part_lines(lines: list[str], metric: Metric, values: Any, at_ms: int, place: Place) -> None:
    """One line for each device or sensor of the metric."""
    least = COLDEST if metric.unit == "celsius" else 0.0
    for name, raw in list(values.items())[:PARTS_MOST] if isinstance(values, dict) else ():
        if (value := number(raw, least)) is not None:
            label = f'{metric.part}="{quoted(plain_text(name, 64))}"'
            lines.append(f"{metric.name}{{{place.labels},{label}}} {value * metric.scale!r} {at_ms}\n")


def _parts(lines: list[str], parts: Any, at_ms: int, place: Place) -> None:
    for key, values in parts.items() if isinstance(parts, dict) else ():
        metric = HOST_BY_KEY.get(key)
        if metric is not None and metric.part:
            part_lines(lines, metric, values, at_ms, place)


def _table(readings: Readings, table: Mapping[str, Any], at: float, place: Place, owners: Mapping[str, str]) -> None:
    """The rows of one kind of workloads: uuid, then a value for each of the table's keys."""
    columns = _columns(table["keys"])
    ending = f'",kind="{table["kind"]}",site="{quoted(place.site)}"}} '
    at_text = f" {int(at * 1000)}\n"
    add, values_of, host_uuid = readings.lines.append, readings.values, place.host_uuid
    for row in table["rows"][:WORKLOADS_PER_HOST_MOST]:
        uuid = row[0]
        if owners.get(uuid) != host_uuid:
            continue
        labels = f'{{workload_uuid="{uuid}{ending}'
        values: dict[str, float] = {"at": at}
        for n, key, name, scale in columns:
            value = row[n]
            if value.__class__ in _NUMBERS and 0 <= value <= LARGEST:
                values[key] = value
                add(f"{name}{labels}{value if scale == 1.0 else value * scale}{at_text}")
        values_of["workload:" + uuid] = values


def _columns(keys: Iterable[Any]) -> list[tuple[int, str, str, float]]:
    """Index in a row, key, name in the store and scale of each column that means something."""
    known = ((n, WORKLOAD_BY_KEY.get(key)) for n, key in enumerate(keys, start=1) if isinstance(key, str))
    return [(n, metric.key, metric.name, metric.scale) for n, metric in known if metric is not None]


def _sentences(stale: Any) -> list[str]:
    """What the host says is not fresh, for people to read."""
    return [plain_text(one) for one in stale[:SENTENCES_MOST]] if isinstance(stale, list) else []
