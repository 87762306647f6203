"""Workloads that are lent for a while: when their time is over they are stopped, or stopped and deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.errors import Forbidden, Invalid, Refused, StowageError
from hosts.models import Operation
from hosts.publish import publish_change
from hosts.services.doors import User, busy_with, refuse_unless
from workloads.models import Workload
from workloads.services.life import workload_delete
from workloads.services.power import workload_stop

log = logging.getLogger(__name__)

FURTHEST = timedelta(days=3660)
OFF = (Workload.State.STOPPED, Workload.State.CRASHED)


@transaction.atomic
def workload_expire(
    user: User, workload: Workload, *, at: datetime | None, then: str = Workload.Expiry.STOP
) -> Workload:
    """Sets the day on which the workload's time is over, and what becomes of it `then`; without `at` it has no end.

    It is done with the rights that this user then has. Raises Invalid for a time that has passed or lies ten years off.
    """
    refuse_unless(user, "operate", workload)
    if then not in Workload.Expiry.values:
        raise Invalid("Choose whether it is stopped or deleted then.", field="then")
    if at is not None and not timezone.now() < at < timezone.now() + FURTHEST:
        raise Invalid("Choose a time that is still to come, within ten years.", field="at")
    workload = Workload.objects.select_for_update().get(pk=workload.pk)
    workload.expires_at, workload.expiry, workload.expiry_note = at, then, ""
    workload.expiry_by = account_of(user) if at else None
    workload.save(update_fields=["expires_at", "expiry", "expiry_note", "expiry_by"])
    when = at.isoformat() if at else ""
    audit_write(user, "workload_expire", workload.kind, workload.pk, workload.name, at=when, then=then)
    publish_change("workload", workload.pk, "expiry")
    return workload


def expiries_sweep(now: datetime | None = None) -> int:
    """Begins what is due, one step for each workload; how many operations. Two sweeps at once begin each step once.

    What cannot be done now (its host is away, something else holds it) is tried again at the next sweep, and its
    reason stands on the workload's page.
    """
    now = now or timezone.now()
    due = Workload.objects.filter(expires_at__lte=now).exclude(state=Workload.State.CREATING)
    due = due.exclude(expiry=Workload.Expiry.STOP, state__in=OFF).exclude(state=Workload.State.GONE)
    return sum(_step(row) for row in due.select_related("host", "expiry_by"))


def _step(workload: Workload) -> bool:
    assert workload.expires_at is not None
    if busy_with(workload.kind, workload.pk):
        return False
    try:
        operation = _begin(workload, f"expiry-{workload.pk}-{workload.expires_at:%Y%m%dT%H%M%S}")
    except StowageError as error:
        note = error.message[:300]
        if note != workload.expiry_note:
            Workload.objects.filter(pk=workload.pk).update(expiry_note=note)
            log.warning("%s is over, but: %s", workload.name, note)
        return False
    return operation is not None


def _begin(workload: Workload, key: str) -> Operation | None:
    """Stop it, by force when its guest ignored the request, then delete it where that was asked for."""
    user = workload.expiry_by
    if user is None or not user.is_active:
        raise Forbidden("Whoever set its end has no account any more. Set its end anew, or remove it.")
    if workload.state in OFF:
        if workload.is_adopted:
            raise Refused(f"{workload.name} was not made by Stowage and is not deleted by itself. Delete it by hand.")
        return _once(f"{key}-delete", lambda name: workload_delete(user, workload, idempotency_key=name))
    asked = _once(f"{key}-stop", lambda name: workload_stop(user, workload, idempotency_key=name))
    if asked is None:
        return _once(f"{key}-force", lambda name: workload_stop(user, workload, force=True, idempotency_key=name))
    return asked


def _once(key: str, begin: Callable[[str], Operation]) -> Operation | None:
    """The operation that this key begins now; None when it was begun before."""
    if Operation.objects.filter(idempotency_key=key).exists():
        return None
    return begin(key)
