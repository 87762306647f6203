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
        cdrom=facts.cdrom,
        agent=facts.agent,
    )


def counters(uuid: str, name: str, stats: dict[str, Any]) -> WorkloadCounters:
    """A domain's counters. Source: virConnectGetAllDomainStats; what it does not give is None."""
    cpu_ns = stats.get("cpu.time")
    if cpu_ns is None:
        cpu_ns = _of_vcpus(stats, "time") or 0
    wait_ns, delay_ns = _of_vcpus(stats, "wait"), _of_vcpus(stats, "delay")
    vcpus, balloon_kib = stats.get("vcpu.current"), stats.get("balloon.current")
    return WorkloadCounters(
        "vm",
        uuid,
        name,
        cpu_ns / 1e9,
        float(bytes_to_mib(stats.get("balloon.rss", stats.get("balloon.current", 0)) * 1024)),
        _guest_used_mib(stats),
        cpu_allotted_cores=None if vcpus is None else float(vcpus),
        memory_allotted_mib=None if balloon_kib is None else balloon_kib / 1024,
        cpu_steal_seconds_total=None if delay_ns is None else delay_ns / 1e9,
        cpu_wait_seconds_total=None if wait_ns is None else wait_ns / 1e9,
        **{key: _total(stats, "block", field) for key, field in _BLOCK.items()},
        **{key: _total(stats, "net", field) for key, field in _NET.items()},
    )


_BLOCK = {
    "disk_read_bytes_total": "rd.bytes",
    "disk_written_bytes_total": "wr.bytes",
    "disk_reads_total": "rd.reqs",
    "disk_writes_total": "wr.reqs",
}
_NET = {
    "network_received_bytes_total": "rx.bytes",
    "network_sent_bytes_total": "tx.bytes",
    "network_received_packets_total": "rx.pkts",
    "network_sent_packets_total": "tx.pkts",
    "network_received_dropped_total": "rx.drop",
    "network_sent_dropped_total": "tx.drop",
    "network_received_errors_total": "rx.errs",
    "network_sent_errors_total": "tx.errs",
}


def _total(stats: dict[str, Any], group: str, field: str) -> int | None:
    """The sum over all disks or network cards; None when none was told of, as of a domain that is busy migrating."""
    found = [stats[key] for n in range(stats.get(f"{group}.count", 0)) if (key := f"{group}.{n}.{field}") in stats]
    return sum(found) if found else None


def _of_vcpus(stats: dict[str, Any], field: str) -> int | None:
    found = [stats[key] for n in range(stats.get("vcpu.maximum", 0)) if (key := f"vcpu.{n}.{field}") in stats]
    return sum(found) if found else None


def _guest_used_mib(stats: dict[str, Any]) -> float | None:
    """What the guest's own kernel calls in use; None without a balloon driver that tells."""
    available, usable = stats.get("balloon.available"), stats.get("balloon.usable", stats.get("balloon.unused"))
    return None if available is None or usable is None else max(0, available - usable) / 1024
