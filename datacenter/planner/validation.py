"""Input that no plan should be made of, refused with the first sentence that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hosts.errors import Invalid

from .model import RESOURCES, DataCenter, Policy, Resources, Workload

LARGEST = 1e12  # of any resource, in its own unit; above it the unit is certainly wrong


def check_input(data_center: DataCenter, policy: Policy) -> None:
    """Raises Invalid unless all numbers are finite, positive and believable, and all names known."""
    check_policy(policy)
    hosts = _unique((host.id for host in data_center.hosts), "host")
    _unique((workload.id for workload in data_center.workloads), "workload")
    for host in data_center.hosts:
        where = f"Host {host.label}"
        _check_resources(host.capacity, where)
        for name in ("idle_watts", "peak_watts"):
            _check_number(getattr(host, name), f"{where}: {name}")
        if host.peak_watts < host.idle_watts:
            raise Invalid(f"{where}: peak_watts is below idle_watts; correct its power model.")
        if host.is_on and not (host.capacity.cpu_cores and host.capacity.memory_mib):
            raise Invalid(f"{where} has no CPU or memory capacity; discover it again or declare its capacity.")
    for workload in data_center.workloads:
        check_workload(workload)
        if workload.host and workload.host not in hosts:
            raise Invalid(f"Workload {workload.label} is on host {workload.host}, which is not in the inventory.")
    known = {workload.id for workload in data_center.workloads}
    for rule in data_center.rules:
        unknown = [member for member in rule.workloads if member not in known]
        if unknown:
            raise Invalid(f"Rule {rule.name} names workload {unknown[0]}, which is not in the inventory.")
        if rule.kind == "spread" and rule.at_least < 1:
            raise Invalid(f"Rule {rule.name} must ask for at least one {rule.scope}.")


def check_workload(workload: Workload) -> None:
    """Raises Invalid unless the workload's numbers make sense."""
    where = f"Workload {workload.label}"
    _check_resources(workload.allocation, where)
    if workload.observed_p95 is not None:
        _check_resources(workload.observed_p95, f"{where}, observed")
    _check_number(workload.copy_gib, f"{where}: copy_gib")
    if workload.profile is not None:
        for name in ("cpu_cores", "memory_mib"):
            hours = getattr(workload.profile, name)
            if len(hours) not in (0, 168):
                raise Invalid(f"{where}: its {name} profile has {len(hours)} hours; a week has 168.")
            for value in hours:
                _check_number(value, f"{where}: {name} of its profile")


def check_policy(policy: Policy) -> None:
    """Raises Invalid unless the policy can be followed."""
    for name in ("cpu_overcommit", "memory_overcommit"):
        ratio = getattr(policy, name)
        _check_number(ratio, f"Policy {policy.name}: {name}")
        if not 0.1 <= ratio <= 100:
            raise Invalid(f"Policy {policy.name}: {name} is {ratio:g}; it must be between 0.1 and 100.")
    for name in ("cpu_headroom", "memory_headroom", "disk_headroom", "disk_io_headroom", "network_headroom"):
        share = getattr(policy, name)
        _check_number(share, f"Policy {policy.name}: {name}")
        if share >= 1:
            raise Invalid(f"Policy {policy.name}: {name} is {share:g}; it is a share below 1 (0.2 keeps 20 % free).")
    for name in ("moves_in_per_host", "moves_out_per_host"):
        if getattr(policy, name) < 1:
            raise Invalid(f"Policy {policy.name}: {name} must be at least 1.")
    for name in ("spare_hosts", "survive_failures", "max_moves", "max_moved_gib"):
        limit = getattr(policy, name)
        if limit is not None:
            _check_number(limit, f"Policy {policy.name}: {name}")


def _check_resources(amounts: Resources, where: str) -> None:
    for name in RESOURCES:
        value = getattr(amounts, name)
        if value is not None:
            _check_number(value, f"{where}: {name}")


def _check_number(value: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"{what} is not a number.")
    if not math.isfinite(value):
        raise Invalid(f"{what} is not a finite number.")
    if value < 0:
        raise Invalid(f"{what} is {value:g}; it cannot be negative.")
    if value > LARGEST:
        raise Invalid(f"{what} is {value:g}, more than any machine has; check its unit.")


def _unique(ids: Iterable[str], what: str) -> set[str]:
    seen: set[str] = set()
    for name in ids:
        if not name:
            raise Invalid(f"A {what} has no id.")
        if name in seen:
            raise Invalid(f"Two {what}s have the id {name}.")
        seen.add(name)
    return seen
