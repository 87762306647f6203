"""Line 8: plan again after 1 % of the demand changed; place one new workload, and 500 at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter, Resources, Workload
from datacenter.planner.room import Room

from .clusters import POLICY, cluster
from .measure import measured
from .report import row


def run(large: bool = False) -> bool:
    """Prints four lines per size; True when plans are clean and in time."""
    good = True
    for hosts, vms, seed, limit_s in ((1_000, 10_000, 3, 1.0), (5_000, 50_000, 4, 5.0)):
        before = cluster(hosts, vms, seed)
        first = plan(before, POLICY)
        settled = replace(
            before,
            workloads=tuple(replace(item, host=first.placement_after[item.id]) for item in before.workloads),
            hosts=tuple(replace(host, is_on=host.id not in first.hosts_to_power_off) for host in before.hosts),
        )
        again = plan(settled, POLICY)
        changed = with_changed_demand(settled, 0.01, seed)
        result = measured(lambda changed=changed: plan(changed, POLICY))
        found = verify_plan(changed, POLICY, result.answer)
        bound = result.answer.lower_bound.hosts
        good &= row(
            "re-plan",
            f"{hosts} x {vms}, 1 % changed",
            f"{bound} hosts",
            f"{result.answer.hosts_on_after} hosts, {len(result.answer.moves)} moves",
            f"unchanged: {len(again.moves)} moves, goal {limit_s:g} s",
            f"{result.answer.hosts_on_after / bound:.4f}",
            result,
            len(found),
            not again.moves and result.wall_s <= limit_s,
        )
        room = measured(lambda before=before: Room(before, POLICY))
        single = measured(lambda room=room: [room.answer.place(NEW[0]) for _ in range(100)])
        many = measured(lambda room=room: room.answer.place_all(NEW))
        placed = sum(answer.host is not None for answer in many.answer.values())
        case, ready = f"{hosts} x {vms}", f"room made ready once in {room.wall_s:.2f} s"
        one_ms = single.wall_s * 10
        good &= row("place one", case, "5 ms", f"{one_ms:.3f} ms", ready, f"{one_ms / 5:.3f}", single, 0, one_ms <= 5)
        part = many.wall_s / 2
        good &= row("place 500", case, "2 s", f"{placed} placed", ready, f"{part:.3f}", many, 500 - placed, part <= 1)
    return good


def with_changed_demand(data_center: DataCenter, share: float, seed: int) -> DataCenter:
    """Some VMs use 50 % more or less CPU than they did, and one in four of those is resized in memory."""
    generator = np.random.default_rng(seed)
    workloads = list(data_center.workloads)
    for index in generator.choice(len(workloads), int(share * len(workloads)), replace=False):
        item = workloads[index]
        seen = (item.observed_p95.cpu_cores if item.observed_p95 else 0.0) or 0.0
        factor = generator.choice([0.5, 1.5])
        memory = (item.allocation.memory_mib or 0.0) * (factor if generator.integers(4) == 0 else 1.0)
        workloads[index] = replace(
            item,
            observed_p95=Resources(cpu_cores=seen * factor),
            allocation=replace(item.allocation, memory_mib=memory),
        )
    return replace(data_center, workloads=tuple(workloads))


def new_workloads(count: int) -> list[Workload]:
    """New VMs of the sizes that the clusters have."""
    generator = np.random.default_rng(5)
    sizes = generator.choice([1, 2, 4, 8], count)
    return [
        Workload(f"new{number}", "vm", Resources(float(size), float(size) * 4096)) for number, size in enumerate(sizes)
    ]


NEW = new_workloads(500)
