"""Making VMs."""

from __future__ import annotations

import uuid as uuids
from functools import partial

from hosts.accounts import account_of
from hosts.errors import Invalid
from hosts.models import Host, Operation, PoolMount
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.doors import User, name_check, refuse_unless
from hosts.units import GIB
from workloads.models import Image, VirtualMachine, Workload
from workloads.services.apart import refuse_mate
from workloads.services.capacity import Need, host_choose, pool_choose, refuse_impossible, refuse_without_room

VCPUS_MOST = 256
DISK_GIB_LEAST = 0.05


def vm_create(
    user: User,
    *,
    name: str,
    image: Image | None,
    cpu_cores: int,
    memory_mib: int,
    disk_gib: float,
    host: Host | None = None,
    bridge: str | None = None,
    anti_affinity_group: str = "",
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make a VM and start it. Without a host, one with room is taken.

    Raises Invalid for input that no host could serve, Refused when there is no room now. Nothing is left behind by
    a refusal, nor by an operation that fails.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    _sizes_check(image, cpu_cores, memory_mib, disk_gib)
    group = name_check(anti_affinity_group, "anti_affinity_group") if anti_affinity_group else ""
    name_free_check(name)
    need = Need(cpu_cores, memory_mib, disk_gib, name, Workload.Kind.VM, group, bridge or "")
    refuse_impossible(need)
    host = host or host_choose(need)
    mount = pool_choose(host, disk_gib)
    vm = _row(user, name, image, need, host, bridge or host.bridge, mount, group)
    parameters = {
        "workload": str(vm.uuid),
        "host": str(host.pk),
        "spec": _spec(vm, mount, image),
    }
    return operation_start(
        "create_vm",
        user=user,
        subject=("vm", str(vm.uuid), vm.name),
        parameters=parameters,
        host=host,
        idempotency_key=idempotency_key,
        before_start=partial(_reserve, vm, need),
    )


def name_free_check(name: str) -> None:
    """Raises Invalid when another workload has the name."""
    taken = Workload.objects.filter(name=name).select_related("host").first()
    if taken:
        where = f" on {taken.host.name}" if taken.host else ""
        raise Invalid(f"{name} is the name of a {taken.get_kind_display()}{where}. Choose another.", field="name")


def image_source(image: Image) -> dict[str, object]:
    """The image as an effect wants it."""
    return {
        "image": str(image.pk),
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "format": image.format,
    }


def _reserve(vm: VirtualMachine, need: Need, _operation: Operation) -> None:
    """In the operation's own transaction: the last place is given once, and so is a name."""
    name_free_check(vm.name)
    assert vm.host is not None
    refuse_without_room(vm.host, need)
    refuse_mate(vm.host, need.group)
    vm.save(force_insert=True)
    publish_change("workload", vm.uuid, "creating")


def _sizes_check(image: Image | None, cpu_cores: int, memory_mib: int, disk_gib: float) -> None:
    if not 1 <= cpu_cores <= VCPUS_MOST:
        raise Invalid(f"A VM has 1 to {VCPUS_MOST} virtual CPUs.", field="cpu_cores")
    if memory_mib < 32:
        raise Invalid("A VM needs at least 32 MiB of memory.", field="memory_mib")
    if disk_gib < DISK_GIB_LEAST:
        raise Invalid(f"A disk has at least {DISK_GIB_LEAST} GiB.", field="disk_gib")
    if image is None:
        return
    if image.format not in (Image.Format.QCOW2, Image.Format.RAW):
        raise Invalid(f"{image.name} is an image for containers. Choose a disk image.", field="image")
    if disk_gib * GIB < image.virtual_size_bytes:
        least_gib = image.virtual_size_bytes / GIB
        raise Invalid(
            f"The image {image.name} unpacks to {least_gib:.2f} GiB. Ask for a disk of at least that size.",
            field="disk_gib",
        )


def _row(
    user: User,
    name: str,
    image: Image | None,
    need: Need,
    host: Host,
    bridge: str,
    mount: PoolMount,
    group: str,
) -> VirtualMachine:
    uuid = uuids.uuid4()
    disk = {
        "target": "vda",
        "path": f"{mount.path}/{uuid}-vda.qcow2",
        "format": "qcow2",
        "size_gib": need.disk_gib,
        "pool": mount.pool.name,
        "shared_pool_id": mount.pool.pool_id,
    }
    return VirtualMachine(
        uuid=uuid,
        kind=Workload.Kind.VM,
        name=name,
        host=host,
        owner=account_of(user),
        desired=Workload.Desired.RUNNING,
        state=Workload.State.CREATING,
        cpu_cores=need.cpu_cores,
        memory_mib=need.memory_mib,
        disk_gib=need.disk_gib,
        anti_affinity_group=group,
        disks=[disk],
        bridges=[bridge],
        nics=[{"bridge": bridge, "mac": _mac(uuid)}],
        image=image,
    )


def _mac(uuid: uuids.UUID) -> str:
    """A unicast address under QEMU's prefix 52:54:00, the same for the same VM."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in uuid.bytes[-3:])


def _spec(vm: VirtualMachine, mount: PoolMount, image: Image | None) -> dict[str, object]:
    disks = [
        {
            "target": disk["target"],
            "pool": mount.pool.name,
            "path": disk["path"],
            "size_gib": disk["size_gib"],
            "format": disk["format"],
            "image": image_source(image) if image else None,
        }
        for disk in vm.disks
    ]
    labels = {"anti-affinity": vm.anti_affinity_group} if vm.anti_affinity_group else {}
    return {
        "uuid": str(vm.uuid),
        "name": vm.name,
        "vcpus": int(vm.cpu_cores),
        "memory_mib": vm.memory_mib,
        "disks": disks,
        "nics": vm.nics,
        "labels": labels,
    }
