"""What people may do to operations under way."""

from __future__ import annotations

from django.db import transaction

from hosts.audit import audit_write
from hosts.models import Operation
from hosts.operations.intervene import (
    operation_cancel_request,
    operation_close_request,
    operation_retry_request,
)
from hosts.services.doors import User, refuse_unless


@transaction.atomic
def operation_cancel(user: User, operation: Operation) -> None:
    """Asks an operation to stop and take back what it did; raises Refused when it is too late."""
    refuse_unless(user, "operate", operation)
    operation_cancel_request(operation)
    _audit(user, "operation_cancel", operation)


@transaction.atomic
def operation_retry(user: User, operation: Operation) -> None:
    """Lets an operation that needs attention try again from where it stopped."""
    refuse_unless(user, "operate", operation)
    operation_retry_request(operation)
    _audit(user, "operation_retry", operation)


@transaction.atomic
def operation_close(user: User, operation: Operation) -> None:
    """Ends an operation that needs attention as it stands; the administrator has looked after the rest."""
    refuse_unless(user, "administer", operation)
    operation_close_request(operation)
    _audit(user, "operation_close", operation)


def _audit(user: User, verb: str, operation: Operation) -> None:
    audit_write(
        user,
        verb,
        operation.subject_kind,
        operation.subject_id,
        operation.subject_name,
        operation_id=operation.pk,
        kind=operation.kind,
    )
