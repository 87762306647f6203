"""May this workload run on that host at all, however empty? A sentence where it may not."""

from __future__ import annotations

from .model import Host, Workload


def why_incompatible(workload: Workload, host: Host) -> str | None:
    """The first thing about the host that the workload cannot live with, or None."""
    if workload.only_hosts and host.id not in workload.only_hosts:
        return f"{workload.label} may run only on {', '.join(workload.only_hosts)}"
    if host.id in workload.never_hosts:
        return f"{workload.label} is excluded from {host.label}"
    if workload.kind == "vm" and not host.has_hypervisor:
        return f"{host.label} has no hypervisor"
    if workload.kind == "container" and not host.has_engine:
        return f"{host.label} has no container engine"
    if workload.architecture and workload.architecture != host.architecture:
        return f"{workload.label} needs {workload.architecture} and {host.label} is {host.architecture}"
    if workload.cpu_model and workload.cpu_model != host.cpu_model:
        has = host.cpu_model or "another"
        return f"{workload.label} needs CPU model {workload.cpu_model}, {host.label} has {has}"
    if workload.kind == "container" and workload.kernel and workload.kernel != host.kernel:
        return f"{workload.label} shares its host's kernel and needs {workload.kernel}; {host.label} runs {host.kernel}"
    if workload.in_one_numa_node and not _fits_in_node(workload, host):
        return f"{workload.label} must fit into one NUMA node, and those of {host.label} are smaller"
    missing = [bridge for bridge in workload.bridges if bridge not in host.bridges]
    if missing:
        return f"{host.label} has no bridge {missing[0]}"
    missing = [pool for pool in workload.pools if pool not in host.pools]
    if missing:
        return f"{host.label} does not read the storage pool {missing[0]}"
    missing = [ability for ability in workload.abilities if ability not in host.abilities]
    if missing:
        return f"{host.label} cannot give {workload.label} {missing[0]}"
    missing = [product for product in workload.licences if product not in host.licences]
    if missing:
        return f"the licence of {missing[0]} does not cover {host.label}"
    if workload.within and not {host.site, f"{host.site}/{host.rack}"} & set(workload.within):
        return f"{workload.label} must stay within {', '.join(workload.within)}, near its storage and network"
    return None


def _fits_in_node(workload: Workload, host: Host) -> bool:
    needs = (workload.allocation.cpu_cores, workload.allocation.memory_mib)
    sizes = (host.numa_node.cpu_cores, host.numa_node.memory_mib)
    return all((need or 0.0) <= size for need, size in zip(needs, sizes, strict=True) if size is not None)


def why_closed(host: Host) -> str | None:
    """Why the host takes no new work at all now, or None."""
    if not host.is_on:
        return f"{host.label} is off"
    if not host.accepts_work:
        return host.accepts_reason or f"{host.label} takes no new work"
    return None


def requirements(workload: Workload) -> tuple[object, ...]:
    """All that `why_incompatible` reads of a workload: equal requirements, equal answers on every host."""
    return (
        workload.kind,
        workload.architecture,
        workload.cpu_model,
        workload.kernel,
        workload.in_one_numa_node and (workload.allocation.cpu_cores, workload.allocation.memory_mib),
        workload.bridges,
        workload.pools,
        workload.abilities,
        workload.only_hosts,
        workload.never_hosts,
        workload.licences,
        workload.within,
    )
