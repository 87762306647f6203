"""VMs made from others that are off: the same machine once more, under a name and addresses of its own."""

from __future__ import annotations

import json
import uuid as uuids
from collections import defaultdict
from typing import Any

from hosts.accounts import account_of
from hosts.credentials import password_encrypt
from hosts.errors import Refused
from hosts.models import Host, Operation, PoolMount
from hosts.operations.start import operation_start
from hosts.services.doors import User, busy_with, name_check, refuse_if, refuse_unless
from workloads.first_boot import FirstBoot, seed_files
from workloads.models import VirtualMachine, VmSeed, Workload
from workloads.services.capacity import Need, refuse_without_disk_room
from workloads.services.vms import (
    SEED_FILE,
    SEED_GIB,
    TARGETS,
    disk_row,
    mac_address,
    name_free_check,
    vm_reserve,
    vm_spec,
)
from workloads.states import why_not


def vm_clone(
    user: User,
    source: VirtualMachine,
    *,
    name: str,
    start: bool = False,
    first_boot: FirstBoot | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make a full copy of the VM on its host: size, bridges, and disks without their snapshots.

    Its UUID and MAC addresses are new; what lies on the disks is the same, the guest's own name and keys too. With
    `first_boot` cloud-init in it takes the copy for a new machine and gives it new ones. It belongs to no group to
    keep apart: it begins beside its source. Until the end nobody may start, move or delete the source.

    Raises Refused unless the source is off and was made by Stowage, Invalid for a name that is none or is taken.
    """
    refuse_unless(user, "operate", source)
    name = name_check(name)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    source = VirtualMachine.objects.select_related("host", "image").get(pk=source.pk)
    refuse_if(why_not(source, "clone", busy=busy_with(source.kind, source.pk)))
    name_free_check(name)
    host = source.host
    assert host is not None
    vm = _row(user, source, name, start)
    copies = {disk["target"]: disk["target"] for disk in vm.disks}
    parameters: dict[str, Any] = {"workload": str(vm.uuid), "host": str(host.pk), "source_vm": str(source.pk)}
    seed = None
    if first_boot is not None:
        seed = VmSeed(vm_id=vm.uuid, files_encrypted=_seed_of(vm, first_boot))
        target = next(target for target in TARGETS if target not in copies)
        vm.disks.append(disk_row(vm.uuid, _mount(host, vm.disks[0]["path"]), target, SEED_FILE, "raw", SEED_GIB))
        vm.has_seed = True
        parameters["seed_path"] = vm.disks[-1]["path"]
    parameters |= {"spec": vm_spec(vm), "copies": copies, "start": start}
    need = Need(vm.cpu_cores, vm.memory_mib if start else 0, vm.disk_gib, name, Workload.Kind.VM)

    def reserve(operation: Operation) -> None:
        for folder, size_gib in _sizes_by_folder(vm).items():
            refuse_without_disk_room(host, f"{folder}/disk", size_gib)
        vm_reserve(user, vm, need, seed, operation)

    return operation_start(
        "clone_vm",
        user=user,
        subject=("vm", str(vm.uuid), vm.name),
        parameters=parameters,
        host=host,
        leases=[("vm", str(source.pk))],
        idempotency_key=idempotency_key,
        before_start=reserve,
    )


def _row(user: User, source: VirtualMachine, name: str, start: bool) -> VirtualMachine:
    """The copy as it will be, its disks beside those that they are copied from."""
    uuid, host = uuids.uuid4(), source.host
    assert host is not None
    size = source.next_size or {"cpu_cores": source.cpu_cores, "memory_mib": source.memory_mib}
    disks = []
    for disk in source.disks:
        if str(disk["path"]).endswith(SEED_FILE):
            continue
        mount = _mount(host, str(disk["path"]))
        size_gib = float(disk.get("size_gib") or 0)
        disks.append(disk_row(uuid, mount, disk["target"], f"{disk['target']}.qcow2", "qcow2", size_gib))
    if not disks:
        raise Refused(f"{source.name} has no disk that could be copied.")
    return VirtualMachine(
        uuid=uuid,
        kind=Workload.Kind.VM,
        name=name,
        host=host,
        owner=account_of(user),
        desired=Workload.Desired.RUNNING if start else Workload.Desired.STOPPED,
        state=Workload.State.CREATING,
        cpu_cores=size["cpu_cores"],
        memory_mib=size["memory_mib"],
        disk_gib=sum(disk["size_gib"] for disk in disks),
        disks=disks,
        bridges=source.bridges,
        nics=[
            {"bridge": nic["bridge"], "mac": mac_address(uuids.uuid4() if number else uuid)}
            for number, nic in enumerate(source.nics)
        ],
        image=source.image,
        firmware=source.firmware,
        machine=source.machine,
        cpu_model=source.cpu_model,
        has_cdrom=source.has_cdrom,
        has_tpm=source.has_tpm,
    )


def _mount(host: Host, path: str) -> PoolMount:
    mount = PoolMount.objects.filter(host=host, path=path.rpartition("/")[0]).select_related("pool").first()
    if mount is None:
        raise Refused(f"The disk {path} lies in none of the pools of {host.name}, so it cannot be copied.")
    return mount


def _sizes_by_folder(vm: VirtualMachine) -> dict[str, float]:
    sizes: dict[str, float] = defaultdict(float)
    for disk in vm.disks:
        sizes[disk["path"].rpartition("/")[0]] += disk["size_gib"]
    return sizes


def _seed_of(vm: VirtualMachine, first_boot: FirstBoot) -> bytes:
    if not vm.nics:
        raise Refused("It has no network card, by whose address cloud-init would know it. Leave the first boot empty.")
    return password_encrypt(json.dumps(seed_files(vm.name, str(vm.uuid), vm.nics[0]["mac"], first_boot)))
