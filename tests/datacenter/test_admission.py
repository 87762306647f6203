"""One workload, one host, at this moment: does it fit?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datacenter.admission import fullness, why_not_admitted
from datacenter.planner.model import DataCenter, Host, Policy, Resources, Workload
from datacenter.snapshot import arriving_id

POLICY = Policy(cpu_overcommit=2.0, cpu_headroom=0.0, memory_headroom=0.5, disk_headroom=0.0)
TARGET = Host("b", Resources(4.0, 1000.0, 10.0), name="beta", bridges=("stw0",))


def workload(name: str, host: str = "a", memory_mib: float = 100.0, **fields: Any) -> Workload:
    return Workload(name, "vm", Resources(1.0, memory_mib, 1.0), host=host, name=name, **fields)


def why_not(moved: Workload, *there: Workload, target: Host = TARGET) -> str | None:
    world = DataCenter((Host("a", Resources(8.0, 8000.0)), target), (moved, *there))
    return why_not_admitted(world, POLICY, moved, target)


def test_what_fits_is_admitted():
    assert why_not(workload("web"), workload("db", "b", 400.0)) is None


@pytest.mark.parametrize(
    ("moved", "there", "sentence"),
    [
        (workload("web", memory_mib=101), [workload("db", "b", 400.0)], "100.0 MiB of memory left under the policy"),
        (replace(workload("web"), allocation=Resources(9.0, 1.0)), [], "4.0 cores of CPU left"),
        (workload("web", observed_p95=Resources(4.5, None)), [], "4.0 cores of CPU left"),
        (workload("web", observed_p95=Resources(None, 600.0)), [], "500.0 MiB of memory left"),
        (replace(workload("web"), allocation=Resources(1.0, 1.0, 10.5)), [], "10.0 GiB of disk left"),
        (workload("web", bridges=("lan",)), [], "beta has no bridge lan"),
        (workload("web", anti_affinity=("g",)), [workload("twin", "b", anti_affinity=("g",))], "never share a host"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(moved: Workload, there: list[Workload], sentence: str):
    assert sentence in (why_not(moved, *there) or "")


@pytest.mark.parametrize(
    "target", [replace(TARGET, is_on=False), replace(TARGET, accepts_work=False, accepts_reason="beta is cordoned")]
)
def test_a_closed_host_takes_nothing(target: Host):
    assert (why_not(workload("web"), target=target) or "").startswith("beta is ")


def test_what_is_on_its_way_there_counts_but_not_its_own_place():
    moved = workload("web", memory_mib=300)

    assert why_not(moved, workload("other", "b", 300.0, movable=False)) is not None
    assert why_not(moved, replace(moved, id=arriving_id("web", "b"), host="b")) is None


def test_fullness_is_that_of_the_tightest_limit():
    world = DataCenter((TARGET,), (workload("db", "b", 250.0),))

    assert fullness(world, POLICY, TARGET) == 0.5
