"""Rules that keep workloads together in one host, rack or site: where each of them may be.

Those that are in the place with most of them stay in it; the others may come to it or stay in their own. So no
order of moves ever spreads them further, and nothing about other members needs to be known when one moves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from .grouping import domain_of
from .model import DataCenter, Host, Rule


class Gathering(NamedTuple):
    """Where a workload may be under one rule."""

    rule: Rule
    domains: frozenset[str]


def gatherings_of(data_center: DataCenter) -> dict[str, tuple[Gathering, ...]]:
    """By workload id, for those that a rule keeps together with others already placed."""
    hosts = {host.id: host for host in data_center.hosts}
    home = {workload.id: workload.host for workload in data_center.workloads}
    found: dict[str, list[Gathering]] = defaultdict(list)
    for rule in data_center.rules:
        if rule.kind != "together":
            continue
        members = dict.fromkeys(rule.workloads)
        now = {name: domain_of(hosts[home[name]], rule.scope) for name in members if home[name]}
        if not now:
            continue
        counts = Counter(now.values())
        most = min(counts, key=lambda domain: (-counts[domain], domain))
        for name in members:
            found[name].append(Gathering(rule, frozenset({most, now.get(name, most)})))
    return {name: tuple(items) for name, items in found.items()}


def why_astray(gatherings: tuple[Gathering, ...], host: Host) -> str | None:
    """The clause about the first rule that keeps the workload from that host, or None."""
    for rule, domains in gatherings:
        if domain_of(host, rule.scope) not in domains:
            return f"rule {rule.name} keeps it together with others in one {rule.scope}, and {host.label} is elsewhere"
    return None
