"""What pages and the API read about workloads and images. Nothing here writes, nothing asks a host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from hosts.models import Host, Operation
from workloads.models import Console, ConsoleLog, Container, Measurement, Sighting, VirtualMachine, Workload

MEASUREMENTS_MOST = 500
SORTS = {
    "name": "name",
    "kind": "kind",
    "state": "state",
    "host": "host__name",
    "cpu": "cpu_cores",
    "memory": "memory_mib",
}
# heads of the list: title, sort, and the sort of a second press
COLUMNS = (
    ("Name", "name", "-name"),
    ("State", "state", "-state"),
    ("Host", "host", "-host"),
    ("CPU", "cpu", "-cpu"),
    ("Memory", "memory", "-memory"),
)


@dataclass(frozen=True)
class WorkloadFilter:
    """What a list shows; every field empty shows all. An unknown sort is by name."""

    text: str = ""
    kind: str = ""
    state: str = ""
    host: str = ""
    sort: str = "name"

    @property
    def is_any(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.text or self.kind or self.state or self.host)


def workloads_listed(wanted: WorkloadFilter) -> QuerySet[Workload]:
    """The rows of a list, with host and rack; one query for a page of them."""
    rows = Workload.objects.select_related("host__rack__site", "owner").defer("labels")
    if wanted.text:
        named = Q(name__icontains=wanted.text) | Q(host__name__icontains=wanted.text)
        rows = rows.filter(named | Q(virtualmachine__addresses__icontains=wanted.text))
    if wanted.kind in Workload.Kind.values:
        rows = rows.filter(kind=wanted.kind)
    if wanted.state in Workload.State.values:
        rows = rows.filter(state=wanted.state)
    if wanted.host:
        rows = rows.filter(host__name=wanted.host)
    column = SORTS.get(wanted.sort.removeprefix("-"), "name")
    return rows.order_by(f"-{column}" if wanted.sort.startswith("-") else column, "name", "pk")


def workload_own(workload: Workload) -> VirtualMachine | Container:
    """The row of its kind's own table."""
    model = VirtualMachine if workload.kind == Workload.Kind.VM else Container
    return model.objects.get(pk=workload.pk)


def differs(workload: Workload) -> str:
    """A sentence when what is differs from what was asked for, else empty."""
    if workload.desired == Workload.Desired.ANY or workload.state in {"creating", "migrating", "starting", "unknown"}:
        return ""
    if workload.state == Workload.State.GONE:
        return f"{workload.name} should be {workload.desired}, but its host does not have it any more."
    is_running = workload.state in {Workload.State.RUNNING, Workload.State.PAUSED}
    if is_running == (workload.desired == Workload.Desired.RUNNING):
        return ""
    return f"{workload.name} should be {workload.desired}, but it is {workload.state}."


def next_size(own: Any) -> dict[str, Any]:
    """What a VM has from its next start on, where that differs from what it has; else empty."""
    size = getattr(own, "next_size", {})
    now = {"cpu_cores": own.cpu_cores, "memory_mib": own.memory_mib} if own is not None else {}
    return {} if size == now else dict(size)


def running_twice(workload: Workload, sightings: list[Sighting]) -> str:
    """The alarm when two hosts report one workload as running at the same time, else empty."""
    running = [one.host.name for one in sightings if one.state == Workload.State.RUNNING]
    if len(running) < 2:
        return ""
    where = " and ".join(running)
    return f"{workload.name} was last seen running on {where}. Only one may be true: look there before anything else."


def groups_known() -> list[str]:
    """The anti-affinity groups that workloads are in, to choose from."""
    named = Workload.objects.exclude(anti_affinity_group="").order_by("anti_affinity_group")
    return list(named.values_list("anti_affinity_group", flat=True).distinct())


# A web process says this often that its consoles are open; one that does not has ended. See services.consoles.
CONSOLE_SILENT = timedelta(seconds=30)


def consoles_open(thing: UUID | None = None) -> QuerySet[Console]:
    """Consoles that are open now, of one thing or of all, the newest first."""
    rows = Console.objects.filter(ended_at=None, seen_at__gt=timezone.now() - CONSOLE_SILENT).select_related("user")
    return rows if thing is None else rows.filter(thing_id=thing)


def console_logs(thing: UUID | None = None) -> QuerySet[ConsoleLog]:
    """Logs of serial lines, of one VM or of all, the newest first."""
    rows = ConsoleLog.objects.all()
    return rows if thing is None else rows.filter(thing_id=thing)


FIGURES_OF = timedelta(days=90)


@dataclass(frozen=True)
class CreationFigures:
    """What making workloads of one kind has cost here; None where none was made, or none is there."""

    label: str
    count: int
    seconds: float | None  # median, from the request to running
    newest_at: datetime | None
    memory_mib: int | None  # median of those that are there
    fit: int | None  # so many of that size fill the memory of the largest host


@dataclass(frozen=True)
class MeasuredHere:
    """The newest measurement of each kind on one host."""

    host: Host
    vm: Measurement | None
    container: Measurement | None

    @property
    def pairs(self) -> list[tuple[str, Measurement | None]]:
        return [("VM", self.vm), ("container", self.container)]


def measured_here() -> list[MeasuredHere]:
    """Hosts with measurements, by name. One query."""
    newest: dict[UUID, dict[str, Measurement]] = {}
    hosts = {}
    for row in Measurement.objects.select_related("host")[:MEASUREMENTS_MOST]:
        newest.setdefault(row.host_id, {}).setdefault(row.kind, row)
        hosts[row.host_id] = row.host
    found = [MeasuredHere(hosts[pk], of.get("vm"), of.get("container")) for pk, of in newest.items()]
    return sorted(found, key=lambda each: each.host.name)


def creation_figures() -> list[CreationFigures]:
    """Measured on this data center's own hosts, VMs first. Two queries a kind, and one."""
    since = timezone.now() - FIGURES_OF
    largest_mib = Host.objects.aggregate(mib=Max("memory_mib"))["mib"] or 0
    found = []
    for kind, label in Workload.Kind.choices:
        done = Operation.objects.filter(kind=f"create_{kind}", state=Operation.State.DONE, finished_at__gt=since)
        times = list(done.order_by("-finished_at").values_list("created_at", "finished_at")[:1000])
        sizes = list(Workload.objects.filter(kind=kind, memory_mib__gt=0).values_list("memory_mib", flat=True)[:10_000])
        memory_mib = int(median(sizes)) if sizes else None
        seconds = median([(end - begin).total_seconds() for begin, end in times]) if times else None
        newest_at, fit = times[0][1] if times else None, largest_mib // memory_mib if memory_mib else None
        found.append(CreationFigures(label, len(times), seconds, newest_at, memory_mib, fit))
    return found
