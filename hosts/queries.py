"""What pages and the API read about hosts and operations. Nothing here writes, nothing asks a host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from hosts.models import Entry, Host, Operation, Site
from hosts.states import job_sentence

SILENT_AFTER = timedelta(seconds=15)
OPEN_STATES = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


@dataclass(frozen=True)
class HostStatus:
    """One word for a host and the sentence behind it."""

    word: str
    sentence: str


def host_status(host: Host, now: datetime | None = None) -> HostStatus:
    """How the host stands, the most important thing first."""
    now = now or timezone.now()
    if host.lifecycle == Host.Lifecycle.ENROLLING:
        return HostStatus("enrolling", "Its enrolment is under way.")
    if host.lifecycle == Host.Lifecycle.FAILED:
        return HostStatus("enrolment failed", host.lifecycle_reason)
    if host.quarantined_at is not None:
        return HostStatus("quarantined", f"{host.name} did not wake, so nobody counts on it: {host.quarantine_reason}")
    if host.power == Host.Power.OFF:
        return HostStatus("off", f"{host.name} is switched off. {job_sentence(host)}".strip())
    if host.last_seen_at is None or now - host.last_seen_at > SILENT_AFTER:
        return HostStatus("not answering", f"{host.name} has not been heard for more than 15 seconds.")
    if host.hypervisor_sentence or host.engine_sentence:
        return HostStatus("degraded", host.hypervisor_sentence or host.engine_sentence)
    if host.is_in_maintenance:
        return HostStatus("maintenance", "It takes no new workloads until maintenance ends.")
    if host.is_cordoned:
        return HostStatus("cordoned", "It takes no new workloads.")
    if lent := job_sentence(host):
        return HostStatus("cordoned", lent)
    return HostStatus("on", f"{host.name} is on and answers.")


def power_differs(host: Host) -> str:
    """A sentence when the machine's power is not what was asked for, else empty. Unknown differs from nothing."""
    if host.lifecycle != Host.Lifecycle.ENROLLED or Host.Power.UNKNOWN in (host.power, host.desired_power):
        return ""
    if host.power == host.desired_power or host.quarantined_at is not None:  # its status tells what came about
        return ""
    return f"{host.name} should be {host.desired_power}, but it is {host.power}: somebody switched it past Stowage."


def verbs_shown(host: Host) -> list[str]:
    """The verbs whose buttons fit the host: one that is off is woken, not switched off."""
    if host.lifecycle != Host.Lifecycle.ENROLLED:
        return []
    is_off = host.power == Host.Power.OFF
    return [
        "power_on" if is_off else "power_off",
        *(() if is_off else ("wake_drill",)),
        "maintenance_off" if host.is_in_maintenance else "maintenance_on",
    ]


def hosts_all() -> QuerySet[Host]:
    """Every host with its place and the number of its workloads; one query."""
    counted = Count("workloads", filter=~Q(workloads__state="gone"))
    rows = Host.objects.select_related("rack__site", "bmc", "job").annotate(workload_count=counted)
    # said anew: Django leaves a model's own ordering out of grouped queries
    return rows.order_by("rack__site__name", "rack__name", "name")


@dataclass(frozen=True)
class HostRow:
    """A line of the list of hosts."""

    host: Host
    status: HostStatus

    @property
    def source(self) -> str:
        """Under which the host's samples come."""
        return f"host:{self.host.pk}"


def host_rows(text: str = "") -> list[HostRow]:
    """Hosts whose name, rack or site has the text in it, with how they stand; one query."""
    rows = hosts_all()
    if text:
        rows = rows.filter(
            Q(name__icontains=text) | Q(rack__name__icontains=text) | Q(rack__site__name__icontains=text)
        )
    now = timezone.now()
    return [HostRow(host, host_status(host, now)) for host in rows]


def site_named(name: str) -> Site | None:
    return Site.objects.filter(name=name).first()


_FIGURES = (("downtime_ms", "Blackout", "ms"), ("seconds", "Copying took", "s"), ("data_mib", "Copied", "MiB"))


_BY = {"agent": "the agent in its guest", "ACPI": "its power button (ACPI)", "force": "force"}


def figures_of(operation: Operation) -> list[tuple[str, str]]:
    """What a migration measured of itself, or who brought a VM down, as label and text; empty for others."""
    done = operation.entries.filter(kind=Entry.Kind.DONE, step__icontains="migrate")
    outputs = [entry.data.get("output") or {} for entry in done]
    stops = operation.entries.filter(kind=Entry.Kind.DONE, step="stop").values_list("data", flat=True)
    by = [(data.get("output") or {}).get("by") for data in stops]
    return [("Shut down by", _BY[word]) for word in by if word in _BY] + [
        (label, f"{output[key]:.1f} {unit}")
        for output in outputs
        for key, label, unit in _FIGURES
        if isinstance(output.get(key), int | float)
    ]


def move_now(operation: Operation) -> list[tuple[str, str]]:
    """What a VM's move that is under way told last, as label and text; empty for other operations."""
    data = operation.progress_data if operation.state == Operation.State.RUNNING else {}
    told = {key: value for key, value in data.items() if isinstance(value, int | float)}
    if "data_remaining_bytes" not in told:
        return []
    found = [
        ("To go", f"{told['data_remaining_bytes'] / 2**20:,.1f} MiB of {told.get('data_total_bytes', 0) / 2**20:,.1f}"),
        ("The guest writes", f"{told.get('dirty_rate_bytes_s', 0) / 2**20:,.1f} MiB/s"),
    ]
    if told.get("expected_downtime_ms"):
        found.append(("Predicted blackout", f"{told['expected_downtime_ms']:,.0f} ms"))
    if told.get("iteration"):
        found.append(("Pass over its memory", f"{told['iteration']:.0f}"))
    if told.get("throttle_percent"):
        found.append(("Its CPUs are slowed by", f"{told['throttle_percent']:.0f} %"))
    return found


def operations_open(subject_ids: Iterable[Any] | None = None) -> QuerySet[Operation]:
    """Operations that have not ended, newest first."""
    rows = Operation.objects.filter(state__in=OPEN_STATES)
    return rows if subject_ids is None else rows.filter(subject_id__in=[str(one) for one in subject_ids])


def operations_of(thing_id: Any, most: int = 10) -> list[Operation]:
    """The newest operations on a thing, or on the host of that id."""
    return list(Operation.objects.filter(subject_id=str(thing_id))[:most])


def operations_of_host(host: Host, most: int = 10) -> list[Operation]:
    """The newest operations on the host itself, from it, or to it."""
    return list(Operation.objects.filter(Q(subject_id=str(host.pk)) | Q(host=host) | Q(target_host=host))[:most])
