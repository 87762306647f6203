"""How an operation comes into being: leases, journal and audit record in one transaction, then a doorbell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction

from hosts.accounts import account_of
from hosts.audit import SYSTEM, audit_write
from hosts.models import Host, Operation
from hosts.operations import registry
from hosts.operations.lease import Thing, lease_take
from hosts.operations.transport import transport_default
from hosts.publish import publish_change


def operation_start(
    kind: str,
    *,
    user: AbstractBaseUser | AnonymousUser | None,
    subject: tuple[str, str, str],
    parameters: dict[str, Any] | None = None,
    host: Host | None = None,
    target_host: Host | None = None,
    leases: Iterable[Thing] = (),
    idempotency_key: str | None = None,
    before_start: Callable[[Operation], None] | None = None,
) -> Operation:
    """The operation, queued; or the one that was started before with the same idempotency key.

    `subject` is (kind, id, name). The subject and every further thing in `leases` are leased to the operation;
    raises Refused naming who has one. `before_start` runs in the same transaction once the leases are held:
    it checks what must still be true and makes the rows that the operation is about.
    """
    registry.saga_named(kind)
    try:
        return _start(
            kind, user, subject, parameters or {}, host, target_host, list(leases), idempotency_key, before_start
        )
    except IntegrityError:
        # Two requests with one key at the same moment: the second finds the first's operation.
        if idempotency_key and (known := _known(idempotency_key)):
            return known
        raise


@transaction.atomic
def _start(
    kind: str,
    user: AbstractBaseUser | AnonymousUser | None,
    subject: tuple[str, str, str],
    parameters: dict[str, Any],
    host: Host | None,
    target_host: Host | None,
    leases: list[Thing],
    idempotency_key: str | None,
    before_start: Callable[[Operation], None] | None,
) -> Operation:
    if idempotency_key and (known := _known(idempotency_key)):
        return known
    account = account_of(user)
    operation = Operation.objects.create(
        kind=kind,
        parameters=parameters,
        subject_kind=subject[0],
        subject_id=str(subject[1]),
        subject_name=subject[2],
        host=host,
        target_host=target_host,
        requested_by=account,
        requested_by_name=account.get_username() if account else SYSTEM,
        idempotency_key=idempotency_key or None,
    )
    lease_take(operation, dict.fromkeys([(subject[0], str(subject[1])), *leases]))
    if before_start is not None:
        before_start(operation)
    audit_write(user, kind, subject[0], subject[1], subject[2], operation_id=operation.uuid, parameters=parameters)
    publish_change("operation", operation.uuid, "started")
    transaction.on_commit(partial(transport_default().ring, str(operation.uuid)), robust=True)
    return operation


def _known(idempotency_key: str) -> Operation | None:
    return Operation.objects.filter(idempotency_key=idempotency_key).first()
