"""A site's past, hour by hour: what its workloads used, which hosts were on, and where everything was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from datacenter.metrics.aggregates import BUCKET_S
from datacenter.metrics.store import MetricsStore, quoted
from datacenter.planner.replaying import Happened
from hosts.models import Operation

HOUR_S = 3600
MOVES = ("migrate_vm", "relocate_container")
HOURS_A_QUERY = 24


@dataclass(frozen=True)
class Record:
    """`cores` by workload uuid and `hosts_on` hold one entry for each hour from `start` on."""

    start: float
    cores: Mapping[str, list[float]]
    hosts_on: list[frozenset[str]]

    @property
    def hours(self) -> int:
        return len(self.hosts_on)


def record_read(store: MetricsStore, site: str, end: float, hours: int) -> Record:
    """The last hours before `end` (a full hour), from the first in which anything was recorded.

    Of each hour the highest five-minute average counts, as a backtest asks for. An hour in which a workload was not
    sampled has 0: it was not there, or did not run. Raises Unreachable, TimedOut or Rejected.
    """
    start = end - hours * HOUR_S
    cores: dict[str, list[float]] = {}
    on: list[set[str]] = [set() for _ in range(hours)]
    for begin in range(0, hours, HOURS_A_QUERY):
        first, last = start + (begin + 1) * HOUR_S, start + min(hours, begin + HOURS_A_QUERY) * HOUR_S
        for labels, values in store.rows_range(
            _highest("stowage_workload_cpu_used_cores", "workload_uuid", site), first, last, HOUR_S
        ):
            into = cores.setdefault(labels.get("workload_uuid", ""), [0.0] * hours)
            for at, text in values:
                into[round((at - start) / HOUR_S) - 1] = float(text)
        for labels, values in store.rows_range(
            _highest("stowage_host_cpu_used_cores", "host_uuid", site), first, last, HOUR_S
        ):
            for at, _ in values:
                on[round((at - start) / HOUR_S) - 1].add(labels.get("host_uuid", ""))
    known = next((number for number, hosts in enumerate(on) if hosts), hours)
    return Record(
        start + known * HOUR_S,
        {uuid: values[known:] for uuid, values in cores.items()},
        [frozenset(hosts) for hosts in on[known:]],
    )


def _highest(metric: str, label: str, site: str) -> str:
    bucket = f'last_over_time({metric}{{site="{quoted(site)}",aggregate="avg"}}[{BUCKET_S}s])'
    return f"max by ({label}) (max_over_time({bucket}[1h:{BUCKET_S}s]))"


def happened(record: Record, skip: int, placement: Mapping[str, str]) -> tuple[Happened, ...]:
    """What was where in each hour after the first `skip`, from today's placement back over the moves since.

    A workload that is gone today is not in it, nor in what would have been.
    """
    moves = _moves(record.start, placement)
    present, hours = dict(placement), []
    for number in range(record.hours - 1, skip - 1, -1):
        ends = record.start + (number + 1) * HOUR_S
        while moves and moves[0][0] >= ends:
            _, uuid, source = moves.pop(0)
            present[uuid] = source
        hours.append(Happened(dict(present), tuple(sorted(record.hosts_on[number]))))
    return tuple(reversed(hours))


def _moves(since: float, placement: Iterable[str]) -> list[tuple[float, str, str]]:
    """When each move ended, of what, and from where; the newest first."""
    rows = Operation.objects.filter(
        kind__in=MOVES,
        state=Operation.State.DONE,
        finished_at__gte=datetime.fromtimestamp(since, UTC),
        subject_id__in=list(placement),
        host__isnull=False,
    ).order_by("-finished_at")
    found = rows.values_list("finished_at", "subject_id", "host_id")
    return [(at.timestamp(), subject, str(host)) for at, subject, host in found if at is not None]
