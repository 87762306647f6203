"""Line 2: hosts needed when only some of the VMs may move, against two greedy ways with the same budget."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter, Workload

from .clusters import POLICY, cluster
from .measure import measured
from .report import row

WATCHER_MOVES, WATCHER_HOSTS = 4_996, 419  # 1,000 x 10,000, measured (data/README.md)


def run(large: bool = False) -> bool:
    """Prints a line per budget; True when ours needs fewer hosts at each."""
    good = True
    for hosts, vms, seed in ((500, 5_000, 2), (1_000, 10_000, 3)):
        data_center = cluster(hosts, vms, seed)
        budgets = [vms // 10, vms // 4, vms // 2] + ([WATCHER_MOVES] if vms == 10_000 else [])
        for budget in budgets:
            policy = replace(POLICY, max_moves=budget)
            result = measured(lambda data_center=data_center, policy=policy: plan(data_center, policy))
            found = verify_plan(data_center, policy, result.answer)
            ours = result.answer.hosts_on_after
            small_first = greedy(data_center, budget, by_size=True)
            emptiest_first = greedy(data_center, budget, by_size=False)
            watcher = f", Watcher {WATCHER_HOSTS}" if budget == WATCHER_MOVES else ""
            best = min(small_first, emptiest_first)
            good &= row(
                "pareto",
                f"{hosts} x {vms}, at most {budget} moves",
                f"{result.answer.lower_bound.hosts} hosts",
                f"{ours} hosts, {len(result.answer.moves)} moves",
                f"greedy {small_first}, fit {emptiest_first}{watcher}",
                f"{ours / best:.4f} of best peer",
                result,
                len(found),
                ours < best,
            )
    return good


def greedy(data_center: DataCenter, budget: int, by_size: bool) -> int:
    """Hosts left by draining one after the other into the fullest that fits, until the budget is spent."""
    free = {
        host.id: [
            2 * (host.capacity.cpu_cores or 0),
            host.capacity.memory_mib or 0,
            0.8 * (host.capacity.cpu_cores or 0),
        ]
        for host in data_center.hosts
    }
    size = {host.id: host.capacity.cpu_cores or 0 for host in data_center.hosts}
    inside: dict[str, list[Workload]] = defaultdict(list)
    for workload in data_center.workloads:
        inside[workload.host].append(workload)
        _take(free[workload.host], workload, 1)
    order = sorted(free, key=lambda name: ((size[name] if by_size else 0), len(inside[name]), name))
    is_open, left = dict.fromkeys(free, True), budget
    for name in order:
        if len(inside[name]) > left:
            continue
        is_open[name] = False
        done: list[tuple[Workload, str]] = []
        for workload in sorted(inside[name], key=lambda item: -(item.allocation.memory_mib or 0)):
            need = _need(workload)
            fits = [h for h in free if is_open[h] and all(f >= n for f, n in zip(free[h], need, strict=True))]
            if not fits:
                break
            target = min(fits, key=lambda host: free[host][1])
            _take(free[target], workload, 1)
            done.append((workload, target))
        if len(done) == len(inside[name]):
            left -= len(done)
            for workload, target in done:
                inside[target].append(workload)
            inside[name] = []
        else:
            is_open[name] = True
            for workload, target in done:
                _take(free[target], workload, -1)
    return sum(bool(items) for items in inside.values())


def _need(workload: Workload) -> tuple[float, float, float]:
    seen = workload.observed_p95.cpu_cores if workload.observed_p95 else 0.0
    return workload.allocation.cpu_cores or 0.0, workload.allocation.memory_mib or 0.0, seen or 0.0


def _take(free: list[float], workload: Workload, sign: int) -> None:
    for column, need in enumerate(_need(workload)):
        free[column] -= sign * need
