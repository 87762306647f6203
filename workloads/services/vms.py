"""Making VMs."""

from __future__ import annotations

import json
import re
import string
import uuid as uuids
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hosts.accounts import account_of
from hosts.credentials import password_encrypt
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation, PoolMount
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.doors import User, name_check, refuse_unless
from hosts.units import GIB
from workloads.first_boot import FirstBoot, seed_files
from workloads.models import Image, VirtualMachine, VmSeed, Workload
from workloads.sagas.restart_elsewhere import hardware_of
from workloads.services.abilities import abilities_needed, refuse_unable
from workloads.services.apart import refuse_mate
from workloads.services.capacity import Need, host_choose, pool_choose, refuse_impossible, refuse_without_room
from workloads.services.operating import operate
from workloads.services.waking import wake_begin

VCPUS_MOST = 256
DISK_GIB_LEAST = 0.05
CPU_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
TARGETS = tuple(f"vd{letter}" for letter in string.ascii_lowercase)
MORE_DISKS_MOST, MORE_NICS_MOST = 8, 7
SEED_FILE, SEED_GIB = "seed.img", 1 / 1024


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
    may_wake: bool = False,
    first_boot: FirstBoot | None = None,
    more_disks_gib: Sequence[float] = (),
    more_bridges: Sequence[str] = (),
    iso: Image | None = None,
    firmware: str = VirtualMachine.Firmware.BIOS,
    machine: str = VirtualMachine.Machine.Q35,
    cpu_model: str = "",
    has_tpm: bool = False,
    measured_by: dict[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make a VM and start it. Without a host, one with room is taken.

    With `may_wake` the host may be one that is off: it is woken, and the operation waits for it.
    `first_boot` is what cloud-init in its image shall do; it is kept under encryption until it is on the VM's seed
    disk, and comes out of Stowage by no other way. With `measured_by` it is made to be measured and removed again,
    see `workloads.services.measuring`.

    `more_disks_gib` are the sizes of further disks, empty and beside the first; `more_bridges` are those of its host
    that further network cards hang on.
    With `iso` it starts from that in its CD-ROM drive, until it is ejected; without `image` its disk is empty then.
    `has_tpm` gives it an emulated TPM 2.0. Without a host, one is taken that can give it its firmware and TPM.
    `cpu_model` is one of QEMU's names; empty, it has what suits its host and moves as far as that is found.

    Raises Invalid for input that no host could serve, Refused when there is no room now. Nothing is left behind by
    a refusal, nor by an operation that fails.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    _sizes_check(image, cpu_cores, memory_mib, disk_gib)
    _more_check(more_disks_gib, more_bridges)
    whole_gib = disk_gib + sum(more_disks_gib)
    hardware = _hardware_checked(iso, firmware, machine, cpu_model) | {"has_tpm": has_tpm}
    group = name_check(anti_affinity_group, "anti_affinity_group") if anti_affinity_group else ""
    name_free_check(name)
    abilities = abilities_needed(firmware, has_tpm)
    need = Need(cpu_cores, memory_mib, whole_gib, name, Workload.Kind.VM, group, bridge or "", may_wake, abilities)
    refuse_impossible(need)
    if host is None:
        host, need = host_choose(need), replace(need, may_wake=True)  # whoever chose one that is off may wake it
    refuse_unable(host, need.abilities)
    mount = pool_choose(host, whole_gib)
    vm = _row(user, name, image, need, host, bridge or host.bridge, mount, group)
    _more_add(vm, host, mount, (disk_gib, *more_disks_gib), more_bridges)
    for field, value in hardware.items():
        setattr(vm, field, value)
    parameters: dict[str, Any] = {"workload": str(vm.uuid), "host": str(host.pk)}
    seed = None
    if first_boot is not None:
        files = seed_files(name, str(vm.uuid), vm.nics[0]["mac"], first_boot)
        seed = VmSeed(vm_id=vm.uuid, files_encrypted=password_encrypt(json.dumps(files)))
        vm.disks.append(disk_row(vm.uuid, mount, TARGETS[len(vm.disks)], SEED_FILE, "raw", SEED_GIB))
        vm.has_seed = True
        parameters["seed_path"] = vm.disks[-1]["path"]
    parameters["spec"] = vm_spec(vm, image) | ({"iso": image_source(iso)} if iso else {})
    if measured_by is not None:
        parameters |= measured_by | {"image_name": image.name if image else ""}
    return operation_start(
        "create_vm" if measured_by is None else "measure_vm",
        user=user,
        subject=("vm", str(vm.uuid), vm.name),
        parameters=parameters,
        host=host,
        idempotency_key=idempotency_key,
        before_start=partial(vm_reserve, user, vm, need, seed),
    )


def seed_wipe(user: User, vm: VirtualMachine, *, idempotency_key: str | None = None) -> Operation:
    """Begins to overwrite what the VM was told at its first boot. The guest has done it by then, or never will."""
    path = seed_path(vm)
    if path is None or not vm.has_seed:
        raise Refused(f"{vm.name} has no first-boot data that could be wiped.")
    return operate(user, vm, "wipe_seed", "wipe_seed", idempotency_key, {"seed_path": path})


def seed_path(vm: VirtualMachine) -> str | None:
    """The file of its small disk for the first boot, which stays when it was wiped; None without one."""
    return next((disk["path"] for disk in vm.disks if disk["path"].endswith(f"{vm.pk}-{SEED_FILE}")), None)


def name_free_check(name: str) -> None:
    """Raises Invalid when another workload has the name."""
    taken = Workload.objects.filter(name=name).select_related("host").first()
    if taken:
        where = f" on {taken.host.name}" if taken.host else ""
        raise Invalid(f"{name} is the name of a {taken.get_kind_display()}{where}. Choose another.", field="name")


def image_source(image: Image) -> dict[str, object]:
    """The image as an effect wants it."""
    return image.source()


def vm_reserve(user: User, vm: VirtualMachine, need: Need, seed: VmSeed | None, operation: Operation) -> None:
    """In the operation's own transaction: the last place is given once, and so is a name."""
    name_free_check(vm.name)
    assert vm.host is not None
    refuse_without_room(vm.host, need)
    refuse_mate(vm.host, need.group)
    vm.save(force_insert=True)
    if seed is not None:
        seed.save(force_insert=True)
    wake_begin(user, vm.host, operation)
    publish_change("workload", vm.uuid, "creating")


def bridges_known(host: Host) -> list[str]:
    """Names of the host's bridges, as it last told."""
    return sorted(str(link["name"]) for link in host.links if link.get("kind") == "bridge")


def _more_check(more_disks_gib: Sequence[float], more_bridges: Sequence[str]) -> None:
    if len(more_disks_gib) > MORE_DISKS_MOST:
        raise Invalid(f"A new VM has at most {MORE_DISKS_MOST} disks besides its first.", field="more_disks_gib")
    if not all(DISK_GIB_LEAST <= size_gib <= 65536 for size_gib in more_disks_gib):
        raise Invalid(f"A disk has {DISK_GIB_LEAST} to 65,536 GiB.", field="more_disks_gib")
    if len(more_bridges) > MORE_NICS_MOST:
        raise Invalid(f"A new VM has at most {MORE_NICS_MOST} cards besides its first.", field="more_bridges")


def _more_add(
    vm: VirtualMachine, host: Host, mount: PoolMount, sizes_gib: Sequence[float], more_bridges: Sequence[str]
) -> None:
    """Its disks of those sizes, and its further network cards; raises Invalid for a bridge that the host has not."""
    known = bridges_known(host)
    if strange := [bridge for bridge in more_bridges if bridge not in known]:
        has = ", ".join(known) or "none"
        raise Invalid(f"{host.name} has no bridge {strange[0][:15]}. It has {has}.", field="more_bridges")
    vm.disks = [
        disk_row(vm.uuid, mount, target, f"{target}.qcow2", "qcow2", size_gib)
        for target, size_gib in zip(TARGETS, sizes_gib, strict=False)
    ]
    vm.nics += [{"bridge": bridge, "mac": mac_address(uuids.uuid4())} for bridge in more_bridges]
    vm.bridges = list(dict.fromkeys([*vm.bridges, *more_bridges]))


def _hardware_checked(iso: Image | None, firmware: str, machine: str, cpu_model: str) -> dict[str, Any]:
    """The fields of the VM's row; raises Invalid with the field."""
    if iso is not None and iso.format != Image.Format.ISO:
        raise Invalid(f"{iso.name} is not an ISO. Choose one.", field="iso")
    if firmware not in VirtualMachine.Firmware.values:
        raise Invalid("The firmware is bios, uefi or uefi-secure.", field="firmware")
    if machine not in VirtualMachine.Machine.values:
        raise Invalid("The machine type is q35 or pc.", field="machine")
    if firmware != VirtualMachine.Firmware.BIOS and machine != VirtualMachine.Machine.Q35:
        raise Invalid("UEFI needs the machine type q35.", field="machine")
    if cpu_model and not CPU_MODEL.fullmatch(cpu_model):
        raise Invalid("A CPU model is one of QEMU's names, such as Haswell-noTSX or qemu64.", field="cpu_model")
    return {"firmware": firmware, "machine": machine, "cpu_model": cpu_model, "has_cdrom": iso is not None}


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
        what = "an ISO" if image.format == Image.Format.ISO else "an image for containers"
        raise Invalid(f"{image.name} is {what}. Choose a disk image.", field="image")
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
        disks=[disk_row(uuid, mount, "vda", "vda.qcow2", "qcow2", need.disk_gib)],
        bridges=[bridge],
        nics=[{"bridge": bridge, "mac": mac_address(uuid)}],
        image=image,
    )


def disk_row(uuid: uuids.UUID, mount: PoolMount, target: str, file: str, kind: str, size_gib: float) -> dict[str, Any]:
    """A disk of the VM as its row keeps it; the file's name begins with the VM's uuid."""
    return {
        "target": target,
        "path": f"{mount.path}/{uuid}-{file}",
        "format": kind,
        "size_gib": size_gib,
        "pool": mount.pool.name,
        "shared_pool_id": mount.pool.pool_id,
    }


def mac_address(uuid: uuids.UUID) -> str:
    """A unicast address under QEMU's prefix 52:54:00, the same for the same uuid."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in uuid.bytes[-3:])


def vm_spec(vm: VirtualMachine, image: Image | None = None) -> dict[str, object]:
    """What a host is told to make: the row's VM, its first disk a copy of the image if there is one."""
    disks = [
        {
            "target": disk["target"],
            "pool": disk["pool"],
            "path": disk["path"],
            "size_gib": disk["size_gib"],
            "format": disk["format"],
            "image": image_source(image) if image and disk["target"] == "vda" else None,
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
        **hardware_of(vm),
    }
