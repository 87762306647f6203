"""What a host is: the facts of `host.discover`. Optional ones that are not to be had leave a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hosts.errors import StowageError
from hosts.plane.context import PlaneContext
from hosts.plane.identity import boot_id, machine_id
from hosts.plane.kernel_features import absent_features
from hosts.plane.machine import capacity
from hosts.plane.pools import pools_read
from hosts.units import GIB

T = TypeVar("T")
_SECTOR_BYTES = 512  # of /sys/block/*/size, whatever the disk's own. Source: Documentation/block/stat.rst


def discover(context: PlaneContext) -> dict[str, Any]:
    """The contract's facts; blocks for as long as the hypervisor and the engine take to answer."""
    config = context.config
    missing: list[str] = []
    hypervisor = _asked(lambda: context.drivers.hypervisor.facts(), bool(config.libvirt_uri), missing)
    engine = _asked(lambda: context.drivers.engine.facts(), bool(config.docker_url), missing)
    absent, untried = absent_features()
    missing += untried + list(hypervisor.missing if hypervisor else ()) + list(engine.missing if engine else ())
    cpu = cpuinfo_parse(Path("/proc/cpuinfo").read_text())
    has = capacity(config)
    threads = os.cpu_count() or 1
    if config.declared:
        cores, threads = int(config.declared.cpu_cores), int(config.declared.cpu_cores)
    else:
        cores = cpu.cores or threads
    return {
        "machine_id": machine_id(config),
        "boot_id": boot_id(config),
        "host_uuid": hypervisor.host_uuid if hypervisor else None,
        "hostname": os.uname().nodename,
        "architecture": os.uname().machine,
        "os_name": os_name(Path("/etc/os-release")),
        "kernel": os.uname().release,
        "cpu_model": cpu.model or (hypervisor.cpu_model if hypervisor else None),
        "cpu_cores": cores,
        "cpu_threads": threads,
        "memory_mib": has.memory_mib,
        "disk_gib": has.disk_gib,
        "nics": _nics(context, missing),
        "disks": block_devices(Path("/sys/block")),
        "hypervisor": hypervisor.hypervisor if hypervisor else None,
        "libvirt": hypervisor.libvirt if hypervisor else None,
        "machine_types": list(hypervisor.machine_types) if hypervisor else [],
        "firmwares": list(hypervisor.firmwares) if hypervisor else [],
        "tpms": list(hypervisor.tpms) if hypervisor else [],
        "engine": engine.engine if engine else None,
        "accelerator_listed": list(hypervisor.accelerator_listed) if hypervisor else [],
        "absent": absent,
        "missing": missing,
        "migration_address": config.migration_address or None,
        "pools": [pool.to_data() for pool in pools_read(config)],
    }


@dataclass(frozen=True)
class CpuInfo:
    """Model name and number of physical cores, each None where /proc/cpuinfo does not tell."""

    model: str | None
    cores: int | None


def cpuinfo_parse(text: str) -> CpuInfo:
    """From /proc/cpuinfo: cores are counted as pairs of package and core, so threads count once."""
    model = None
    pairs = set()
    for block in text.split("\n\n"):
        rows = (line.partition(":") for line in block.splitlines())
        values = {key.strip(): value.strip() for key, _, value in rows}
        model = model or values.get("model name")
        if "core id" in values:
            pairs.add((values.get("physical id", "0"), values["core id"]))
    return CpuInfo(model, len(pairs) or None)


def os_name(path: Path) -> str:
    """The operating system's pretty name, or "Linux"."""
    if path.exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip().strip("\"'")
    return "Linux"


def block_devices(folder: Path) -> list[dict[str, Any]]:
    """The real disks: not loop, ram, zram, device-mapper or optical ones, and none without a medium."""
    found = []
    for device in sorted(folder.glob("*")):
        if device.name.startswith(("loop", "ram", "zram", "dm-", "sr", "fd", "md", "nbd")):
            continue
        size_gib = int((device / "size").read_text()) * _SECTOR_BYTES / GIB
        if size_gib > 0:
            found.append({"name": device.name, "size_gib": round(size_gib, 2)})
    return found


def _nics(context: PlaneContext, missing: list[str]) -> list[dict[str, Any]]:
    """Links that reach out of this host, with their speed where the driver tells it."""
    try:
        links = context.drivers.netlink.list_links()
    except StowageError as error:
        missing.append(error.message)
        return []
    return [
        {"name": link.name, "mac": link.mac, "speed_mbit": _speed_mbit(link.name)}
        for link in links
        if link.kind in ("ethernet", "veth", "bond", "macvlan") and link.master is None
    ]


def _speed_mbit(name: str) -> int | None:
    try:
        speed = int(Path("/sys/class/net", name, "speed").read_text())
    except (OSError, ValueError):
        return None
    return speed if speed > 0 else None


def _asked(ask: Callable[[], T], is_there: bool, missing: list[str]) -> T | None:
    if not is_there:
        return None
    try:
        return ask()
    except StowageError as error:
        missing.append(error.message)
        return None
