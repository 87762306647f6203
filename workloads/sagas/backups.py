"""Back up a VM, look whether a backup is sound, delete one, and make a VM from one.

What is written stands as a row only once all of it is on the disk; what is to be removed is marked first, so that
nobody builds on it meanwhile. A backup that a new VM or a further backup rests on is leased by their operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from hosts.errors import Invalid, Refused, Rejected
from hosts.models import Host, Lease
from hosts.operations.queues import host_long
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from workloads.backup_chains import chains_beyond
from workloads.backup_manifest import row_of
from workloads.models import Backup, VmSeed, Workload
from workloads.sagas.calls import LONG_DEADLINE_S, generation_of, host_name, long_call, record_observed, row_remove
from workloads.sagas.create_vm import DEFINE, SEED, spec_of

COPY_TIMEOUT_S = 12 * 3600.0


def link_of(backup: Backup) -> dict[str, Any]:
    """A backup as effects are told of it."""
    files = [{key: file[key] for key in ("target", "file", "size_bytes", "sha256")} for file in backup.files]
    return {"backup": str(backup.pk), "vm": str(backup.vm_uuid), "folder": backup.folder, "files": files}


# --- back up


def _write(context: Context) -> EffectCall:
    parameters = context.parameters
    wanted = {key: parameters[key] for key in ("backup", "folder", "kind", "since")}
    call = long_call(context, "vm.backup", timeout_s=COPY_TIMEOUT_S, **wanted)
    call.arguments["spec"] = parameters["spec"]  # of the VM as it is, kept beside its disks
    return call


def _unwrite(context: Context) -> EffectCall:
    told = {key: context.parameters[key] for key in ("backup", "folder")}
    return long_call(context, "vm.backup_undo", **told)


def _record(context: Context) -> None:
    parameters, told = context.parameters, context.output("write")
    Backup.objects.update_or_create(
        pk=parameters["backup"],
        defaults={
            "vm_uuid": parameters["workload"],
            "vm_name": context.operation.subject_name,
            "host_id": parameters["host"],
            "host_name": host_name(context),
            "folder": told["folder"],
            "taken_at": datetime.fromtimestamp(told["taken_at_s"], UTC),
            "kind": told["kind"],
            "parent_id": told["parent"],
            "checkpoint": told["checkpoint"],
            "is_at_rest": told["is_at_rest"],
            "is_frozen": told.get("is_frozen", False),
            "not_frozen": told.get("not_frozen", "")[:200],
            "sentence": told["sentence"][:500] if parameters["kind"] == Backup.Kind.INCREMENTAL else "",
            "spec": parameters["spec"] | {"seed": told["seed"]},
            "files": told["files"],
        },
    )
    publish_change("backup", parameters["backup"], "taken")


def _choose_old(context: Context) -> Output:
    """Marks what the VM has more of than it shall keep, and what an earlier removal left; none that is in use."""
    rows = list(Backup.objects.filter(vm_uuid=context.parameters["workload"], host=context.parameters["host"]))
    leased = Lease.objects.filter(thing_kind="backup", operation__isnull=False).exclude(operation=context.operation)
    held = set(leased.values_list("thing_id", flat=True))
    chosen = chains_beyond(rows, int(context.parameters["keep"]), held)
    Backup.objects.filter(pk__in=[row.pk for row in chosen]).update(state=Backup.State.REMOVING)
    return {"remove": [{key: link_of(row)[key] for key in ("backup", "vm", "folder")} for row in chosen]}


def _tidy(context: Context) -> EffectCall:
    keep, remove = context.output("write")["checkpoint"], context.output("choose_old")["remove"]
    return long_call(context, "vm.backup_tidy", timeout_s=900, keep=keep, remove=remove)


def _is_to_tidy(context: Context) -> bool:
    return bool(context.output("write").get("checkpoint") or context.output("choose_old").get("remove"))


def _forget_old(context: Context) -> None:
    """What could not be removed now keeps its mark, and the next backup tries again."""
    _rows_remove(context.output("tidy").get("removed") or ())


def _rows_remove(numbers: Iterable[str]) -> None:
    """One by one in the order in which the files went, that of children before parents."""
    for number in numbers:
        Backup.objects.filter(pk=number).delete()
        publish_change("backup", number, "removed")


BACK_UP_VM = register(
    Saga(
        "back_up_vm",
        "back up VM",
        (
            Step("write", effect=_write, undo_effect=_unwrite),
            # From here on it counts, whatever becomes of the older ones.
            Step("record_backup", control=_record, point_of_no_return=True),
            Step("choose_old", control=_choose_old),
            Step("tidy", effect=_tidy, when=_is_to_tidy, failure_is_output=True),
            Step("forget_old", control=_forget_old),
        ),
    )
)


# --- check, delete


def _backup_call(context: Context, effect: str, timeout_s: float, **arguments: Any) -> EffectCall:
    """A call about a backup, whose VM may be gone, or busy with something else."""
    return EffectCall(
        host_long(host_name(context)),
        effect,
        arguments,
        subject=(context.operation.subject_kind, context.operation.subject_id),
        timeout_s=timeout_s,
        deadline_s=LONG_DEADLINE_S,
    )


def _check(context: Context) -> EffectCall:
    return _backup_call(context, "vm.backup_check", COPY_TIMEOUT_S, chain=context.parameters["chain"])


def _mark(context: Context) -> None:
    """What was found stays written down, whatever the operation comes to."""
    damaged, now = context.output("check")["damaged"], timezone.now()
    for number in [link["backup"] for link in context.parameters["chain"]]:
        rows = Backup.objects.filter(pk=number).exclude(state=Backup.State.REMOVING)
        if number in damaged:
            rows.update(state=Backup.State.DAMAGED, sentence=damaged[number][:500], verified_at=now)
        else:
            rows.filter(state=Backup.State.DAMAGED).update(state=Backup.State.READY, sentence="")
            rows.update(verified_at=now)
        publish_change("backup", number, "verified")


def _judge(context: Context) -> None:
    """A backup rests on all of its chain, so that one bad link is enough."""
    if damaged := context.output("check")["damaged"]:
        raise Rejected("The backup is damaged: " + " ".join(sorted(set(damaged.values()))))


VERIFY_BACKUP = register(
    Saga(
        "verify_backup",
        "verify backup",
        # Nothing is changed on the host, so there is nothing to take back.
        (Step("check", effect=_check), Step("mark", control=_mark), Step("judge", control=_judge)),
    )
)


def _remove(context: Context) -> EffectCall:
    entry = {key: context.parameters["chain"][-1][key] for key in ("backup", "vm", "folder")}
    return _backup_call(context, "vm.backup_tidy", 900, remove=[entry])


def _forget(context: Context) -> None:
    _rows_remove([context.operation.subject_id])


def _unmark(context: Context) -> None:
    Backup.objects.filter(pk=context.operation.subject_id).update(state=Backup.State.READY)


DELETE_BACKUP = register(
    Saga(
        "delete_backup",
        "delete backup",
        # Not undone: what was deleted is gone, as was asked for.
        (Step("remove_files", effect=_remove), Step("forget", control=_forget)),
        on_undone=_unmark,
    )
)


# --- find those that nobody here knows


def _find(context: Context) -> EffectCall:
    return _backup_call(context, "backup.find", 600, folder=context.parameters["folder"])


def _adopt(context: Context) -> Output:
    """Writes down what was found: what it rests on first, and nothing without that."""
    told, host = context.output("find"), Host.objects.get(pk=context.parameters["host"])
    rows, strange = {}, 0
    for manifest in told["found"]:
        try:
            row = row_of(manifest, host, told["folder"])
        except Invalid:
            strange += 1
        else:
            rows[row.pk] = row
    known = set(
        Backup.objects.filter(pk__in=[*rows, *(row.parent_id for row in rows.values() if row.parent_id)]).values_list(
            "pk", flat=True
        )
    )
    waiting = [row for row in rows.values() if row.pk not in known]
    added = 0
    while ready := [row for row in waiting if row.parent_id is None or row.parent_id in known]:
        for row in ready:
            row.save(force_insert=True)
            publish_change("backup", row.pk, "found")
        known |= {row.pk for row in ready}
        waiting = [row for row in waiting if row.pk not in known]
        added += len(ready)
    return {"added": added, "strange": strange, "without_parent": len(waiting)}


FIND_BACKUPS = register(
    Saga(
        "find_backups",
        "look for backups",
        # Nothing is changed on the host, so there is nothing to take back.
        (Step("find", effect=_find), Step("adopt_found", control=_adopt)),
    )
)


# --- make a VM from one


def _check_all(context: Context) -> EffectCall:
    return long_call(context, "vm.backup_check", timeout_s=COPY_TIMEOUT_S, chain=context.parameters["chain"])


def _restore(context: Context) -> EffectCall:
    chain = context.parameters["chain"]
    return long_call(context, "vm.backup_restore", timeout_s=COPY_TIMEOUT_S, spec=spec_of(context), chain=chain)


def _judge_here(context: Context) -> None:
    """On another host than its own that the files are not there says nothing of the backup."""
    if damaged := context.output("check")["damaged"]:
        name = Host.objects.values_list("name", flat=True).get(pk=context.parameters["host"])
        found = " ".join(sorted(set(damaged.values())))
        raise Refused(f"On {name} the backup cannot be used: {found}")


def _record_restored(context: Context) -> None:
    VmSeed.objects.filter(vm=context.parameters["workload"]).delete()
    stopped: Any = Workload.State.STOPPED
    record_observed(context, stopped, generation=generation_of(context))


RESTORE_VM = register(
    Saga(
        "restore_vm",
        "restore VM",
        (
            Step("check", effect=_check_all),
            Step("judge", control=_judge_here),
            Step(
                "restore_disks",
                effect=_restore,
                undo_effect=lambda context: long_call(context, "vm.volumes_remove", spec=spec_of(context)),
            ),
            SEED,
            DEFINE,
            Step("record", control=_record_restored),
        ),
        on_undone=row_remove,
    )
)
