"""Recovering lost hosts: found by a sweep, fenced, and only then their VMs started elsewhere.

Driven by the sweep alone; every change is conditional on what it changes, so that two sweeps at once, or a crash
between any two lines, begin nothing twice. decisions/0028.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from datacenter.models import Policy, RecoveredWorkload, Recovery
from datacenter.services.lost_workloads import priority_of, why_not_elsewhere
from datacenter.services.restarting import restart_begin, stale_remove
from datacenter.snapshot import policy_of
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused, StowageError
from hosts.models import Entry, Host, Operation
from hosts.operations.clock import database_now
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless
from hosts.states import why_no_fencing
from workloads.models import Workload

State = Recovery.State
Act = RecoveredWorkload.State
OPEN = (State.ASKED, State.FENCING, State.STOPPED, State.RESTARTING)
LIVE = (Workload.State.RUNNING, Workload.State.PAUSED, Workload.State.UNKNOWN, Workload.State.STARTING)
ENDED_BADLY = (Operation.State.FAILED, Operation.State.CANCELLED, Operation.State.STUCK)


def recoveries_sweep() -> None:
    """Finds hosts that are lost, goes on with what is open, and removes stale definitions from hosts that returned."""
    now = database_now()
    for host in _lost_hosts(now):
        _open(host, now)
    for recovery in Recovery.objects.filter(finished_at=None).select_related("host__rack__site", "fence"):
        _advance(recovery, now)
    stale_remove(now)


def recovery_begin(user: User, recovery: Recovery) -> None:
    """Begins a recovery that waits for a person, or tries the fence of one that was not fenced again."""
    refuse_unless(user, "operate", recovery.host)
    if recovery.state not in (State.ASKED, State.STOPPED):
        raise Refused(f"The recovery of {recovery.host.name} is {recovery.get_state_display()}; nothing is to begin.")
    with transaction.atomic():
        _fence(recovery, database_now(), user)
        audit_write(user, "recovery_begin", "host", recovery.host.pk, recovery.host.name, recovery=str(recovery.pk))


@transaction.atomic
def recovery_declare_dead(user: User, recovery: Recovery, *, typed: str) -> None:
    """Takes a person's word, with the host's name typed, in place of a fence that could not be confirmed."""
    refuse_unless(user, "administer", recovery.host)
    if typed != recovery.host.name:
        raise Invalid(f"Nothing was changed: type {recovery.host.name} exactly to go on.", field="name")
    if recovery.state != State.STOPPED:
        raise Refused(f"{recovery.host.name} is declared dead only after its fence has failed.")
    if _is_heard(recovery):
        raise Refused(f"{recovery.host.name} answers again, so it is not dead.")
    name = user.get_username()
    changed = Recovery.objects.filter(pk=recovery.pk, state=State.STOPPED).update(
        state=State.RESTARTING,
        declared_dead_by=name,
        fenced_at=database_now(),
        sentence=f"{name} declared {recovery.host.name} dead.",
    )
    if changed:
        # whoever is dead should not be on, so it is not lost a second time
        Host.objects.filter(pk=recovery.host_id).update(is_cordoned=True, desired_power=Host.Power.OFF)
        _rows_make(recovery)
        audit_write(user, "recovery_declare_dead", "host", recovery.host.pk, recovery.host.name, was=recovery.sentence)
        publish_change("host", recovery.host.pk, "declared dead")


def _lost_hosts(now: datetime) -> list[Host]:
    """Hosts that should be on and have been silent for as long as their site's policy allows."""
    rows = Host.objects.filter(
        lifecycle=Host.Lifecycle.ENROLLED,
        desired_power=Host.Power.ON,
        is_in_maintenance=False,
        last_seen_at__lt=now - timedelta(seconds=15),
    ).exclude(recoveries__in=Recovery.objects.filter(finished_at=None))
    # one that did not wake is known to be off, and nothing runs there
    rows = rows.exclude(power=Host.Power.OFF, quarantined_at__isnull=False)
    lost = []
    for host in rows.select_related("rack__site"):
        policy = policy_of(host.rack.site)
        silent_s = (now - host.last_seen_at).total_seconds() if host.last_seen_at else 0.0
        if policy.recover_lost_hosts != Policy.RecoverLost.OFF and silent_s > policy.lost_after_s:
            lost.append(host)
    return lost


def _open(host: Host, now: datetime) -> None:
    """One open recovery a host, whoever comes first; a host that is just being woken is given its time."""
    if (
        host.power_read_at
        and host.power == Host.Power.ON
        and host.last_seen_at
        and host.power_read_at > now - timedelta(seconds=policy_of(host.rack.site).lost_after_s)
    ):
        return
    evidence = [f"Its host plane was last heard at {host.last_seen_at:%Y-%m-%d %H:%M:%S} UTC.", _half_said(host)]
    with contextlib.suppress(IntegrityError), transaction.atomic():
        Recovery.objects.create(host=host, lost_since=host.last_seen_at or now, evidence=evidence)
        audit_write(None, "host_lost", "host", host.pk, host.name, last_heard=str(host.last_seen_at))
        publish_change("host", host.pk, "lost")


def _half_said(host: Host) -> str:
    return f"Its hypervisor {'did not answer even then' if host.hypervisor_sentence else 'answered until then'}."


def _is_heard(recovery: Recovery) -> bool:
    return Host.objects.filter(pk=recovery.host_id, last_seen_at__gt=recovery.lost_since).exists()


def _advance(recovery: Recovery, now: datetime) -> None:
    if recovery.state == State.FENCING:
        _fence_settle(recovery, now)
    elif recovery.state == State.RESTARTING:
        _restart(recovery, now)
    elif _is_heard(recovery):
        _finish(recovery, State.ENDED, f"{recovery.host.name} answers again. Nothing was done.", now)
    elif recovery.state == State.ASKED and (
        policy_of(recovery.host.rack.site).recover_lost_hosts == Policy.RecoverLost.AUTOMATIC
        and _is_alone(recovery, now)
    ):
        with contextlib.suppress(Refused), transaction.atomic():
            _fence(recovery, now, None)


def _is_alone(recovery: Recovery, now: datetime) -> bool:
    """Whether most other hosts that should be on speak: when many fall silent, it is rather we who do not hear."""
    others = Host.objects.filter(
        lifecycle=Host.Lifecycle.ENROLLED, desired_power=Host.Power.ON, is_in_maintenance=False
    ).exclude(pk=recovery.host_id)
    heard = others.filter(last_seen_at__gte=now - timedelta(seconds=15)).count()
    return heard * 2 > others.count()


def _finish(recovery: Recovery, state: str, sentence: str, now: datetime) -> None:
    rows = Recovery.objects.filter(pk=recovery.pk, state=recovery.state, finished_at=None)
    if rows.update(state=state, sentence=sentence, finished_at=now):
        publish_change("host", recovery.host_id, f"recovery {state}")


def _fence(recovery: Recovery, now: datetime, user: User | None) -> None:
    """Claims the recovery and begins its fence, both or none. Call it in a transaction."""
    host = Host.objects.select_related("bmc", "rack__site").get(pk=recovery.host_id)
    claimed = Recovery.objects.filter(pk=recovery.pk, state=recovery.state, finished_at=None)
    begun = {"begun_at": now, "sentence": ""}
    if reason := why_no_fencing(host):
        sentence = f"{reason} Nothing was started elsewhere."
        claimed.update(state=State.STOPPED, **begun | {"sentence": sentence})
        return
    if not claimed.update(state=State.FENCING, **begun):
        return
    operation = operation_start(
        "host_fence",
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), "lost_since": recovery.lost_since.isoformat()},
        host=host,
    )
    Recovery.objects.filter(pk=recovery.pk).update(fence=operation)
    publish_change("host", host.pk, "fencing")


def _fence_settle(recovery: Recovery, now: datetime) -> None:
    operation = recovery.fence
    if operation is not None and operation.state == Operation.State.DONE:
        with transaction.atomic():
            if Recovery.objects.filter(pk=recovery.pk, state=State.FENCING).update(
                state=State.RESTARTING,
                fenced_at=operation.finished_at,
                evidence=[*recovery.evidence, *_power_said(operation)],
            ):
                _rows_make(recovery)
        _restart(Recovery.objects.select_related("host__rack__site").get(pk=recovery.pk), now)
    elif operation is None or operation.state in ENDED_BADLY:
        if _is_heard(recovery):
            _finish(recovery, State.ENDED, f"{recovery.host.name} answers again. Nothing was started elsewhere.", now)
            return
        why = operation.message if operation and operation.message else "The fence did not come to its end."
        Recovery.objects.filter(pk=recovery.pk, state=State.FENCING).update(
            state=State.STOPPED,
            sentence=f"{why} Nothing was started elsewhere.",
            evidence=[*recovery.evidence, *(_power_said(operation) if operation else [])],
        )
        publish_change("host", recovery.host_id, "not fenced")


def _power_said(operation: Operation) -> list[str]:
    """What the BMC told before and after the cut, as sentences."""
    when = {"read_power": "before the power was cut", "read_again": "after it"}
    said = []
    for entry in Entry.objects.filter(operation=operation, kind=Entry.Kind.DONE, step__in=when).order_by("number"):
        error: dict[str, Any] = entry.data.get("error") or {}
        told = error.get("message") or f"it says that the power is {entry.data.get('power') or 'unknown'}."
        said.append(f"Its BMC, asked {when[entry.step]}: {told}")
    return said


def _rows_make(recovery: Recovery) -> None:
    """What ran there, by priority; what cannot be restarted elsewhere with its reason."""
    found = Workload.objects.filter(host_id=recovery.host_id)
    ran = [row for row in found if row.desired == Workload.Desired.RUNNING or row.state in LIVE]
    for row in sorted(ran, key=lambda row: (-priority_of(row), -row.memory_mib, row.name)):
        reason = why_not_elsewhere(row, recovery.host)
        RecoveredWorkload.objects.get_or_create(
            recovery=recovery,
            workload=row,
            defaults={"name": row.name, "state": Act.LEFT if reason else Act.WAITING, "sentence": reason},
        )


def _restart(recovery: Recovery, now: datetime) -> None:
    """Takes note of what ended, starts what waits, and ends the recovery when nothing is left."""
    rows = list(recovery.workloads.select_related("workload", "operation"))
    for row in rows:
        _settle(row)
    if _is_heard(recovery):
        recovery.workloads.filter(state=Act.WAITING).update(
            state=Act.LEFT, sentence=f"{recovery.host.name} answers again; start it there."
        )
    else:
        for row in recovery.workloads.filter(state=Act.WAITING).select_related("workload"):
            _start(recovery, row)
    if not recovery.workloads.filter(state__in=[Act.WAITING, Act.RUNNING]).exists():
        done = recovery.workloads.filter(state=Act.DONE).count()
        _finish(
            recovery, State.DONE, f"{done} of {recovery.workloads.count()} workloads were restarted elsewhere.", now
        )


def _settle(row: RecoveredWorkload) -> None:
    if row.state != Act.RUNNING:
        return
    operation = row.operation
    if operation is not None and operation.state == Operation.State.DONE:
        ended, sentence = Act.DONE, ""
    elif operation is None or operation.state in ENDED_BADLY:
        ended, sentence = Act.FAILED, operation.message if operation else "Its operation was removed."
    else:
        return
    RecoveredWorkload.objects.filter(pk=row.pk, state=Act.RUNNING).update(state=ended, sentence=sentence)


def _start(recovery: Recovery, row: RecoveredWorkload) -> None:
    """Claims the workload and begins its restart, both or none; without a place it waits with the reason."""
    try:
        with transaction.atomic():
            if not RecoveredWorkload.objects.filter(pk=row.pk, state=Act.WAITING).update(state=Act.RUNNING):
                return
            operation = restart_begin(recovery, row)
            RecoveredWorkload.objects.filter(pk=row.pk).update(
                operation=operation, target=operation.target_host, sentence=""
            )
    except StowageError as error:
        RecoveredWorkload.objects.filter(pk=row.pk, state=Act.WAITING).update(sentence=error.message)
    publish_change("host", recovery.host_id, "restarting")
