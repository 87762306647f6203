"""What a plane can do to its own host: say what it is, keep its bridge, empty it, try its accelerator."""

from __future__ import annotations

import json
import logging
import subprocess
from typing import Any

from hosts.errors import Refused
from hosts.plane import accelerator
from hosts.plane.context import PlaneContext
from hosts.plane.effects import QUIESCED, effect
from hosts.plane.facts import discover
from hosts.plane.progress import Progress

log = logging.getLogger(__name__)

TRIAL = "accelerator_trial"
_IDLE = ("stopped", "crashed")
_NAMES_SHOWN = 5


@effect("host.ping", lane="short", is_exclusive=False)
def host_ping(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The plane's own time, in the control plane's epoch seconds."""
    return {"at": context.clock()}


@effect("host.discover", lane="short", is_exclusive=False)
def host_discover(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The facts of this host."""
    progress.update("looking at the host")
    return discover(context)


@effect("host.bridge_ensure", lane="short")
def host_bridge_ensure(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The bridge that VMs attach to is there; one that was there before is left as it is.

    "created" stays true when the step runs again: it is what the undo asks.
    """
    name = arguments["bridge"]
    made = context.drivers.netlink.bridge_ensure(name, arguments.get("mtu"))
    if made:
        context.state.flag_set(f"bridge_made {name}", "1")
    return {"created": bool(made or context.state.flag(f"bridge_made {name}"))}


@effect("host.bridge_remove", lane="short")
def host_bridge_remove(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The bridge is gone; refused for one that Stowage did not make, or that is in use."""
    name = arguments["bridge"]
    removed = context.drivers.netlink.bridge_remove(name)
    context.state.flag_set(f"bridge_made {name}", None)
    return {"removed": bool(removed)}


@effect("host.assert_empty", lane="short", is_exclusive=False)
def host_assert_empty(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Refuses, naming them, while any workload is not stopped; a daemon that does not answer fails the step."""
    workloads = []
    if context.config.libvirt_uri:
        workloads += context.drivers.hypervisor.list_domains()
    if context.config.docker_url:
        workloads += context.drivers.engine.list_containers()
    names = sorted(workload.name for workload in workloads if workload.state not in _IDLE)
    if names:
        shown = ", ".join(names[:_NAMES_SHOWN])
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        raise Refused(f"{context.config.name} is not empty: {shown}{more} still run there.")
    return {}


@effect("host.quiesce", lane="short")
def host_quiesce(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """From now on the host refuses new work, also after a restart of its plane."""
    context.state.flag_set(QUIESCED, "1")
    return {}


@effect("host.unquiesce", lane="short")
def host_unquiesce(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    context.state.flag_set(QUIESCED, None)
    return {}


@effect("host.shut_down", lane="short")
def host_shut_down(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The host's operating system ends in a moment, in order. Only where its own configuration allows that."""
    command = context.config.shutdown_command
    if not command:
        raise Refused(
            f'{context.config.name} may not be shut down from here. Write "shutdown_command" into its plane\'s'
            " configuration and start hostd anew."
        )
    if not context.state.flag(QUIESCED):
        raise Refused(f"{context.config.name} is open to new work, so it is not shut down.")
    later = ["sh", "-c", f'sleep {context.shutdown_delay_s:g}; exec "$0" "$@"', *command]
    subprocess.Popen(later, stdin=subprocess.DEVNULL, start_new_session=True)
    return {}


@effect("host.probe_accelerator", lane="long", is_exclusive=False)
def host_probe_accelerator(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Which accelerator runs VMs here; a trial's answer is kept for as long as kernel and QEMU stay the same."""
    qemu = accelerator.qemu_find()
    kernel = accelerator.kernel_find([context.config.probe_kernel] if context.config.probe_kernel else [])
    key = accelerator.trial_key(kernel, accelerator.qemu_version(qemu))
    kept = json.loads(context.state.flag(TRIAL) or "{}")
    if kept.get("key") == key and not arguments.get("again"):
        return kept["answer"]
    progress.update("booting a kernel in KVM")
    with context.locks.wait("accelerator trial", lambda: not progress.is_aborted()):
        trial = accelerator.kvm_try(qemu, kernel, progress.is_aborted)
    progress.check()
    answer = {"accelerator": trial.accelerator, "sentence": trial.sentence, "seconds": trial.seconds}
    context.state.flag_set(TRIAL, json.dumps({"key": key, "answer": answer}))
    log.info(trial.sentence)
    return answer
