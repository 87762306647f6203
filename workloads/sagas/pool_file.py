"""Remove a file that nobody owns from a pool. A single step; what was removed cannot be brought back."""

from __future__ import annotations

from hosts.models import PoolFile
from hosts.operations.queues import host_long
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.sagas.calls import LONG_DEADLINE_S, host_name


def _remove(context: Context) -> EffectCall:
    return EffectCall(
        host_long(host_name(context)),
        "pool.file_remove",
        {"path": context.parameters["path"]},
        subject=(context.operation.subject_kind, context.operation.subject_id),
        timeout_s=120,
        deadline_s=LONG_DEADLINE_S,
    )


def _forget(context: Context) -> None:
    PoolFile.objects.filter(pk=context.operation.subject_id).delete()
    publish_change("pool", context.operation.subject_id, "removed")


REMOVE_POOL_FILE = register(
    Saga("remove_pool_file", "remove file", (Step("remove", effect=_remove), Step("forget", control=_forget)))
)
