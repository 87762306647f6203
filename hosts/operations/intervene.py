"""What a person may do to an operation under way: cancel it, try again what is stuck, or close it."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from hosts.errors import Refused
from hosts.models import Entry, Operation
from hosts.operations import registry
from hosts.operations.journal import append, fold
from hosts.operations.lease import lease_release
from hosts.operations.transport import transport_default
from hosts.operations.work import is_past_return
from hosts.publish import publish_change

State = Operation.State


def why_not_cancel(operation: Operation) -> str | None:
    """None, or the sentence that says why it cannot be cancelled (any more)."""
    if operation.state not in (State.QUEUED, State.RUNNING):
        return f"This operation is {operation.get_state_display()}; there is nothing to cancel."
    if operation.cancel_requested_at:
        return "This operation is being cancelled already."
    if is_past_return(registry.saga_named(operation.kind), fold(list(operation.entries.order_by("number")))):
        return "Too late to cancel: the change has taken effect, and only tidying up is left."
    return None


@transaction.atomic
def operation_cancel_request(operation: Operation) -> None:
    """Sets the flag that the runner obeys before its next step; raises Refused when it is too late."""
    operation = Operation.objects.select_for_update().get(pk=operation.pk)
    if reason := why_not_cancel(operation):
        raise Refused(reason)
    Operation.objects.filter(pk=operation.pk).update(cancel_requested_at=Now())
    _go_on(operation)


@transaction.atomic
def operation_retry_request(operation: Operation) -> None:
    """Lets a stuck operation try again from where it stopped; raises Refused for any other."""
    operation = Operation.objects.select_for_update().get(pk=operation.pk)
    if operation.state != State.STUCK:
        raise Refused("Only an operation that needs attention can be tried again.")
    journal = fold(list(operation.entries.order_by("number")))
    append(operation, journal.count + 1, Entry.Kind.NOTED, "", note="retry")
    operation.state = State.UNDOING if journal.undoing else State.RUNNING
    operation.save(update_fields=["state", "updated_at"])
    _go_on(operation)


@transaction.atomic
def operation_close_request(operation: Operation) -> None:
    """Ends a stuck operation as it stands and frees what it held; the person vouches for the rest."""
    operation = Operation.objects.select_for_update().get(pk=operation.pk)
    if operation.state != State.STUCK:
        raise Refused("Only an operation that needs attention can be closed.")
    journal = fold(list(operation.entries.order_by("number")))
    append(operation, journal.count + 1, Entry.Kind.NOTED, "", note="closed")
    Operation.objects.filter(pk=operation.pk).update(state=State.FAILED, finished_at=Now())
    lease_release(operation)
    publish_change("operation", operation.pk, "closed")


def _go_on(operation: Operation) -> None:
    publish_change("operation", operation.pk, "changed")
    transaction.on_commit(partial(transport_default().ring, str(operation.pk)), robust=True)
