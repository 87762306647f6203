"""Line 9: how time and memory grow with the data center, as a table and an exponent."""

from __future__ import annotations

import numpy as np

from datacenter.planner import plan, verify_plan

from .clusters import POLICY, cluster
from .measure import measured

SIZES = (100, 300, 1_000, 3_000, 5_000)


def run(large: bool = False) -> bool:
    """Prints a line per size and the exponent of time over hosts; goal 1.3."""
    seconds, good = [], True
    for hosts in SIZES:
        data_center = cluster(hosts, hosts * 10, 1)
        result = measured(lambda data_center=data_center: plan(data_center, POLICY))
        good &= not verify_plan(data_center, POLICY, result.answer)
        seconds.append(result.cpu_s)
        answer = result.answer
        print(
            f"growth {hosts} x {hosts * 10}: {answer.hosts_on_after} hosts (bound {answer.lower_bound.hosts}), "
            f"{result.cost}",
            flush=True,
        )
    exponent = float(np.polyfit(np.log(SIZES), np.log(seconds), 1)[0])
    late = float(np.polyfit(np.log(SIZES[2:]), np.log(seconds[2:]), 1)[0])
    print(f"growth: exponent {exponent:.2f} over all, {late:.2f} from 1,000 hosts on (goal 1.3)")
    return good and exponent <= 1.3
