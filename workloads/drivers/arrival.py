"""Whether a VM that is about to move could live on this host: every reason against it, as sentences.

The planner and the control plane have judged before; this is the last hop, on what the host itself sees.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import libvirt

from hosts.drivers.domain_facts import parse
from hosts.drivers.libvirt_errors import is_code
from hosts.drivers.libvirt_host import guest_offers
from hosts.errors import Refused
from workloads.drivers.base import DescribedDisk, VmDescription
from workloads.drivers.volumes import pool_id_read


@dataclass(frozen=True)
class Destination:
    """What a host can offer an arriving VM. `is_local` tells whether its files can be looked at here."""

    connection: libvirt.virConnect
    is_local: bool
    memory_free_mib: int
    machine_types: frozenset[str]
    accelerators: frozenset[str]
    names: dict[str, str]

    @classmethod
    def look(cls, connection: libvirt.virConnect, is_local: bool, memory_limit_mib: int | None) -> Destination:
        guests = [
            guest
            for guest in ElementTree.fromstring(connection.getCapabilities()).findall("guest")
            if guest.find("arch[@name='x86_64']") is not None
        ]
        machines = [machine for guest in guests for machine in guest.findall("arch/machine")]
        return cls(
            connection,
            is_local,
            _memory_free_mib(connection, is_local, memory_limit_mib),
            frozenset({m.text or "" for m in machines} | {m.get("canonical", "") for m in machines}),
            frozenset(d.get("type", "") for guest in guests for d in guest.findall("arch/domain")),
            {domain.name(): domain.UUIDString() for domain in connection.listAllDomains()},
        )


def arrival_check(
    vm: VmDescription, here: Destination, *, copied_targets: tuple[str, ...], bridges: tuple[str, ...]
) -> None:
    """Raises Refused with all reasons why `vm` cannot come; `copied_targets` are the disks sent along."""
    reasons = [*vm.obstacles, *_machine_reasons(vm, here)]
    if vm.snapshots:
        reasons.append(f"{vm.name} has snapshots, with which libvirt does not move it. Remove them first.")
    if vm.memory_mib > here.memory_free_mib:
        reasons.append(
            f"{vm.name} needs {vm.memory_mib} MiB of memory and {max(0, here.memory_free_mib)} MiB are free."
        )
    if here.is_local:
        reasons += [f"The bridge {bridge} does not exist here." for bridge in bridges if not _is_bridge(bridge)]
        reasons += [f"The file {path} does not exist here." for path in vm.boot_files if not Path(path).is_file()]
        for disk in vm.disks:
            if disk.target in copied_targets and not disk.read_only:
                reasons += _copied_reasons(disk)
            else:
                reasons += _shared_reasons(disk)
    if reasons:
        raise Refused(" ".join(reasons))


def _machine_reasons(vm: VmDescription, here: Destination) -> list[str]:
    reasons = []
    owner = here.names.get(vm.name)
    if owner is not None or vm.uuid in here.names.values():
        reasons.append(f"There is already a VM here with the name or the identity of {vm.name}.")
    if vm.machine not in here.machine_types:
        reasons.append(f"The hypervisor here does not offer the machine type {vm.machine}.")
    virtualisation = "kvm" if vm.accelerator == "kvm" else "qemu"
    if virtualisation not in here.accelerators:
        reasons.append(f"{vm.name} runs under {vm.accelerator}, which this host does not have.")
    elif not _is_cpu_compatible(vm, here.connection, virtualisation):
        reasons.append(f"The CPU of this host lacks features that {vm.name} uses.")
    if vm.has_tpm and not guest_offers(here.connection).tpms:
        reasons.append(f"{vm.name} has a TPM, which this host cannot give it (Debian: swtpm and swtpm-tools).")
    return reasons


def _is_cpu_compatible(vm: VmDescription, connection: libvirt.virConnect, virtualisation: str) -> bool:
    # Under TCG the CPU is emulated, the same everywhere; comparing it with the real one would say nothing.
    if virtualisation != "kvm" or not vm.cpu_xml:
        return True
    try:
        verdict = connection.compareHypervisorCPU(None, "x86_64", None, virtualisation, vm.cpu_xml, 0)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            return True
        raise
    return bool(verdict != libvirt.VIR_CPU_COMPARE_INCOMPATIBLE)


def _memory_free_mib(connection: libvirt.virConnect, is_local: bool, limit_mib: int | None) -> int:
    """Memory for one more VM: what the machine has free, and with a declared limit also what is left of that."""
    stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    free_kib = stats["free"] + stats.get("cached", 0) + stats.get("buffers", 0)
    if is_local:
        free_kib = _available_kib() or free_kib
    if limit_mib is None:
        return int(free_kib // 1024)
    used_mib = 0
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with suppress(libvirt.libvirtError):  # it went away while we counted
            used_mib += parse(domain.XMLDesc(0)).memory_mib
    return min(int(free_kib // 1024), limit_mib - used_mib)


def _available_kib() -> int | None:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return None


def _is_bridge(name: str) -> bool:
    return "/" not in name and os.path.isdir(f"/sys/class/net/{name}/bridge")


def _copied_reasons(disk: DescribedDisk) -> list[str]:
    folder = os.path.dirname(disk.path)
    if not os.path.isdir(folder):
        return [f"The folder {folder} for the disk {disk.target} does not exist here."]
    if not os.access(folder, os.W_OK):
        return [f"The folder {folder} for the disk {disk.target} is read-only here."]
    stats = os.statvfs(folder)
    if disk.used_bytes > stats.f_bavail * stats.f_frsize:
        return [f"The disk {disk.target} takes {disk.used_bytes >> 20} MiB, more than {folder} has free here."]
    return []


def _shared_reasons(disk: DescribedDisk) -> list[str]:
    """A disk that is not copied must be the very same file; the pool's marker proves it, a like name does not."""
    if disk.read_only:
        return (
            []
            if os.path.exists(disk.path)
            else [f"The read-only disk {disk.path} does not exist here. Eject it first."]
        )
    if not disk.pool_id or pool_id_read(os.path.dirname(disk.path)) != disk.pool_id:
        return [f"The disk {disk.path} is not in a pool that both hosts share. Copy it along."]
    if not os.path.exists(disk.path):
        return [f"The disk {disk.path} does not exist here."]
    return []
