"""What a host plane observed of its workloads, brought into the database.

Observed and desired are two things: nothing here touches `desired`. A row is never removed because a host
did not answer; a workload that an operation holds is not judged until the operation ends.
"""

from __future__ import annotations

import re
import uuid as uuids
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from hosts.audit import audit_write
from hosts.inventory import Reach
from hosts.models import Host, Lease
from hosts.publish import publish_change
from workloads.models import Container, Sighting, VirtualMachine, Workload

State = Workload.State
LIVE_STATES = {State.RUNNING, State.PAUSED, State.MIGRATING, State.STARTING}
WORKLOADS_PER_HOST_MOST = 5000
PIN_REASON = "It was labelled as pinned when it was found."


@dataclass(frozen=True)
class Seen:
    """One workload in an observation, its fields checked and cut to size."""

    kind: str
    uuid: uuids.UUID
    name: str
    state: str
    reason: str
    row: dict[str, Any]


def seen_from(row: Any) -> Seen | None:
    """The checked workload, None where the row makes no sense: hosts and guests are not to be trusted."""
    if not isinstance(row, dict) or row.get("kind") not in Workload.Kind.values:
        return None
    try:
        uuid = uuids.UUID(str(row.get("uuid")))
    except ValueError:
        return None
    state = row["state"] if row.get("state") in State.values else State.UNKNOWN
    return Seen(row["kind"], uuid, safe_name(row.get("name"), uuid), state, str(row.get("reason") or "")[:200], row)


def safe_name(name: Any, uuid: uuids.UUID) -> str:
    """The name with every character outside the allowed ones replaced, so that it can stand in a path or a page."""
    text = re.sub(r"[^A-Za-z0-9._-]", "_", str(name or ""))[:63].lstrip("._-")
    return text or f"unnamed-{str(uuid)[:8]}"


def workloads_observe(host: Host, observation: dict[str, Any], reach: Reach, now: datetime) -> set[uuids.UUID]:
    """Applies the whole list of a host's workloads; the uuids of those that changed. Rings their pages."""
    rows = observation.get("workloads")
    every = (seen_from(row) for row in (rows if isinstance(rows, list) else [])[:WORKLOADS_PER_HOST_MOST])
    seen = {item.uuid: item for item in every if item is not None and reach.covers(item.kind)}
    with transaction.atomic():
        changed = _apply(host, seen, reach, now)
        for uuid in changed:
            publish_change("workload", uuid, "observed")
    return changed


def _apply(host: Host, seen: dict[uuids.UUID, Seen], reach: Reach, now: datetime) -> set[uuids.UUID]:
    known = {
        row.pk: row
        for row in Workload.objects.filter(pk__in=seen)
        | Workload.objects.filter(host=host)
        | Workload.objects.filter(sightings__host=host)
    }
    changed: set[uuids.UUID] = set()
    if host.lifecycle == Host.Lifecycle.ENROLLED:
        for uuid in seen.keys() - known.keys():
            known[uuid] = adopt(host, seen[uuid], now)
            changed.add(uuid)
    changed |= _sightings_write(host, {uuid: seen[uuid] for uuid in seen.keys() & known.keys()}, reach, now)
    held = _held(known.values())
    sightings = _sightings_by_workload(known)
    for uuid, workload in known.items():
        if not reach.covers(workload.kind):
            continue
        item = seen.get(uuid)
        if item and workload.host_id == host.pk and _facts_write(workload, item):
            changed.add(uuid)
        if uuid not in held and judge(workload, sightings.get(uuid, []), host, now):
            changed.add(uuid)
    return changed


def adopt(host: Host, item: Seen, now: datetime) -> Workload:
    """A row for a workload that was there before us, or that somebody made by hand."""
    labels = item.row.get("labels") if isinstance(item.row.get("labels"), dict) else {}
    plain = {str(key).removeprefix("stowage."): str(value)[:200] for key, value in labels.items()}
    pinned = plain.get("pinned", "").lower() == "true"
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
        is_pinned=pinned,
        pin_reason=PIN_REASON if pinned else "",
        anti_affinity_group=plain.get("anti-affinity", "")[:63],
        labels=plain,
        **_shared_facts(item.row),
        **_own_facts(item),
    )
    workload.save(force_insert=True)
    audit_write(None, "adopt", item.kind, item.uuid, item.name, host=host.name)
    return workload


def _shared_facts(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "cpu_cores": float(row.get("vcpus") or 0),
        "memory_mib": int(row.get("memory_mib") or 0),
        "disk_gib": float(row.get("disk_gib") or 0),
    }


def _own_facts(item: Seen) -> dict[str, Any]:
    """Fields of the kind's own table, only those that the observation carries."""
    row = item.row
    if item.kind == Workload.Kind.VM:
        return {
            "disks": row.get("disks") or [],
            "bridges": row.get("bridges") or [],
            "serial_log": str(row.get("serial_log") or "")[:300],
        }
    return {
        "engine_id": str(row.get("engine_id") or "")[:64],
        "image_reference": str(row.get("image") or "")[:300],
        "command": row.get("command") or [],
        "ports": row.get("ports") or [],
        "restart_policy": str(row.get("restart_policy") or "no")[:20],
    }


def _facts_write(workload: Workload, item: Seen) -> bool:
    """Writes the observed allocation and devices where they differ; whether any did."""
    shared = _shared_facts(item.row)
    different = {name: value for name, value in shared.items() if getattr(workload, name) != value}
    if different:
        Workload.objects.filter(pk=workload.pk).update(**different)
    model = VirtualMachine if item.kind == Workload.Kind.VM else Container
    own = _own_facts(item)
    stored = model.objects.filter(pk=workload.pk).values(*own).first()
    if stored is not None and stored != own:
        model.objects.filter(pk=workload.pk).update(**own)
        return True
    return bool(different)


def _sightings_write(host: Host, seen: dict[uuids.UUID, Seen], reach: Reach, now: datetime) -> set[uuids.UUID]:
    changed: set[uuids.UUID] = set()
    stored = {row.workload_id: row for row in Sighting.objects.filter(host=host).select_related("workload")}
    for uuid, item in seen.items():
        old = stored.get(uuid)
        if old is None or (old.state, old.reason) != (item.state, item.reason):
            Sighting.objects.update_or_create(
                workload_id=uuid,
                host=host,
                defaults={"state": item.state, "reason": item.reason, "observed_at": now},
            )
            changed.add(uuid)
    lost = [row.pk for uuid, row in stored.items() if uuid not in seen and reach.covers(row.workload.kind)]
    if lost:
        changed |= {row.workload_id for row in stored.values() if row.pk in lost}
        Sighting.objects.filter(pk__in=lost).delete()
    return changed


def _sightings_by_workload(known: dict[uuids.UUID, Workload]) -> dict[uuids.UUID, list[Sighting]]:
    found: dict[uuids.UUID, list[Sighting]] = {}
    for row in Sighting.objects.filter(workload__in=known).select_related("host"):
        found.setdefault(row.workload_id, []).append(row)
    return found


def _held(workloads: Any) -> set[uuids.UUID]:
    """Those under an operation's lease: their truth is in motion."""
    ids = {str(workload.pk): workload.pk for workload in workloads}
    rows = Lease.objects.filter(thing_kind__in=Workload.Kind.values, operation__isnull=False, thing_id__in=ids)
    return {ids[row.thing_id] for row in rows}


def judge(workload: Workload, sightings: list[Sighting], observer: Host, now: datetime) -> bool:
    """Sets owner and state from all sightings; whether anything changed.

    The owner's word counts. When the owner answers and has it no more, a single other host that runs it becomes
    the owner (somebody moved it by hand); with none it is gone. Two running copies are shown as such.
    """
    live = [row for row in sightings if row.state in LIVE_STATES]
    own = next((row for row in sightings if row.host_id == workload.host_id), None)
    owner_id = workload.host_id
    if own is None and len(live) == 1 and (workload.host_id == observer.pk or workload.host_id is None):
        own = live[0]
        owner_id = own.host_id
        audit_write(None, "follow", workload.kind, workload.pk, workload.name, host=own.host.name)
    elif own is None and workload.host_id != observer.pk:
        return False  # its owner has not said that it is gone
    if own is None:
        state, reason = State.GONE, f"{observer.name} answers and does not have it any more."
    else:
        state, reason = State(own.state), own.reason
    if len(live) > 1:
        names = ", ".join(sorted(row.host.name for row in live))
        reason = f"ALARM: it runs on {len(live)} hosts at once: {names}."
    if (workload.state, workload.state_reason, workload.host_id) == (state, reason[:200], owner_id):
        return False
    Workload.objects.filter(pk=workload.pk).update(
        state=state, state_reason=reason[:200], host_id=owner_id, observed_at=now
    )
    return True


def host_silent(host: Host) -> int:
    """Marks what ran on a host that does not answer as unknown; the number of workloads marked."""
    reason = f"{host.name} is switched off." if host.power == Host.Power.OFF else f"{host.name} does not answer."
    marked = Workload.objects.filter(host=host, state__in=[*LIVE_STATES, State.CRASHED])
    uuids_marked = list(marked.values_list("pk", flat=True))
    state = State.STOPPED if host.power == Host.Power.OFF else State.UNKNOWN
    Workload.objects.filter(pk__in=uuids_marked).update(state=state, state_reason=reason)
    if host.power == Host.Power.OFF:
        Sighting.objects.filter(host=host).update(state=State.STOPPED, reason=reason)
    for uuid in uuids_marked:
        publish_change("workload", uuid, "observed")
    return len(uuids_marked)
