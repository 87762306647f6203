"""What a host plane observed of its workloads, brought into the database.

Observed and desired are two things: nothing here touches `desired`. A row is never removed because a host
did not answer; a workload that an operation holds is not judged until the operation ends.
"""

from __future__ import annotations

import math
import re
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from hosts.audit import audit_write
from hosts.guest import AGENTS, addresses_of, guest_judged
from hosts.inventory import Reach, amount, is_silent, plain_text
from hosts.models import Host, Lease, Operation
from hosts.publish import publish_change
from workloads.models import Container, Sighting, VirtualMachine, Workload
from workloads.ties import ties_write

State = Workload.State
LIVE_STATES = {State.RUNNING, State.PAUSED, State.MIGRATING, State.STARTING}
WORKLOADS_PER_HOST_MOST = 5000
ADDRESSES_MOST = 20  # to look for
ITEMS_MOST = 200  # disks, ports, words of a command
PIN_REASON = "It was labelled as pinned when it was found."
# An operation that ended this shortly before an observation may have made or removed what the observation tells.
OPERATION_ECHO = timedelta(seconds=20)


@dataclass(frozen=True)
class Seen:
    """One workload in an observation, its fields checked and cut to size."""

    kind: str
    uuid: uuids.UUID
    name: str
    state: str
    reason: str
    shared: dict[str, Any]  # fields of Workload
    own: dict[str, Any]  # fields of the kind's own table
    labels: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What an observation did: the workloads that changed, and whether some could not be judged yet."""

    changed: frozenset[uuids.UUID]
    is_settled: bool


def seen_from(row: Any) -> Seen | None:
    """The checked workload, None where the row makes no sense: hosts and guests are not to be trusted."""
    if not isinstance(row, dict) or row.get("kind") not in Workload.Kind.values:
        return None
    try:
        uuid = uuids.UUID(str(row.get("uuid"))[:64])
    except ValueError:
        return None
    kind, state = row["kind"], row.get("state")
    observable = {State.RUNNING, State.PAUSED, State.STOPPED, State.CRASHED, State.MIGRATING, State.STARTING}
    labels = row.get("labels")
    return Seen(
        kind=kind,
        uuid=uuid,
        name=safe_name(row.get("name"), uuid),
        state=State(state) if isinstance(state, str) and state in observable else State.UNKNOWN,
        reason=plain_text(row.get("reason"), 200),
        shared={
            "cpu_cores": amount(row.get("vcpus")),
            "memory_mib": int(min(amount(row.get("memory_mib")), 2**31 - 1)),
            "disk_gib": amount(row.get("disk_gib")),
        },
        own=_own_facts(kind, row),
        labels={
            plain_text(key, 100).removeprefix("stowage."): plain_text(value, 200)
            for key, value in list(labels.items() if isinstance(labels, dict) else [])[:ITEMS_MOST]
        },
    )


def safe_name(name: Any, uuid: uuids.UUID) -> str:
    """The name with every character outside the allowed ones replaced, so that it can stand in a path or a page."""
    text = re.sub(r"[^A-Za-z0-9._-]", "_", str(name or "")[:63]).lstrip("._-")
    return text or f"unnamed-{str(uuid)[:8]}"


def _own_facts(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    if kind == Workload.Kind.VM:
        return {
            "disks": [_disk(disk) for disk in _listed(row.get("disks")) if isinstance(disk, dict)],
            "bridges": [plain_text(bridge, 63) for bridge in _listed(row.get("bridges"))],
            "serial_log": plain_text(row.get("serial_log")),
            "has_cdrom": row.get("cdrom") is not None,
            "cdrom_path": plain_text(row.get("cdrom"), 500),
            **_guest(row),
        }
    return {
        "engine_id": plain_text(row.get("engine_id"), 64),
        "image_reference": plain_text(row.get("image")),
        "command": [plain_text(word, 1000) for word in _listed(row.get("command"))],
        "ports": [port for port in _listed(row.get("ports")) if isinstance(port, dict | str | int)],
        "volumes": [_volume(volume) for volume in _listed(row.get("volumes")) if isinstance(volume, dict)],
        "restart_policy": plain_text(row.get("restart_policy"), 20) or "no",
    }


def _guest(row: dict[str, Any]) -> dict[str, Any]:
    """What the guest said last stays known while its agent is away."""
    agent = row["agent"] if row.get("agent") in AGENTS else ""
    if not isinstance(row.get("guest"), dict):
        return {"agent": agent}
    guest = guest_judged(row["guest"])
    return {"agent": agent, "guest": guest, "addresses": " ".join(addresses_of(guest)[:ADDRESSES_MOST])}


def _volume(volume: dict[str, Any]) -> dict[str, Any]:
    text = {name: plain_text(volume.get(name), 500) for name in ("kind", "source", "target")}
    return {**text, "is_read_only": volume.get("is_read_only") is True}


def _listed(value: Any) -> list[Any]:
    return value[:ITEMS_MOST] if isinstance(value, list) else []


def _disk(disk: dict[str, Any]) -> dict[str, Any]:
    words = {name: plain_text(disk.get(name), 500) or None for name in ("pool", "shared_pool_id")}
    text = {name: plain_text(disk.get(name), 500) for name in ("target", "path", "format")}
    return {**text, **words, "size_gib": amount(disk.get("size_gib"))}


def workloads_observe(host: Host, observation: dict[str, Any], reach: Reach, now: datetime) -> Outcome:
    """Applies the whole list of a host's workloads in one transaction and rings the pages of those that changed."""
    rows = observation.get("workloads")
    every = [seen_from(row) for row in (rows if isinstance(rows, list) else [])[:WORKLOADS_PER_HOST_MOST]]
    seen = {item.uuid: item for item in every if item is not None and reach.covers(item.kind)}
    with transaction.atomic():
        outcome = _apply(host, seen, reach, now)
        for uuid in outcome.changed:
            publish_change("workload", uuid, "observed")
    return outcome


def _apply(host: Host, seen: dict[uuids.UUID, Seen], reach: Reach, now: datetime) -> Outcome:
    known = {
        row.pk: row
        for row in Workload.objects.filter(Q(pk__in=seen) | Q(host=host) | Q(sightings__host=host)).distinct()
    }
    changed: set[uuids.UUID] = set()
    outdated = _outdated(host, known, reach, now)
    known = {uuid: row for uuid, row in known.items() if uuid not in outdated}
    unknown = seen.keys() - known.keys() - outdated
    echoes = _echoes(unknown, now)
    if host.lifecycle == Host.Lifecycle.ENROLLED:
        for uuid in unknown - echoes:
            known[uuid] = adopt(host, seen[uuid], now)
            changed.add(uuid)
    present = {uuid: item for uuid, item in seen.items() if uuid in known and known[uuid].kind == item.kind}
    changed |= _sightings_write(host, present, known, reach, now)
    held = _held(known)
    changed |= _facts_write(host, {uuid: row for uuid, row in known.items() if uuid not in held}, present)
    changed |= ties_write(host)
    sightings = _sightings_by_workload(known)
    for uuid, workload in known.items():
        if uuid in held:
            continue
        if not reach.covers(workload.kind):
            if workload.host_id == host.pk and _make_unknown(workload, reach.why_not(workload.kind), now):
                changed.add(uuid)
        elif judge(workload, sightings.get(uuid, []), host, now):
            changed.add(uuid)
    return Outcome(frozenset(changed), is_settled=not (held or echoes or outdated))


def _outdated(host: Host, known: dict[uuids.UUID, Workload], reach: Reach, now: datetime) -> set[uuids.UUID]:
    """Those that an operation has changed on this host since it was asked: it tells how they were before."""
    rows = Operation.objects.filter(subject_kind__in=Workload.Kind.values, finished_at__gt=now - OPERATION_ECHO)
    return {
        uuid
        for subject_id, kind, reported_at in rows.values_list("subject_id", "subject_kind", "reported_at")
        if (uuid := _as_uuid(subject_id)) in known and reach.is_before(kind, reported_at.get(host.name, -math.inf))
    }


def _echoes(unknown: Iterable[uuids.UUID], now: datetime) -> set[uuids.UUID]:
    """Those that an operation makes, or has just removed: an observation on its way must not bring them back."""
    ids = {str(uuid): uuid for uuid in unknown}
    if not ids:
        return set()
    rows = Operation.objects.filter(subject_id__in=ids).filter(
        Q(finished_at=None) | Q(finished_at__gt=now - OPERATION_ECHO)
    )
    return {ids[subject_id] for subject_id in rows.values_list("subject_id", flat=True)}


def adopt(host: Host, item: Seen, now: datetime) -> Workload:
    """A row for a workload that was there before us, or that somebody made by hand."""
    is_pinned = item.labels.get("pinned", "").lower() in {"true", "1", "yes"}
    model = VirtualMachine if item.kind == Workload.Kind.VM else Container
    workload = model(
        uuid=item.uuid,
        kind=item.kind,
        name=item.name,
        host=host,
        state=item.state,
        state_reason=item.reason,
        observed_at=now,
        is_adopted=True,
        is_pinned=is_pinned,
        pin_reason=PIN_REASON if is_pinned else "",
        anti_affinity_group=item.labels.get("anti-affinity", "")[:63],
        labels=item.labels,
        **item.shared,
        **item.own,
    )
    workload.save(force_insert=True)
    audit_write(None, "adopt", item.kind, item.uuid, item.name, host=host.name)
    return Workload.objects.get(pk=item.uuid)


def _facts_write(host: Host, known: dict[uuids.UUID, Workload], seen: dict[uuids.UUID, Seen]) -> set[uuids.UUID]:
    """Writes allocation and devices as the owner's host reports them, where they differ; which did."""
    owned = {uuid: item for uuid, item in seen.items() if uuid in known and known[uuid].host_id == host.pk}
    vms = {row.pk: row for row in VirtualMachine.objects.filter(pk__in=owned)}
    containers = {row.pk: row for row in Container.objects.filter(pk__in=owned)}
    changed = set()
    for uuid, item in owned.items():
        row: Workload | None = vms.get(uuid) or containers.get(uuid)
        if row is None:
            continue
        facts = {**item.shared, **item.own}
        different = {name: value for name, value in facts.items() if getattr(row, name) != value}
        if different:
            type(row)._default_manager.filter(pk=uuid).update(**different)
            changed.add(uuid)
    return changed


def _sightings_write(
    host: Host, seen: dict[uuids.UUID, Seen], known: dict[uuids.UUID, Workload], reach: Reach, now: datetime
) -> set[uuids.UUID]:
    """Makes the host's sightings those that were observed; which workloads' changed."""
    changed: set[uuids.UUID] = set()
    stored = {row.workload_id: row for row in Sighting.objects.filter(host=host)}
    for uuid, item in seen.items():
        old = stored.get(uuid)
        if old is None or (old.state, old.reason) != (item.state, item.reason):
            Sighting.objects.update_or_create(
                workload_id=uuid,
                host=host,
                defaults={"state": item.state, "reason": item.reason, "observed_at": now},
            )
            changed.add(uuid)
    lost = [
        row for uuid, row in stored.items() if uuid not in seen and uuid in known and reach.covers(known[uuid].kind)
    ]
    if lost:
        Sighting.objects.filter(pk__in=[row.pk for row in lost]).delete()
        changed |= {row.workload_id for row in lost}
    return changed


def _sightings_by_workload(known: dict[uuids.UUID, Workload]) -> dict[uuids.UUID, list[Sighting]]:
    found: dict[uuids.UUID, list[Sighting]] = {}
    for row in Sighting.objects.filter(workload__in=known).select_related("host"):
        found.setdefault(row.workload_id, []).append(row)
    return found


def _held(known: dict[uuids.UUID, Workload]) -> set[uuids.UUID]:
    """Those under an operation's lease: their truth is in motion."""
    rows = Lease.objects.filter(thing_kind__in=Workload.Kind.values, operation__isnull=False)
    return {uuid for uuid in (_as_uuid(row) for row in rows.values_list("thing_id", flat=True)) if uuid in known}


def _as_uuid(text: str) -> uuids.UUID | None:
    try:
        return uuids.UUID(text)
    except ValueError:
        return None


def judge(workload: Workload, sightings: list[Sighting], observer: Host, now: datetime) -> bool:
    """Sets owner and state from all sightings; whether anything changed.

    The owner's word counts. When the owner has just answered without a live copy and exactly one other host has
    one, that host becomes the owner: somebody moved it by hand. Without any it is gone, or as the owner says. Two
    running copies are shown as an alarm.
    """
    live = [row for row in sightings if row.state in LIVE_STATES]
    own = next((row for row in sightings if row.host_id == workload.host_id), None)
    is_owner_heard = workload.host_id in (None, observer.pk)
    elsewhere = [row for row in live if row.host_id != workload.host_id and not is_silent(row.host, now)]
    if is_owner_heard and len(elsewhere) == 1 and (own is None or own.state not in LIVE_STATES):
        own = elsewhere[0]
        sentence = f"seen on {own.host.name}"
        audit_write(None, "follow", workload.kind, workload.pk, workload.name, host=own.host.name, why=sentence)
    elif own is None and not is_owner_heard:
        return False  # its owner has not said that it is gone
    owner_id = own.host_id if own else workload.host_id
    state, reason = _state_of(own, observer, live)
    if (workload.state, workload.state_reason, workload.host_id) == (state, reason, owner_id):
        return False
    Workload.objects.filter(pk=workload.pk).update(state=state, state_reason=reason, host_id=owner_id, observed_at=now)
    return True


def _state_of(own: Sighting | None, observer: Host, live: list[Sighting]) -> tuple[str, str]:
    running = sorted(row.host.name for row in live if row.state == State.RUNNING)
    if own is None:
        return State.GONE, f"{observer.name} answers and does not have it any more."
    if is_silent_owner(own, observer):
        return State.UNKNOWN, f"{own.host.name} does not answer."
    if len(running) > 1:
        return State(own.state), f"ALARM: it runs on {len(running)} hosts at once: {', '.join(running)}."[:200]
    return State(own.state), own.reason


def is_silent_owner(own: Sighting, observer: Host) -> bool:
    """Whether the owner's last word is too old to be repeated by another host's observation."""
    return own.host_id != observer.pk and is_silent(own.host, observer.last_seen_at or own.observed_at)


def _make_unknown(workload: Workload, reason: str, now: datetime) -> bool:
    """Its half of the host does not answer: nobody knows. Gone stays gone, stopped is as good as it was."""
    if workload.state not in LIVE_STATES:
        return False
    Workload.objects.filter(pk=workload.pk).update(state=State.UNKNOWN, state_reason=reason[:200], observed_at=now)
    return True


def host_silent(host: Host) -> int:
    """Marks what ran on a host that does not answer as unknown, as stopped when the host is off; how many."""
    is_off = host.power == Host.Power.OFF
    reason = f"{host.name} is switched off." if is_off else f"{host.name} does not answer."
    state = State.STOPPED if is_off else State.UNKNOWN
    affected = [*LIVE_STATES, State.CRASHED] + ([State.UNKNOWN] if is_off else [])
    with transaction.atomic():
        rows = {row.pk: row for row in Workload.objects.filter(host=host, state__in=affected)}
        marked = rows.keys() - _held(rows)
        Workload.objects.filter(pk__in=marked).update(state=state, state_reason=reason)
        if is_off:
            Sighting.objects.filter(host=host, state__in=affected).update(state=State.STOPPED, reason=reason)
        for uuid in marked:
            publish_change("workload", uuid, "observed")
    return len(marked)
