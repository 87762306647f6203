"""Take a snapshot of a VM, bring it back to one, delete one. The host's list is written down after each."""

from __future__ import annotations

from datetime import UTC, datetime

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Snapshot, VirtualMachine, Workload
from workloads.sagas.calls import generation_of, long_call, record, record_observed, short_call, uuid_of

SNAPSHOT_TIMEOUT_S = 900.0  # a guest's whole memory goes to its disk, or comes from there
OFF = ("stopped", "crashed")
TOLD = ["parent_name", "taken_at", "has_memory", "is_current"]


def _take(context: Context) -> EffectCall:
    return long_call(
        context,
        "vm.snapshot_take",
        timeout_s=SNAPSHOT_TIMEOUT_S,
        name=context.parameters["name"],
        operation=str(context.operation.pk),
    )


def _untake(context: Context) -> EffectCall:
    return long_call(
        context, "vm.snapshot_delete", name=context.parameters["name"], operation=str(context.operation.pk)
    )


def _revert(context: Context) -> EffectCall:
    return long_call(context, "vm.snapshot_revert", timeout_s=SNAPSHOT_TIMEOUT_S, name=context.parameters["name"])


def _delete(context: Context) -> EffectCall:
    return long_call(context, "vm.snapshot_delete", timeout_s=SNAPSHOT_TIMEOUT_S, name=context.parameters["name"])


def _stamp(context: Context) -> EffectCall:
    """The definition came back from the snapshot, and with it an owner of long ago."""
    return short_call(context, "vm.stamp", generation=generation_of(context), operation=str(context.operation.pk))


def _rows_write(context: Context, step: str) -> int:
    """Makes the VM's rows what its host listed at the end of that step; how many there are."""
    rows = [
        Snapshot(
            vm_id=uuid_of(context),
            name=each["name"],
            parent_name=each["parent"],
            taken_at=datetime.fromtimestamp(each["taken_at_s"], UTC),
            has_memory=each["has_memory"],
            is_current=each["is_current"],
        )
        for each in context.output(step)["snapshots"]
    ]
    Snapshot.objects.filter(vm=uuid_of(context)).exclude(name__in=[row.name for row in rows]).delete()
    Snapshot.objects.bulk_create(rows, update_conflicts=True, unique_fields=["vm", "name"], update_fields=TOLD)
    return len(rows)


def _record_taken(context: Context) -> None:
    record(context, snapshot_count=_rows_write(context, "take"))


def _record_deleted(context: Context) -> None:
    record(context, snapshot_count=_rows_write(context, "delete"))


def _record_reverted(context: Context) -> None:
    """The definition came back too, and with it what the VM has from its next start on."""
    found = context.output("revert")
    is_off = found["state"] in OFF
    VirtualMachine.objects.filter(pk=uuid_of(context)).update(next_size={} if is_off else found["next_size"])
    record_observed(
        context,
        found["state"],
        desired=Workload.Desired.STOPPED if is_off else Workload.Desired.RUNNING,
        snapshot_count=_rows_write(context, "revert"),
    )


TAKE_SNAPSHOT = register(
    Saga(
        "take_snapshot",
        "take a snapshot",
        (Step("take", effect=_take, undo_effect=_untake), Step("record", control=_record_taken)),
    )
)

REVERT_SNAPSHOT = register(
    Saga(
        "revert_snapshot",
        "go back to a snapshot",
        # Not undone: what the VM was meanwhile is nowhere kept, and the page says so before.
        (
            Step("revert", effect=_revert),
            Step("stamp", effect=_stamp, patience_s=120),
            Step("record", control=_record_reverted),
        ),
    )
)

DELETE_SNAPSHOT = register(
    Saga(
        "delete_snapshot",
        "delete a snapshot",
        # Not undone: what was deleted is gone, as was asked for.
        (Step("delete", effect=_delete), Step("record", control=_record_deleted)),
    )
)
