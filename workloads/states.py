"""What may be done to a workload in its present state: `None`, or the sentence that says why not.

The API's 409, the disabled button's tooltip and the planner's reason are this sentence.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from hosts.states import is_silent, why_no_gateway

WorkloadVerb = Literal[
    "start",
    "stop",
    "force_stop",
    "restart",
    "pause",
    "resume",
    "reset",
    "save",
    "wipe_seed",
    "resize",
    "snapshot",
    "clone",
    "save_image",
    "cdrom",
    "back_up",
    "devices",
    "rename",
    "recreate",
    "delete",
    "move",
    "pin",
    "unpin",
    "keep_apart",
    "vnc",
    "serial",
    "exec",
    "attach",
    "log",
    "top",
    "diff",
]
WORKLOAD_VERBS: tuple[WorkloadVerb, ...] = (
    "start",
    "stop",
    "force_stop",
    "restart",
    "pause",
    "resume",
    "reset",
    "save",
    "wipe_seed",
    "resize",
    "snapshot",
    "clone",
    "save_image",
    "cdrom",
    "back_up",
    "devices",
    "rename",
    "recreate",
    "delete",
    "move",
    "pin",
    "unpin",
    "keep_apart",
    "vnc",
    "serial",
    "exec",
    "attach",
    "log",
    "top",
    "diff",
)
ON_ONLY = {"reset": "reset", "save": "saved to disk"}
VM_ONLY = ON_ONLY | {
    "wipe_seed": "told something at its first boot",
    "snapshot": "kept as a snapshot",
    "clone": "cloned",
    "save_image": "saved as an image",
    "back_up": "backed up",
    "devices": "given devices",
    "cdrom": "given an ISO",
}
OFF_TOO = ("log", "diff")  # what a container that is off still has
CONSOLES: dict[str, tuple[str, ...]] = {"vm": ("vnc", "serial"), "container": ("exec", "attach", "log", "top", "diff")}


def why_not(workload: Any, verb: str, *, busy: str | None = None, now: datetime | None = None) -> str | None:
    """None, or why the verb is not possible now. Asks no database, given the workload with its host.

    `busy` is the sentence about the operation that holds the workload, if any.
    """
    if verb not in WORKLOAD_VERBS:
        raise ValueError(f"no verb {verb} for a workload")
    if verb in ("pin", "unpin"):
        return _pin(workload, verb)
    if any(verb in verbs for verbs in CONSOLES.values()):
        return _console_reason(workload, verb, now)
    if busy or verb == "keep_apart":
        return busy
    return _host_reason(workload, verb, now) or _state_reason(workload, verb, now)


def why_no_image(host: Any, verb: str, image: Any = None, now: datetime | None = None) -> str | None:
    """None, or why a container image cannot be pulled to the host, or removed from it ("pull", "remove"), now."""
    if host.lifecycle != "enrolled":
        return f"{host.name} is not enrolled."
    if host.power == "off":
        return f"{host.name} is powered off. Power it on first."
    if is_silent(host, now):
        return f"{host.name} does not answer. Wait until it does."
    if host.engine_sentence:
        return f"{host.name}: {host.engine_sentence}"
    if verb == "pull" and (host.is_cordoned or host.is_in_maintenance):
        return f"{host.name} takes no new work. End its maintenance first."
    if verb == "remove" and image.used_by:
        return f"{image.label} is used by {', '.join(image.used_by[:5])}. Delete what is made from it first."
    return None


def why_not_reached(host: Any, now: datetime | None = None) -> str | None:
    """None, or why nothing can be asked of the host now."""
    if host.power == "off":
        return f"{host.name} is powered off. Power it on first."
    if is_silent(host, now):
        return f"{host.name} does not answer. Wait until it does."
    return None


def why_no_backup_verb(
    backup: Any, verb: str, *, host: Any = None, busy: str | None = None, now: datetime | None = None
) -> str | None:
    """None, or why a backup cannot be checked, deleted or restored ("verify", "delete", "restore") now.

    `host`: where the VM shall be restored, if not on the backup's own.
    """
    if busy:
        return busy
    host = host or backup.host
    if host is None:
        return f"The host {backup.host_name}, on which it lies, is gone."
    if reason := why_not_reached(host, now):
        return reason
    if backup.state == "removing" and verb != "delete":
        return "It is being removed."
    if backup.state == "damaged" and verb == "restore":
        return f"It is damaged: {backup.sentence} Verify it again once that is mended."
    return None


def _pin(workload: Any, verb: str) -> str | None:
    if (verb == "pin") == workload.is_pinned:
        return f"{workload.name} is {'pinned already' if verb == 'pin' else 'not pinned'}."
    return None


def _console_reason(workload: Any, verb: str, now: datetime | None) -> str | None:
    """An operation that holds the workload is no reason: one looks on while it starts or moves."""
    name, state = workload.name, workload.state
    if verb not in CONSOLES[workload.kind]:
        return f"{name} is a {workload.get_kind_display()}; it has no console of that kind."
    if state in ("stopped", "crashed", "creating") and (verb not in OFF_TOO or state == "creating"):
        return f"{name} is {state}, so it has no console. Start it first."
    if reason := _host_reason(workload, verb, now):
        return reason
    if state == "unknown":
        return f"Nobody knows whether {name} runs. Wait until its host tells."
    if verb in ("exec", "attach", "top") and state != "running":
        return f"{name} is {state}; a console needs it running."
    return why_no_gateway(workload.host)


def _host_reason(workload: Any, verb: str, now: datetime | None) -> str | None:
    host = workload.host
    if host is None:
        return f"Nobody knows on which host {workload.name} is."
    if workload.state == "gone":
        return (
            None
            if verb == "delete"
            else f"{workload.name} is gone: {host.name} answers and does not have it. Delete its entry, or restore it."
        )
    if host.power == "off":
        return f"{host.name} is powered off. Power it on first."
    if is_silent(host, now):
        return f"{host.name} does not answer, so the true state of {workload.name} is not known."
    sentence = host.hypervisor_sentence if workload.kind == "vm" else host.engine_sentence
    return f"{host.name}: {sentence}" if sentence else None


def _state_reason(workload: Any, verb: str, now: datetime | None) -> str | None:
    state, name = workload.state, workload.name
    if verb == "start" and state in ("running", "starting", "paused", "migrating"):
        return f"{name} is {state}."
    if verb == "start" and workload.expires_at is not None and workload.expires_at <= (now or datetime.now(UTC)):
        return f"The time of {name} is over since {workload.expires_at:%Y-%m-%d %H:%M} UTC. Give it more first."
    if verb in ("stop", "force_stop") and state in ("stopped", "crashed", "creating"):
        return f"{name} is {state}; there is nothing to stop."
    if verb in VM_ONLY and workload.kind != "vm":
        return f"{name} is a {workload.get_kind_display()}; only a VM can be {VM_ONLY[verb]}."
    if verb in ("restart", "pause") and state != "running":
        return f"{name} is {state}; only a running workload is {'restarted' if verb == 'restart' else 'paused'}."
    if verb == "resume" and state != "paused":
        return f"{name} is {state}; only a paused workload goes on."
    if verb in ON_ONLY and state not in ("running", "paused"):
        return f"{name} is {state}; only a VM that is on can be {ON_ONLY[verb]}."
    if verb in ("resize", "snapshot", "devices") and state not in ("running", "paused", "stopped", "crashed"):
        return f"{name} is {state}; wait until it runs or is stopped."
    if verb == "cdrom":
        return _cdrom_reason(workload)
    if verb == "devices" and workload.is_adopted:
        return f"{name} was not made by Stowage, which leaves its devices as they are."
    if verb == "back_up":
        return _backup_reason(workload)
    if verb in ("clone", "save_image"):
        return _copy_reason(workload)
    if verb == "rename":
        return _rename_reason(workload)
    if verb == "recreate":
        return _recreate_reason(workload)
    if verb == "delete" and state not in ("stopped", "crashed", "gone"):
        return f"{name} is {state}. Stop it before deleting it."
    if verb == "move":
        return _move_reason(workload)
    return None


def _copy_reason(workload: Any) -> str | None:
    if workload.is_adopted:
        return f"{workload.name} was not made by Stowage, which copies only what it knows in full."
    if workload.state != "stopped":
        return f"{workload.name} is {workload.state}; its disks are copied while it is stopped. Stop it first."
    return None


def _cdrom_reason(workload: Any) -> str | None:
    if workload.is_adopted:
        return f"{workload.name} was not made by Stowage, which leaves its CD-ROM drive as it is."
    if workload.state not in ("running", "paused", "stopped", "crashed"):
        return f"{workload.name} is {workload.state}; wait until it runs or is stopped."
    return None


def _backup_reason(workload: Any) -> str | None:
    if workload.is_adopted:
        return f"{workload.name} was not made by Stowage, which backs up only what it knows in full."
    if workload.state not in ("running", "paused", "stopped", "crashed"):
        return f"{workload.name} is {workload.state}; wait until it runs or is stopped."
    return None


def _rename_reason(workload: Any) -> str | None:
    if workload.state not in ("running", "paused", "stopped", "crashed"):
        return f"{workload.name} is {workload.state}; wait until it runs or is stopped."
    if workload.kind == "vm" and workload.state in ("running", "paused"):
        return f"{workload.name} is {workload.state}; libvirt renames a VM only while it is off. Stop it first."
    if workload.snapshot_count:
        return f"{workload.name} has snapshots, with which libvirt does not rename it. Delete them first."
    return None


def _recreate_reason(workload: Any) -> str | None:
    if workload.kind != "container":
        return f"{workload.name} is a {workload.get_kind_display()}; only a container is made anew from an image."
    if workload.state != "running":
        return f"{workload.name} is {workload.state}; only a running container is made anew, to see that it stays well."
    return None


def _move_reason(workload: Any) -> str | None:
    if workload.is_pinned:
        why = workload.pin_reason.rstrip(".") or "no reason given"
        return f"{workload.name} is pinned to {workload.host.name}: {why}."
    if workload.state != "running":
        return f"{workload.name} is {workload.state}; only a running workload is moved."
    if workload.tie:
        return str(workload.tie)
    if workload.snapshot_count:
        return f"{workload.name} has snapshots, with which libvirt does not move it. Delete them first."
    return None
