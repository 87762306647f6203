"""Who must be apart, who must spread, and who moves as one."""

from __future__ import annotations

from collections import defaultdict

from .model import DataCenter, Host, Rule, Scope


def all_rules(data_center: DataCenter) -> tuple[Rule, ...]:
    """The data center's rules, with each anti-affinity group of its workloads as a rule of its own."""
    groups: dict[str, list[str]] = defaultdict(list)
    for workload in data_center.workloads:
        for group in workload.anti_affinity:
            groups[group].append(workload.id)
    grouped = (Rule(name, tuple(members)) for name, members in sorted(groups.items()) if len(members) > 1)
    return (*data_center.rules, *grouped)


def domain_of(host: Host, scope: Scope) -> str:
    """What must differ for two hosts to count as apart. A host without a rack or site is one of its own."""
    if scope == "site":
        return f"site {host.site}" if host.site else f"host {host.inside or host.id}"
    if scope == "rack":
        return f"rack {host.site}/{host.rack}" if host.rack else f"host {host.inside or host.id}"
    return f"host {host.inside or host.id}"


def units_of(data_center: DataCenter) -> list[tuple[int, ...]]:
    """Workload indices that move as one: members of an affinity group that share a host now.

    A group that is already split is not made worse: each part that is together stays together.
    """
    workloads = data_center.workloads
    parent = list(range(len(workloads)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, workload in enumerate(workloads):
        for group in workload.affinity:
            other = first.setdefault((group, workload.host), index)
            parent[root(index)] = root(other)
    units: dict[int, list[int]] = defaultdict(list)
    for index in range(len(workloads)):
        units[root(index)].append(index)
    return sorted(tuple(members) for members in units.values())
