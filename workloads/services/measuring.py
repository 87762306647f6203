"""What VMs and containers cost here, measured on a host that an operator names."""

from __future__ import annotations

import uuid as uuids

from hosts.errors import Invalid
from hosts.models import Host, Operation
from hosts.services.doors import User, refuse_unless
from workloads.models import Image
from workloads.services.containers import container_create
from workloads.services.vms import vm_create

SIGN_MOST = 200


def choice_measure(
    user: User,
    host: Host,
    *,
    image: Image,
    container_image: str,
    sign: str = "login:",
    memory_mib: int = 256,
    idempotency_key: str | None = None,
) -> tuple[Operation, Operation]:
    """Begins to make a VM and, once that is over, a container on the host, to measure and remove them.

    The VM serves once its serial line says `sign`, the container once its health check passes, or else while it runs.
    Both get `memory_mib`. Raises as `vm_create` and `container_create`; a measurement that fails leaves nothing.
    """
    refuse_unless(user, "operate", host)
    if not (1 <= len(sign) <= SIGN_MOST and sign.isprintable()):
        raise Invalid("The sign is one line that the guest writes when it serves, such as login:.", field="sign")
    disk_gib = max(0.05, image.virtual_size_bytes / 1024**3)
    run = uuids.uuid4().hex[:8]
    key = idempotency_key
    vm = vm_create(
        user,
        name=f"measured-vm-{run}",
        image=image,
        cpu_cores=1,
        memory_mib=memory_mib,
        disk_gib=disk_gib,
        host=host,
        measured_by={"sign": sign},
        idempotency_key=f"{key}-vm" if key else None,
    )
    container = container_create(
        user,
        name=f"measured-container-{run}",
        image=container_image,
        cpu_cores=1,
        memory_mib=memory_mib,
        restart_policy="no",
        host=host,
        measured_by={"sign": "", "after": str(vm.pk)},
        idempotency_key=f"{key}-container" if key else None,
    )
    return vm, container
