"""Input that no plan should be made of, refused with the first sentence that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from hosts.errors import Invalid

from .model import RESOURCES, DataCenter, Host, Policy, Profile, Resources, Rule, Series, Workload

# Beyond what any machine has: memory in bytes or disk in bytes shows by this.
LARGEST = {
    "cpu_cores": 1e5,
    "memory_mib": 1e8,
    "disk_gib": 1e8,
    "disk_io_mib_s": 1e8,
    "network_mbit_s": 1e8,
}
LARGEST_OTHER = 1e12
SHARES = ("cpu_headroom", "memory_headroom", "disk_headroom", "disk_io_headroom", "network_headroom", "overload_risk")
COUNTS = ("spare_hosts", "survive_failures", "survive_priority", "max_moves", "effort")
AT_LEAST_ONE = ("moves_in_per_host", "moves_out_per_host")
WORDS = {
    (kind, name): get_args(get_type_hints(kind)[name])
    for kind, name in (
        (Workload, "kind"),
        (Policy, "objective"),
        (Policy, "cpu_counting"),
        (Rule, "kind"),
        (Rule, "scope"),
    )
}
AMOUNTS = ("max_moved_gib", "max_minutes", "break_even_hours", "move_watts", "price_per_kwh")


def check_input(data_center: DataCenter, policy: Policy) -> None:
    """Raises Invalid unless all numbers are finite, positive and believable, and all names known."""
    check_policy(policy)
    hosts = _unique((host.id for host in data_center.hosts), "host", "id")
    known = _unique((workload.id for workload in data_center.workloads), "workload", "id")
    _unique((rule.name for rule in data_center.rules), "rule", "name")
    for host in data_center.hosts:
        check_host(host)
    for workload in data_center.workloads:
        check_workload(workload)
        if workload.host and workload.host not in hosts:
            raise Invalid(f"Workload {workload.label} is on host {workload.host}, which is not in the inventory.")
    _check_carriers(data_center)
    for rule in data_center.rules:
        _check_rule(rule, known)
    check_series(data_center)


def _check_carriers(data_center: DataCenter) -> None:
    hosts = {host.id: host for host in data_center.hosts}
    machines = {item.id: item for item in data_center.workloads if item.kind == "vm"}
    for host in (host for host in data_center.hosts if host.inside):
        where, under, machine = f"Host {host.label}", hosts.get(host.inside), machines.get(host.id)
        if under is None or under.inside:
            raise Invalid(f"{where} is inside {host.inside}, which is no machine of the inventory.")
        if machine is None or machine.host != under.id:
            raise Invalid(f"{where} is inside {under.label}, where there is no VM of its id.")
        if (host.site, host.rack, host.is_on) != (under.site, under.rack, under.is_on):
            raise Invalid(f"{where} must have the site and rack of {under.label}, and be on with it.")
        if host.has_hypervisor or host.idle_watts or host.peak_watts:
            raise Invalid(f"{where} is a VM: it carries containers only, and its host's watts hold for it.")


def check_host(host: Host) -> None:
    """Raises Invalid unless the host's numbers make sense."""
    where = f"Host {host.label}"
    _check_resources(host.capacity, where)
    _check_resources(host.numa_node, f"{where}, NUMA node")
    for hour in host.no_move_hours:
        _check_hour(hour, f"{where}: no_move_hours")
    for name in ("idle_watts", "peak_watts"):
        _check_number(getattr(host, name), f"{where}: {name}")
    if host.peak_watts < host.idle_watts:
        raise Invalid(f"{where}: peak_watts is below idle_watts; correct its power model.")
    if host.is_on and not (host.capacity.cpu_cores and host.capacity.memory_mib):
        raise Invalid(f"{where} has no CPU or memory capacity; discover it again or declare its capacity.")


def check_workload(workload: Workload) -> None:
    """Raises Invalid unless the workload's numbers make sense."""
    where = f"Workload {workload.label}"
    _check_word(workload, "kind", where)
    _check_resources(workload.allocation, where)
    if workload.observed_p95 is not None:
        _check_resources(workload.observed_p95, f"{where}, observed")
    for name in ("copy_gib", "dirty_mib_s"):
        _check_number(getattr(workload, name), f"{where}: {name}")
    for hour in workload.no_move_hours:
        _check_hour(hour, f"{where}: no_move_hours")
    if workload.profile is not None:
        for spec in fields(Profile):
            hours = getattr(workload.profile, spec.name)
            if len(hours) not in (0, 168):
                raise Invalid(f"{where}: its {spec.name} profile has {len(hours)} hours; a week has 168.")
            _check_numbers(hours, f"{where}: {spec.name} of its profile", _largest(spec.name))


def check_policy(policy: Policy) -> None:
    """Raises Invalid unless the policy can be followed."""
    where = f"Policy {policy.name}"
    for name in ("objective", "cpu_counting"):
        _check_word(policy, name, where)
    for name in ("cpu_overcommit", "memory_overcommit"):
        ratio = getattr(policy, name)
        _check_number(ratio, f"{where}: {name}")
        if not 0.1 <= ratio <= 100:
            raise Invalid(f"{where}: {name} is {ratio:g}; it must be between 0.1 and 100.")
    for name in SHARES:
        share = getattr(policy, name)
        _check_number(share, f"{where}: {name}")
        if share >= 1:
            raise Invalid(f"{where}: {name} is {share:g}; it is a share below 1 (0.2 keeps 20 % free).")
    for name in (*COUNTS, *AT_LEAST_ONE):
        _check_count(getattr(policy, name), f"{where}: {name}", 1 if name in AT_LEAST_ONE else 0)
    for name in AMOUNTS:
        if getattr(policy, name) is not None:
            _check_number(getattr(policy, name), f"{where}: {name}")
    _check_number(policy.migration_mib_s, f"{where}: migration_mib_s")
    if not policy.migration_mib_s:
        raise Invalid(f"{where}: migration_mib_s is 0; nothing could ever be moved.")
    for licence in policy.licences:
        _check_number(licence.price_per_core_year, f"{where}: the price of {licence.product}")
    if policy.start_hour is not None:
        _check_hour(policy.start_hour, f"{where}: start_hour")
        if policy.max_minutes is None:
            raise Invalid(f"{where}: with a start_hour, set max_minutes too: how long may the moves take?")


def _check_rule(rule: Rule, known: set[str]) -> None:
    where = f"Rule {rule.name}"
    _check_word(rule, "kind", where)
    _check_word(rule, "scope", where)
    unknown = [member for member in rule.workloads if member not in known]
    if unknown:
        raise Invalid(f"{where} names workload {unknown[0]}, which is not in the inventory.")
    if rule.kind == "spread":
        _check_count(rule.at_least, f"{where}: at_least", 1)


def check_series(data_center: DataCenter) -> None:
    """All recorded series speak of the same steps."""
    _check_hour(data_center.series_start_hour, "series_start_hour")
    _check_count(data_center.series_per_hour, "series_per_hour", 1)
    length = 0
    for workload in data_center.workloads:
        for spec in fields(Series) if workload.series is not None else ():
            values, where = getattr(workload.series, spec.name), f"Workload {workload.label}: {spec.name} of its series"
            if values and length and len(values) != length:
                raise Invalid(f"{where} has {len(values)} steps where others have {length}; cut all to the same time.")
            length = len(values) or length
            _check_numbers(values, where, _largest(spec.name))


def _largest(name: str) -> float:
    return next((most for resource, most in LARGEST.items() if name.startswith(resource)), LARGEST_OTHER)


def _check_resources(amounts: Resources, where: str) -> None:
    for name in RESOURCES:
        value = getattr(amounts, name)
        if value is not None:
            _check_number(value, f"{where}: {name}", LARGEST[name])


def _check_numbers(values: tuple[Any, ...], what: str, largest: float) -> None:
    if all(type(value) is float and 0 <= value <= largest for value in values):
        return  # nearly always, and ten times as fast
    for value in values:
        _check_number(value, what, largest)


def _check_number(value: Any, what: str, largest: float = LARGEST_OTHER) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"{what} is not a number.")
    if isinstance(value, float) and not math.isfinite(value):
        raise Invalid(f"{what} is not a finite number.")
    if value < 0:
        raise Invalid(f"{what} is {value:g}; it cannot be negative.")
    if value > largest:
        raise Invalid(f"{what} is more than any machine has, above {largest:g}; check its unit.")


def _check_count(value: Any, what: str, least: int) -> None:
    if value is None:
        return
    _check_number(value, what)
    if not isinstance(value, int):
        raise Invalid(f"{what} is {value:g}; it must be a whole number.")
    if value < least:
        raise Invalid(f"{what} must be at least {least}.")


def _check_hour(value: Any, what: str) -> None:
    _check_count(value, what, 0)
    if value > 167:
        raise Invalid(f"{what} is {value}; the hours of a week are 0 to 167, Monday 00:00 first.")


def _check_word(value: Any, name: str, where: str) -> None:
    """A field annotated with the words that it may hold."""
    words = WORDS[type(value), name]
    if getattr(value, name) not in words:
        raise Invalid(f"{where}: {name} must be one of {', '.join(words)}.")


def _unique(ids: Iterable[str], what: str, by: str) -> set[str]:
    seen: set[str] = set()
    for name in ids:
        if not name:
            raise Invalid(f"A {what} has no {by}.")
        if name in seen:
            raise Invalid(f"Two {what}s have the {by} {name}.")
        seen.add(name)
    return seen
