"""Lines 1 (second half) and 7: four resources, anti-affinity, pins, N+1, 168 hours, a rack drained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter, Profile

from .clusters import POLICY, cluster
from .measure import measured
from .report import row


def run(large: bool = False) -> bool:
    """Prints what each rule costs in hosts and seconds; True when no plan breaks any."""
    good = True
    for hosts, vms, seed in ((500, 5_000, 2), (1_000, 10_000, 3)) if large else ((500, 5_000, 2),):
        plain = cluster(hosts, vms, seed)
        ruled = with_rules(plain, seed)
        cases = (
            ("plain", plain, POLICY),
            ("rules", ruled, POLICY),
            ("rules, N+1", ruled, replace(POLICY, survive_failures=1)),
            ("rules, N+1, rack drained", drained(ruled), replace(POLICY, survive_failures=1)),
            ("rules, N+1, 168 hours, 4 resources", with_profiles(ruled, seed), replace(POLICY, survive_failures=1)),
        )
        for name, data_center, policy in cases:
            result = measured(lambda data_center=data_center, policy=policy: plan(data_center, policy))
            found = verify_plan(data_center, policy, result.answer)
            answer = result.answer
            bound = answer.lower_bound
            good &= row(
                "rules",
                f"{hosts} x {vms} {name}",
                f"{bound.hosts} {bound.resource}",
                f"{answer.hosts_on_after} hosts, {len(answer.moves)} moves",
                f"{len(answer.restart_on)} restarts proved" if policy.survive_failures else "-",
                f"{1 + answer.gap:.4f}",
                result,
                len(found),
            )
            for sentence in (*(violation.sentence for violation in found[:1]), *answer.refusals[:1]):
                print(f"  {sentence}")
    return good


def with_rules(data_center: DataCenter, seed: int) -> DataCenter:
    """5 % of the VMs in anti-affinity groups of three that hold now, 1 % pinned, racks of twenty hosts."""
    generator = np.random.default_rng(seed)
    workloads = list(data_center.workloads)
    chosen = generator.choice(len(workloads), len(workloads) * 5 // 100, replace=False)
    for start in range(0, len(chosen) - 2, 3):
        trio = chosen[start : start + 3]
        if len({workloads[index].host for index in trio}) == 3:
            for index in trio:
                workloads[index] = replace(workloads[index], anti_affinity=(f"group {start // 3}",))
    for index in generator.choice(len(workloads), len(workloads) // 100, replace=False):
        workloads[index] = replace(workloads[index], pinned=True, pinned_reason="licence")
    hosts = tuple(replace(host, site="s", rack=f"r{number // 20}") for number, host in enumerate(data_center.hosts))
    return replace(data_center, hosts=hosts, workloads=tuple(workloads))


def drained(data_center: DataCenter) -> DataCenter:
    """The first rack is to be emptied: it takes nothing new."""
    hosts = tuple(replace(host, accepts_work=host.rack != "r0") for host in data_center.hosts)
    return replace(data_center, hosts=hosts)


def with_profiles(data_center: DataCenter, seed: int) -> DataCenter:
    """Day loads, night loads and weekend loads around each VM's p95, with disk and network demand."""
    generator = np.random.default_rng(seed)
    hour = np.arange(168)
    day = 0.35 + 0.65 * ((hour % 24 >= 8) & (hour % 24 < 18) & (hour < 120))
    night = 0.35 + 0.65 * ((hour % 24 < 6) | (hour % 24 >= 22))
    shapes = (day, night, np.full(168, 1.0))
    workloads = []
    for item in data_center.workloads:
        peak = (item.observed_p95.cpu_cores if item.observed_p95 else 0.0) or 0.0
        shape = shapes[generator.choice(3, p=[0.5, 0.2, 0.3])] * generator.uniform(0.9, 1.0, 168)
        need = replace(item.allocation, disk_gib=20.0, network_mbit_s=float(generator.choice([10, 50, 200])))
        workloads.append(replace(item, allocation=need, profile=Profile(tuple((peak * shape).tolist()))))
    hosts = tuple(
        replace(host, capacity=replace(host.capacity, disk_gib=4_000.0, network_mbit_s=25_000.0))
        for host in data_center.hosts
    )
    return replace(data_center, hosts=hosts, workloads=tuple(workloads))
