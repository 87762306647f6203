"""The power verbs of workloads: start, stop, restart, pause, resume, reset, save to disk."""

from __future__ import annotations

from hosts.models import Operation
from hosts.services.doors import User
from workloads.models import Workload
from workloads.services.capacity import refuse_without_room
from workloads.services.operating import need_of, operate

CONTAINER_STOP_S = 10.0  # as the engine's own default


def workload_start(user: User, workload: Workload, *, idempotency_key: str | None = None) -> Operation:
    """Begins to start a stopped workload where it is; raises Refused when its host has no room for it."""

    def reserve(_operation: Operation) -> None:
        assert workload.host is not None
        refuse_without_room(workload.host, need_of(workload), besides=workload.pk)

    return operate(user, workload, "start", "start_workload", idempotency_key, before_start=reserve)


def workload_stop(
    user: User,
    workload: Workload,
    *,
    force: bool = False,
    timeout_s: float = 60,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to stop a workload. With `force` a VM that ignores the request is cut off after `timeout_s`."""
    return operate(
        user,
        workload,
        "stop",
        "stop_workload",
        idempotency_key,
        {"force": force, "timeout_s": 1 if force else timeout_s},
    )


def workload_restart(
    user: User, workload: Workload, *, timeout_s: float = 60, idempotency_key: str | None = None
) -> Operation:
    """Begins to stop a running workload and start it anew, so that what was changed for its next start counts.

    A VM that ignores the request to shut down for `timeout_s` goes on running; a container is ended after 10 s.
    """
    wait_s = timeout_s if workload.kind == Workload.Kind.VM else min(timeout_s, CONTAINER_STOP_S)

    def reserve(_operation: Operation) -> None:
        need = need_of(workload)
        if workload.host is not None and need.memory_mib > workload.memory_mib:
            refuse_without_room(workload.host, need, besides=workload.pk)

    return operate(
        user, workload, "restart", "restart_workload", idempotency_key, {"timeout_s": wait_s}, before_start=reserve
    )


def workload_pause(user: User, workload: Workload, *, idempotency_key: str | None = None) -> Operation:
    """Begins to pause a running workload: it keeps its memory and takes no CPU."""
    return operate(user, workload, "pause", "pause_workload", idempotency_key)


def workload_resume(user: User, workload: Workload, *, idempotency_key: str | None = None) -> Operation:
    """Begins to let a paused workload go on."""
    return operate(user, workload, "resume", "resume_workload", idempotency_key)


def workload_reset(user: User, workload: Workload, *, idempotency_key: str | None = None) -> Operation:
    """Begins to reset a VM, as its reset button would: what its guest has not written is lost."""
    return operate(user, workload, "reset", "reset_vm", idempotency_key)


def workload_save(user: User, workload: Workload, *, idempotency_key: str | None = None) -> Operation:
    """Begins to write a VM's memory to its host's disk and switch it off; a start brings it back as it was."""
    return operate(user, workload, "save", "save_vm", idempotency_key)
