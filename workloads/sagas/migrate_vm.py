"""Move a running VM to another host without stopping it.

The recipe is pitfalls.md rule 7: check, reserve (the operation's target host is the reservation), migrate and leave
the destination paused, ask both sides, swap owner and generation in the database, only then resume. Whatever breaks,
exactly one copy can run: the destination's copy never runs before the source's is gone or cut off.
"""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused, Rejected, StowageError, error_from_data
from hosts.models import Host, PoolMount
from hosts.operations.registry import register
from hosts.operations.saga import Again, Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from workloads.models import Sighting, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, short_call, workload_of
from workloads.sagas.cdrom import FETCH_TIMEOUT_S, iso_of
from workloads.sagas.verdict import is_active, verdict_of

MIGRATE_TIMEOUT_S = 900.0
TRUTH_PATIENCE_S = 900.0  # how long both sides are asked before a person is
RESUME_PATIENCE_S = 120.0
TIDY_PATIENCE_S = 300.0


def migration_address(host: Host) -> str:
    """The address by which other hosts' libvirt reaches this one."""
    return str(host.facts.get("migration_address") or host.management_address)


def _describe(context: Context) -> EffectCall:
    return short_call(context, "vm.describe", role="source")


def _choose_disks(context: Context) -> Output:
    """Which disks must be copied: all but those in a pool that the target has under the same path."""
    target = context.parameters["target"]
    shared = {
        (mount.pool.pool_id, mount.path) for mount in PoolMount.objects.filter(host=target).select_related("pool")
    }
    there = PoolMount.objects.filter(host=context.parameters["source"]).select_related("pool")
    pools = {mount.path: mount.pool.pool_id for mount in there}
    copied = []
    for disk in context.output("describe").get("disks") or []:
        if disk.get("read_only"):  # an ISO is brought from the library, never sent
            continue
        folder = disk["path"].rpartition("/")[0]
        if (disk.get("pool_id") or pools.get(folder), folder) not in shared:
            copied.append(disk)
    return {"copied": copied, "targets": [disk["target"] for disk in copied]}


def _choose_iso(context: Context) -> Output:
    """The ISO in its drive, where the library still has it; without, the target must have the very file."""
    found = [iso_of(disk["path"]) for disk in context.output("describe").get("disks") or [] if disk.get("read_only")]
    return {"iso": next((image.source() for image in found if image), None)}


def _has_iso(context: Context) -> bool:
    return bool(context.output("choose_iso").get("iso"))


def _bring_iso(context: Context) -> EffectCall:
    iso = context.output("choose_iso")["iso"]
    return long_call(context, "vm.iso_bring", role="target", timeout_s=FETCH_TIMEOUT_S, iso=iso)


def _copied(context: Context) -> list[dict[str, Any]]:
    return list(context.output("choose_disks").get("copied") or [])


def _copied_paths(context: Context) -> list[str]:
    return [disk["path"] for disk in _copied(context) if not disk.get("read_only")]


def _check_target(context: Context) -> EffectCall:
    vm = context.output("describe")
    targets = context.output("choose_disks").get("targets") or []
    return short_call(
        context,
        "vm.migrate_check",
        role="target",
        vm=vm,
        copied_targets=targets,
        copied=bool(targets),
        bridges=vm.get("bridges") or [],
    )


def _prepare_target(context: Context) -> EffectCall:
    vm = context.output("describe")
    return long_call(
        context,
        "vm.migrate_prepare",
        role="target",
        disks=_copied(context),
        serial_log=vm.get("serial_log"),
        socket_folders=vm.get("socket_folders") or [],
    )


def _unprepare_target(context: Context) -> EffectCall:
    """After a lost answer the paths that would have been made; the host keeps any that a VM uses."""
    created = context.output("prepare_target").get("created", _copied_paths(context))
    return long_call(context, "vm.migrate_unprepare", role="target", created=created)


def _migrate(context: Context) -> EffectCall:
    target = Host.objects.get(pk=context.parameters["target"])
    address = migration_address(target)
    timeout_s = float(context.parameters.get("timeout_s", MIGRATE_TIMEOUT_S))
    call = long_call(
        context,
        "vm.migrate",
        role="source",
        timeout_s=timeout_s + 30,
        destination_uri=f"qemu+tcp://{address}/system",
        migration_uri=f"tcp://{address}",
        copied_targets=context.output("choose_disks").get("targets") or [],
        bandwidth_mib_s=int(context.parameters.get("bandwidth_mib_s", 0)),
        auto_converge=bool(context.parameters.get("auto_converge", True)),
        generation=generation_of(context),
    )
    call.arguments["timeout_s"] = timeout_s  # the guest's, a little less than the effect's
    return call


def _decide(context: Context) -> Output:
    source, target = context.output("ask_source"), context.output("ask_target")
    verdict = verdict_of(source, target)
    seen = f"source: {source.get('reason') or 'absent'}, destination: {target.get('reason') or 'absent'}"
    name = context.operation.subject_name
    if verdict == "again":
        raise Again("ask_source", f"The move of {name} is not over yet ({seen}).")
    if verdict == "doubled":
        raise Rejected(f"{name} is active on both hosts ({seen}). Choose one and cut off the other, then retry.")
    if verdict == "lost":
        raise Rejected(f"{name} is on neither host ({seen}). Look for it, then retry or close this operation.")
    return {
        "verdict": verdict,
        "cut_source": verdict == "moved" and is_active(source),
        "cut_target": verdict == "stayed" and target["present"],
        "seen": seen,
    }


def _moved(context: Context) -> bool:
    return context.output("decide").get("verdict") == "moved"


def _stayed(context: Context) -> bool:
    return context.output("decide").get("verdict") == "stayed"


def _is_copy_left(context: Context) -> bool:
    return bool(context.output("decide").get("cut_target"))


def _is_source_left(context: Context) -> bool:
    return bool(context.output("decide").get("cut_source"))


def _give_up(context: Context) -> None:
    """The VM stayed; the undo tidies the target up."""
    failure = context.output("migrate").get("error")
    error: StowageError = (
        error_from_data(failure) if failure else Rejected("libvirt reported success, but the VM did not move.")
    )
    raise Rejected(
        f"{context.operation.subject_name} stayed where it was: {error.message}", error.detail or error.message
    )


def _swap_owner(context: Context) -> None:
    """From here on the destination owns the VM; a row that is not as it was is a defect that a person must see."""
    workload = workload_of(context)
    swapped = Workload.objects.filter(
        pk=workload.pk, host=context.parameters["source"], generation__lt=generation_of(context)
    ).update(host=context.parameters["target"], generation=generation_of(context))
    if not swapped:
        raise Refused(
            f"{workload.name} is not owned by the host that it was moved from. It waits paused on its destination."
        )
    # The source no longer has it: its last sighting would read as a second running copy.
    Sighting.objects.filter(workload=workload, host=context.parameters["source"]).delete()
    publish_change("workload", workload.pk, "moved")


def _resume(context: Context) -> EffectCall:
    return short_call(context, "vm.resume", role="target", generation=generation_of(context))


def _stamp(context: Context) -> EffectCall:
    return short_call(
        context,
        "vm.stamp",
        role="target",
        generation=generation_of(context),
        operation=str(context.operation.pk),
    )


def _confirm(context: Context) -> None:
    found = context.output("verify")
    if found.get("state") != "running":
        reason = found.get("reason") or "absent"
        raise Again("verify", f"{context.operation.subject_name} does not run on its new host yet ({reason}).")
    record_observed(context, Workload.State.RUNNING)


def _clean_source(context: Context) -> EffectCall:
    return long_call(context, "vm.clean_source", role="source", copied_paths=_copied_paths(context))


def _clean_target(context: Context) -> EffectCall:
    """Undefines the copy and sets its disks aside: whoever doubts can still look at them."""
    return long_call(context, "vm.clean_source", role="target", copied_paths=_copied_paths(context))


MIGRATE_VM = register(
    Saga(
        "migrate_vm",
        "move VM",
        (
            Step("describe", effect=_describe),  # reads only
            Step("choose_disks", control=_choose_disks),
            Step("choose_iso", control=_choose_iso),
            # Not undone: an ISO in the cache is harmless.
            Step("bring_iso", effect=_bring_iso, when=_has_iso),
            Step("check_target", effect=_check_target),  # reads only
            Step("prepare_target", effect=_prepare_target, undo_effect=_unprepare_target),
            # Its failure says nothing about where the VM is; the steps below find out, and tidy up either way.
            Step("migrate", effect=_migrate, attempts=1, failure_is_output=True),
            Step(
                "ask_source",
                effect=lambda context: short_call(context, "vm.locate", role="source", timeout_s=20),
                patience_s=TRUTH_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            Step(
                "ask_target",
                effect=lambda context: short_call(context, "vm.locate", role="target", timeout_s=20),
                patience_s=TRUTH_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            Step(
                "decide",
                control=_decide,
                patience_s=TRUTH_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            # -- it stayed
            Step(
                "cut_target",
                effect=lambda context: short_call(context, "vm.destroy", role="target"),
                when=_is_copy_left,
                patience_s=TIDY_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            Step(
                "clean_target",
                effect=_clean_target,
                when=_is_copy_left,
                patience_s=TIDY_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            Step("give_up", control=_give_up, when=_stayed, cancel_waits=True),
            # -- it moved: forward only
            Step(
                "cut_source",
                effect=lambda context: short_call(context, "vm.destroy", role="source"),
                when=_is_source_left,
                patience_s=TIDY_PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
            ),
            Step(
                "swap_owner",
                control=_swap_owner,
                stuck_on_failure=True,
                cancel_waits=True,
                point_of_no_return=True,
            ),
            Step("resume", effect=_resume, patience_s=RESUME_PATIENCE_S),
            Step("stamp", effect=_stamp, patience_s=RESUME_PATIENCE_S),
            Step(
                "verify",
                effect=lambda context: short_call(context, "vm.locate", role="target", timeout_s=20),
                patience_s=RESUME_PATIENCE_S,
            ),
            Step("confirm", control=_confirm, patience_s=30),
            Step("clean_source", effect=_clean_source, patience_s=TIDY_PATIENCE_S),
        ),
    )
)
