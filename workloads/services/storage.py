"""Removing what nobody owns from storage pools."""

from __future__ import annotations

from django.utils import timezone

from hosts.models import Operation, PoolFile, PoolMount
from hosts.operations.start import operation_start
from hosts.services.doors import User, refuse_if, refuse_unless
from workloads.storage import file_line, host_for


def pool_file_remove(user: User, file: PoolFile, *, idempotency_key: str | None = None) -> Operation:
    """Begins to remove a file that was set aside, or whose VM is gone; Refused for any other.

    A host that mounts the pool looks again, at its own VMs and at locks on the file, before it removes it.
    """
    refuse_unless(user, "operate", file)
    refuse_if(file_line(file).why_not)
    mounts = list(PoolMount.objects.filter(pool=file.pool).select_related("host").order_by("host__name"))
    host = host_for(mounts, timezone.now())
    assert host is not None  # file_line would have said so
    path = next(f"{mount.path.rstrip('/')}/{file.name}" for mount in mounts if mount.host_id == host.pk)
    return operation_start(
        "remove_pool_file",
        user=user,
        subject=("pool_file", str(file.pk), file.name[:200]),
        parameters={"host": str(host.pk), "path": path},
        host=host,
        idempotency_key=idempotency_key,
    )
