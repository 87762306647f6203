"""Line 1: consolidate generated clusters, against the bound, OpenStack Watcher and drain-small-first."""

from __future__ import annotations

import highspy

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter

from .clusters import POLICY, cluster
from .measure import measured
from .report import row

# hosts, VMs, seed, Watcher's hosts, greedy's hosts (measured, data/README.md), goal
CASES = ((100, 1_000, 1, 42, 32, 32), (500, 5_000, 2, 215, 157, 156), (1_000, 10_000, 3, 419, 314, 312))
LARGE = (5_000, 50_000, 4, 2_124, 1_558, 1_545)


def run(large: bool = False) -> bool:
    """Prints a line per case; True when all passed the verifier and met their goal."""
    good = True
    for hosts, vms, seed, watcher, greedy, goal in (*CASES, LARGE) if large else CASES:
        data_center = cluster(hosts, vms, seed)
        result = measured(lambda data_center=data_center: plan(data_center, POLICY))
        found = verify_plan(data_center, POLICY, result.answer)
        answer = result.answer
        naive, least = least_moved_gib(data_center, answer.hosts_on_after)
        moved = answer.moved_memory_mib / 1024
        bound = answer.lower_bound.hosts
        good &= row(
            "consolidate",
            f"{hosts} x {vms} seed {seed}",
            f"{bound} hosts",
            f"{answer.hosts_on_after} hosts, {answer.waves} waves",
            f"Watcher {watcher}, greedy {greedy}",
            f"{answer.hosts_on_after / bound:.4f}",
            result,
            len(found),
            answer.hosts_on_after <= goal,
        )
        good &= row(
            "  GiB moved",
            f"{len(answer.moves)} moves",
            f"{least:,.0f}",
            f"{moved:,.0f}",
            f"naive bound {naive:,.0f}",
            f"{moved / least:.3f}",
            result,
            len(found),
            moved <= (1.15 if hosts <= 1_000 else 1.2) * least,
        )
    return good


def least_moved_gib(data_center: DataCenter, kept: int) -> tuple[float, float]:
    """No plan that keeps `kept` hosts moves less: without and with the room that the kept hosts must give.

    The first lets any `kept` hosts keep all that they hold. The second is the linear program that also asks
    those hosts for enough memory and vCPUs in all; only its answer can be reached.
    """
    held: dict[str, float] = {host.id: 0.0 for host in data_center.hosts}
    for workload in data_center.workloads:
        held[workload.host] += (workload.allocation.memory_mib or 0.0) / 1024
    total = sum(held.values())
    naive = total - sum(sorted(held.values(), reverse=True)[:kept])
    solver = highspy.Highs()
    solver.silent()
    chosen = [solver.addVariable(0, 1, -held[host.id]) for host in data_center.hosts]
    solver.addConstr(sum(chosen) == kept)
    for resource, ratio in (("memory_mib", 1.0), ("cpu_cores", 2.0)):
        needed = sum(getattr(workload.allocation, resource) for workload in data_center.workloads)
        give = [getattr(host.capacity, resource) * ratio for host in data_center.hosts]
        solver.addConstr(sum(give[i] * chosen[i] for i in range(len(chosen))) >= needed)
    solver.minimize()
    return naive, total + solver.getInfo().objective_function_value
