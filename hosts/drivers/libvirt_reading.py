"""Reading libvirt's statistics and domains into our values."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import libvirt

from hosts.drivers.base import ObservedDisk, ObservedWorkload, WorkloadCounters
from hosts.drivers.domain_facts import DomainFacts
from hosts.units import bytes_to_gib, bytes_to_mib


def disk_sizes(domain: libvirt.virDomain, facts: DomainFacts, stats: dict[str, Any]) -> dict[str, float]:
    """Virtual size in GiB by target: from the stats while it runs, else asked for each disk."""
    sizes = {
        stats[f"block.{n}.name"]: bytes_to_gib(stats.get(f"block.{n}.capacity", 0))
        for n in range(stats.get("block.count", 0))
        if f"block.{n}.name" in stats
    }
    for disk in facts.disks:
        if disk.path and not sizes.get(disk.target):
            with suppress(libvirt.libvirtError):  # the file may be gone, which is not the domain's state
                sizes[disk.target] = bytes_to_gib(domain.blockInfo(disk.path)[0])
    return sizes


def observed(facts: DomainFacts, state: tuple[Any, str], autostart: bool, sizes: dict[str, float]) -> ObservedWorkload:
    disks = tuple(
        ObservedDisk(d.target, d.path, d.format, sizes.get(d.target, 0.0))
        for d in facts.disks
        if d.path and d.device == "disk"
    )
    return ObservedWorkload(
        "vm",
        facts.uuid,
        facts.name,
        state[0],
        state[1],
        float(facts.vcpus),
        facts.memory_mib,
        round(sum(disk.size_gib for disk in disks), 2),
        autostart,
        disks,
        facts.bridges,
        facts.serial_log,
        labels=facts.labels,
        generation=facts.generation,
        managed=facts.managed,
    )


def counters(uuid: str, name: str, stats: dict[str, Any]) -> WorkloadCounters:
    def total(group: str, field: str) -> int:
        return sum(stats.get(f"{group}.{n}.{field}", 0) for n in range(stats.get(f"{group}.count", 0)))

    cpu_ns = stats.get("cpu.time")
    if cpu_ns is None:
        cpu_ns = sum(stats.get(f"vcpu.{n}.time", 0) for n in range(stats.get("vcpu.maximum", 0)))
    available, usable = stats.get("balloon.available"), stats.get("balloon.usable")
    return WorkloadCounters(
        "vm",
        uuid,
        name,
        cpu_ns / 1e9,
        float(bytes_to_mib(stats.get("balloon.rss", stats.get("balloon.current", 0)) * 1024)),
        None if available is None or usable is None else (available - usable) / 1024,
        total("block", "rd.bytes"),
        total("block", "wr.bytes"),
        total("net", "rx.bytes"),
        total("net", "tx.bytes"),
    )
