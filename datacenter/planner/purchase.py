"""Which hosts to buy for work that is to come, and which to retire for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hosts.errors import Invalid

from .consolidation import plan
from .demand import demand_of
from .model import DataCenter, Host, Plan, Policy, Workload
from .room import Room
from .validation import check_host, check_input


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of host on sale. Its `id` names the kind."""

    host: Host
    price: float


@dataclass(frozen=True, slots=True)
class Purchase:
    """How many of which kind to buy, what it costs with the power of `years`, and no fewer than `at_least` would do."""

    kind: str
    count: int
    at_least: int
    cost: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Retirement:
    """Hosts that nothing needs any more, the hungriest for its cores first, and the plan that empties them."""

    hosts: tuple[str, ...]
    plan: Plan
    sentence: str


def what_to_buy(
    data_center: DataCenter, policy: Policy, workloads: Sequence[Workload], offers: Sequence[Offer], years: float = 4.0
) -> tuple[Purchase, ...]:
    """For each kind on offer the fewest that give all the new workloads a place, the cheapest kind first.

    The cost is the price and the energy of idle hosts over the years, at the policy's tariff. Kinds that no
    number of hosts would do with are left out. Raises Invalid without an offer.
    """
    if not offers:
        raise Invalid("Name at least one kind of host that could be bought.")
    check_input(data_center, policy)
    for offer in offers:
        check_host(offer.host)
    found = [_purchase(data_center, policy, workloads, offer, years) for offer in offers]
    return tuple(sorted((one for one in found if one), key=lambda one: (one.cost, one.kind)))


def what_to_retire(data_center: DataCenter, policy: Policy) -> Retirement:
    """The hosts that the plan of least watts does without, the policy's reserve and N+k kept."""
    result = plan(data_center, replace(policy, objective="watts"))
    hosts = {host.id: host for host in data_center.hosts}
    off = [host.id for host in data_center.hosts if not host.is_on and not _carries(data_center, host.id)]
    order = sorted(
        (*result.hosts_to_power_off, *off),
        key=lambda name: (-hosts[name].idle_watts / max(1e-9, hosts[name].capacity.cpu_cores or 0), name),
    )
    labels = ", ".join(hosts[name].label for name in order)
    sentence = f"{labels} can be retired once the plan is carried out." if order else "No host can be retired."
    return Retirement(tuple(order), result, sentence)


def _carries(data_center: DataCenter, host_id: str) -> bool:
    return any(item.host == host_id for item in data_center.workloads)


def _purchase(
    data_center: DataCenter, policy: Policy, workloads: Sequence[Workload], offer: Offer, years: float
) -> Purchase | None:
    """The fewest hosts of one kind, by doubling and bisection."""
    fails, count = -1, 0
    while not _all_fit(data_center, policy, workloads, offer.host, count):
        if count >= max(1, len(workloads)):
            return None  # one each would not do
        fails, count = count, min(max(1, count * 2), max(1, len(workloads)))
    while count - fails > 1:
        middle = (fails + count) // 2
        fails, count = (
            (fails, middle) if _all_fit(data_center, policy, workloads, offer.host, middle) else (middle, count)
        )
    kwh = offer.host.idle_watts * 8.766 * years * count
    cost = count * offer.price + kwh * policy.price_per_kwh
    least = min(count, _least(data_center, policy, workloads, offer.host))
    sentence = (
        f"{count} x {offer.host.label} take all {len(workloads)} new workloads, for {cost:,.0f} with the power of "
        f"{years:g} years; fewer than {least} cannot."
    )
    return Purchase(offer.host.id, count, least, round(cost, 2), sentence)


def _all_fit(data_center: DataCenter, policy: Policy, workloads: Sequence[Workload], host: Host, count: int) -> bool:
    return all(item.host for item in Room(_with(data_center, host, count), policy).place_all(workloads).values())


def _with(data_center: DataCenter, host: Host, count: int) -> DataCenter:
    bought = tuple(
        replace(
            host, id=f"{host.id} {number + 1}", name=f"new {host.label} {number + 1}", is_on=True, accepts_work=True
        )
        for number in range(count)
    )
    return replace(data_center, hosts=data_center.hosts + bought)


def _least(data_center: DataCenter, policy: Policy, workloads: Sequence[Workload], host: Host) -> int:
    """What the sums of demand ask for, dimension by dimension, if everything could be cut into pieces."""
    new = tuple(replace(item, host="") for item in workloads)
    whole = _with(replace(data_center, workloads=data_center.workloads + new), host, 1)
    demand = demand_of(whole, policy)
    strict = ~np.isin(np.arange(len(demand.dimensions)), demand.steps)
    load = np.zeros_like(demand.limits)
    row = {machine.id: number for number, machine in enumerate(whole.hosts)}
    for number, item in enumerate(whole.workloads):
        if item.host:
            load[row[item.host]] += demand.needs[number]
    takes = np.array([machine.is_on and machine.accepts_work for machine in data_center.hosts], dtype=bool)
    left = np.maximum(demand.limits - load, 0.0)[:-1][takes].sum(axis=0)
    lacks = demand.needs[len(data_center.workloads) :].sum(axis=0) - left
    each = np.maximum(demand.limits[-1], 1e-12)
    return max(0, int(np.ceil((lacks / each)[strict].max(initial=0.0) - 1e-9)))
