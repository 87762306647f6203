"""What the database knows, as metrics: how many of what in which state, names, and watts by the hosts' models.

Written to the store once a minute by a task, so that charts and dashboards have names and sums without asking twice;
the same figures stand at /metrics.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count

from datacenter.metrics.live import Values, latest_read
from datacenter.metrics.store import Sample
from datacenter.metrics.table import INVENTORY
from datacenter.services.savings import host_watts_now
from hosts.models import Host, Operation
from workloads.models import Workload

_NAMES = {f"{metric.of}_{metric.key}": metric.name for metric in INVENTORY}
NOT_ENDED = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


def inventory_samples(now: float, values: Values | None = None) -> list[Sample]:
    """All of them at that time. Four queries, however large the data center; `values` are the newest, by source."""
    hosts = list(Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED).select_related("rack__site"))
    newest = latest_read(f"host:{host.pk}" for host in hosts) if values is None else values
    rows = [*_hosts(hosts), *_watts(hosts, newest), *_workloads(), *_operations(), *_infos()]
    return [Sample(_NAMES[name], labels, value, now) for name, labels, value in rows]


Row = tuple[str, dict[str, str], float]


def _hosts(hosts: list[Host]) -> Iterator[Row]:
    counted: dict[tuple[str, str], int] = {}
    for host in hosts:
        place = host.rack.site.name, host.power
        counted[place] = counted.get(place, 0) + 1
    for (site, power), count in counted.items():
        yield "site_hosts", {"site": site, "power": power}, float(count)


def _watts(hosts: list[Host], newest: Values) -> Iterator[Row]:
    summed: dict[str, float] = {}
    for host in hosts:
        site = host.rack.site.name
        summed[site] = summed.get(site, 0.0) + host_watts_now(host, newest)
    for site, watts in summed.items():
        yield "site_power_model_watts", {"site": site}, round(watts, 1)


def _workloads() -> Iterator[Row]:
    rows = Workload.objects.exclude(host=None).exclude(state=Workload.State.GONE)
    counted = rows.values_list("host__rack__site__name", "kind", "state").annotate(count=Count("pk")).order_by()
    for site, kind, state, count in counted:
        yield "site_workloads", {"site": site, "kind": kind, "state": state}, float(count)


def _operations() -> Iterator[Row]:
    rows = Operation.objects.filter(state__in=NOT_ENDED).values_list("state").annotate(count=Count("pk")).order_by()
    counted = dict(rows)
    for state in NOT_ENDED:  # also those that are none: a sum that vanishes looks like a failure to read it
        yield "site_operations", {"state": str(state)}, float(counted.get(state, 0))


def _infos() -> Iterator[Row]:
    rows = Workload.objects.exclude(host=None).exclude(state=Workload.State.GONE)
    fields = ("pk", "name", "kind", "host_id", "host__name", "host__rack__site__name")
    for pk, name, kind, host_id, host, site in rows.values_list(*fields):
        labels = {"workload_uuid": str(pk), "workload": name, "kind": kind, "site": site}
        yield "workload_info", labels | {"host": host, "host_uuid": str(host_id)}, 1.0
