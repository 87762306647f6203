"""One verb on many workloads: each is an operation of its own, and one that is refused holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hosts.errors import Invalid, StowageError
from hosts.models import Operation
from hosts.services.doors import User, refuse_unless
from workloads.models import Workload
from workloads.services import backups, life, power

MEMBERS_MOST = 200
Begin = Callable[..., Operation]
BULK_VERBS: dict[str, Begin] = {
    "start": power.workload_start,
    "stop": power.workload_stop,
    "restart": power.workload_restart,
    "pause": power.workload_pause,
    "resume": power.workload_resume,
    "save": power.workload_save,
    "back_up": backups.vm_back_up,
    "force_stop": partial(power.workload_stop, force=True),
    "delete": life.workload_delete,
}


@dataclass(frozen=True)
class Member:
    """What came of it for one workload: its operation, or the sentence why there is none."""

    workload: Workload
    operation: Operation | None
    sentence: str = ""


def workloads_bulk(
    user: User, verb: str, workloads: Sequence[Workload], *, idempotency_key: str | None = None
) -> list[Member]:
    """Begins the verb on each, in their order. Raises Invalid where the wish itself makes no sense."""
    refuse_unless(user, "operate")
    if verb not in BULK_VERBS:
        raise Invalid(f"There is no {verb[:20]} for many. Choose one of {', '.join(BULK_VERBS)}.", field="verb")
    if not workloads:
        raise Invalid("No workload is selected. Mark some first.", field="workloads")
    if len(workloads) > MEMBERS_MOST:
        raise Invalid(f"At most {MEMBERS_MOST} workloads are taken at once.", field="workloads")
    return [_begun(user, verb, workload, idempotency_key) for workload in workloads]


def _begun(user: User, verb: str, workload: Workload, key: str | None) -> Member:
    try:
        operation = BULK_VERBS[verb](user, workload, idempotency_key=f"{key}-{workload.pk}" if key else None)
    except StowageError as error:
        return Member(workload, None, error.message)
    return Member(workload, operation)
