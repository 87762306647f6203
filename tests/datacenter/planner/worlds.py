"""Small data centers to test with, and hypothesis strategies for random ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from datacenter.planner.model import (
    DataCenter,
    Host,
    Licence,
    Policy,
    Profile,
    Resources,
    Rule,
    Series,
    Workload,
)

PLAIN = Policy(cpu_headroom=0.0, memory_headroom=0.0, disk_headroom=0.0, cpu_overcommit=1.0)


def host(name: str, cpu: float = 8, memory: float = 8192, disk: float = 100, **fields: Any) -> Host:
    return Host(name, Resources(cpu, memory, disk), **({"idle_watts": 80, "peak_watts": 200} | fields))


def vm(name: str, on: str, cpu: float = 1, memory: float = 1024, disk: float = 0, **fields: Any) -> Workload:
    return Workload(name, "vm", Resources(cpu, memory, disk), on, **fields)


def container(name: str, on: str, cpu: float = 1, memory: float = 256, **fields: Any) -> Workload:
    return Workload(name, "container", Resources(cpu, memory, 0), on, **fields)


def carrier(name: str, on: str, **fields: Any) -> Host:
    """What the VM of that name has for containers."""
    return host(name, 4, 4096, has_hypervisor=False, inside=on, idle_watts=0, peak_watts=0, **fields)


def world(hosts: list[Host], workloads: list[Workload], *rules: Rule) -> DataCenter:
    return DataCenter(tuple(hosts), tuple(workloads), rules)


# Two loads of the day, one of the night and one that peaks once in a while, ten recorded steps each.
SERIES = [
    Series(cpu_cores=(4.0,) * 5 + (0.5,) * 5),
    Series(cpu_cores=(3.0,) * 5 + (0.5,) * 5, memory_mib=(2000.0,) * 5 + (500.0,) * 5),
    Series(cpu_cores=(0.5,) * 5 + (4.0,) * 5),
    Series(cpu_cores=(0.1,) * 9 + (6.0,)),
]
PROFILES = [
    Profile(cpu_cores=(3.0,) * 84 + (0.5,) * 84),
    Profile(cpu_cores=(0.5,) * 84 + (2.0,) * 84, cpu_cores_p99=(0.5,) * 84 + (3.0,) * 84, memory_mib=(900.0,) * 168),
]


@st.composite
def data_centers(draw: st.DrawFn) -> DataCenter:
    """Up to seven hosts and twenty workloads with pins, groups, rules, offs and overloads among them."""
    hosts = [
        host(
            f"h{number}",
            cpu=draw(st.sampled_from([4, 8, 16])),
            memory=draw(st.sampled_from([4096, 8192, 16384])),
            disk=draw(st.sampled_from([50, 200])),
            site="s1",
            rack=draw(st.sampled_from(["", "r1", "r2"])),
            is_on=draw(st.integers(0, 7)) > 0,
            can_power_off=draw(st.integers(0, 5)) > 0,
            accepts_work=draw(st.integers(0, 5)) > 0,
            has_engine=draw(st.booleans()),
            pools=draw(st.sampled_from([(), ("p1",)])),
            licences=draw(st.sampled_from([("l",), ("l",), ()])),
            peak_watts=draw(st.integers(80, 300)),
            kernel=draw(st.sampled_from(["linux", "linux", "windows"])),
            numa_node=draw(st.sampled_from([Resources(), Resources(2, 2048)])),
            no_move_hours=draw(st.sampled_from([(), (), (), (8,)])),
        )
        for number in range(draw(st.integers(1, 7)))
    ]
    through_time = draw(st.booleans())
    series = (through_time and draw(st.booleans())) or None
    workloads = [
        Workload(
            f"w{number}",
            draw(st.sampled_from(["vm", "vm", "container"])),
            Resources(
                draw(st.sampled_from([0.5, 1, 2, 4])),
                draw(st.sampled_from([256, 1024, 3000])),
                draw(st.integers(0, 20)),
            ),
            draw(st.sampled_from(hosts)).id,
            observed_p95=draw(st.sampled_from([None, Resources(0.2, 300), Resources(3, None)])),
            pinned=draw(st.integers(0, 9)) == 0,
            movable=draw(st.integers(0, 9)) > 0,
            anti_affinity=draw(st.sampled_from([(), (), ("a",), ("b",), ("a", "b")])),
            affinity=draw(st.sampled_from([(), (), (), ("x",)])),
            pools=draw(st.sampled_from([(), (), ("p1",)])),
            never_hosts=draw(st.sampled_from([(), (), (hosts[0].id,)])),
            licences=draw(st.sampled_from([(), (), (), ("l",)])),
            within=draw(st.sampled_from([(), (), (), ("s1",), ("s1/r1",)])),
            no_move_hours=draw(st.sampled_from([(), (), (9, 10)])),
            kernel=draw(st.sampled_from(["", "", "linux"])),
            in_one_numa_node=draw(st.integers(0, 5)) == 0,
            priority=draw(st.integers(0, 1)),
            series=series and draw(st.sampled_from([None, *SERIES])),
            profile=draw(st.sampled_from([None, None, *PROFILES])) if through_time else None,
            dirty_mib_s=draw(st.sampled_from([0.0, 40.0, 400.0])),
        )
        for number in range(draw(st.integers(0, 20)))
    ]
    rules: list[Rule] = []
    names = [workload.id for workload in workloads]
    for number in range(draw(st.integers(0, 3)) if len(names) > 3 else 0):
        members = draw(st.lists(st.sampled_from(names), min_size=2, max_size=4, unique=True))
        kind = draw(st.sampled_from(["apart", "spread", "together"]))
        scope = draw(st.sampled_from(["host", "rack", "site"]))
        rules.append(Rule(f"r{number}", tuple(members), kind, scope, draw(st.integers(1, 3))))
    return DataCenter(tuple(hosts), tuple(workloads), tuple(rules))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        cpu_overcommit=draw(st.sampled_from([1.0, 2.0, 4.0])),
        cpu_counting=draw(st.sampled_from(["larger", "separate"])),
        cpu_headroom=draw(st.sampled_from([0.0, 0.2])),
        memory_headroom=draw(st.sampled_from([0.0, 0.1])),
        objective=draw(st.sampled_from(["hosts", "watts", "money"])),
        licences=(Licence("l", 500.0),),
        overload_risk=draw(st.sampled_from([0.0, 0.01, 0.1, 0.2])),
        survive_rack=draw(st.integers(0, 5)) == 0,
        survive_priority=draw(st.integers(0, 1)),
        start_hour=draw(st.sampled_from([None, 8])),
        max_minutes=draw(st.sampled_from([1.0, 60.0])),
        break_even_hours=draw(st.sampled_from([None, 0.01])),
        spare_hosts=draw(st.sampled_from([0, 0, 1])),
        survive_failures=draw(st.sampled_from([0, 0, 0, 1, 2])),
        moves_in_per_host=draw(st.integers(1, 2)),
        max_moves=draw(st.sampled_from([None, None, 3])),
        effort=draw(st.sampled_from([0, 0, 0, 1])),
    )


@st.composite
def carrying(draw: st.DrawFn) -> DataCenter:
    """Up to four machines with VMs, some of which carry containers, and containers on machines beside them."""
    hosts = [host(f"h{number}", rack=draw(st.sampled_from(["r1", "r2"]))) for number in range(draw(st.integers(1, 4)))]
    workloads, carriers = [], []
    for number in range(draw(st.integers(0, 8))):
        on = draw(st.sampled_from(hosts))
        group = draw(st.sampled_from([(), (), ("a",)]))
        workloads.append(vm(f"v{number}", on.id, draw(st.sampled_from([1, 2, 4])), anti_affinity=group))
        if draw(st.booleans()):
            able = draw(st.integers(0, 3)) > 0
            carriers.append(carrier(f"v{number}", on.id, rack=on.rack, can_power_off=able))
    for number in range(draw(st.integers(0, 10))):
        where = draw(st.sampled_from([*hosts, *carriers])).id
        fields = {"pinned": draw(st.integers(0, 6)) == 0, "anti_affinity": draw(st.sampled_from([(), ("a",), ("b",)]))}
        workloads.append(container(f"c{number}", where, draw(st.sampled_from([0.25, 1])), **fields))
    names = [item.id for item in workloads]
    kinds = st.sampled_from(["apart", "spread", "together"])
    rules = [Rule("r", tuple(names[:3]), draw(kinds))] if len(names) > 3 and draw(st.booleans()) else []
    return world([*hosts, *carriers], workloads, *rules)
