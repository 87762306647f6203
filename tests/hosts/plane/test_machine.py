from __future__ import annotations

from pathlib import Path

import pytest

from hosts.plane.cgroup import CgroupFiles, cgroup_find
from hosts.plane.config import Declared, PlaneConfig, PoolPlace
from hosts.plane.machine import CgroupMachine, LoadAverage, ProcMachine, capacity, disk_used_gib

GOLDEN = Path(__file__).parent / "golden"


def test_the_whole_machine_is_read_from_proc_without_idle_and_guest_time() -> None:
    use = ProcMachine(GOLDEN / "proc").read()

    # 10000 + 500 + 3000 + 40 + 60 + 100 ticks of 10 ms; idle, iowait and guest are not work of this machine
    assert use.cpu_seconds_total == pytest.approx(137.0)
    assert use.memory_used_mib == pytest.approx(10_000.0)
    assert use.load_1m == 0.52


def test_the_group_of_a_lab_host_is_found_on_cgroup_v1_beside_a_v2_tree() -> None:
    files = cgroup_find("/stowage-ab12/lab-a1", (GOLDEN / "v1/mountinfo").read_text())

    assert files == CgroupFiles(
        1,
        Path("/sys/fs/cgroup/cpuacct/stowage-ab12/lab-a1/cpuacct.usage"),
        Path("/sys/fs/cgroup/memory/stowage-ab12/lab-a1/memory.usage_in_bytes"),
        Path("/sys/fs/cgroup/memory/stowage-ab12/lab-a1/memory.stat"),
    )


def test_the_group_of_a_lab_host_is_the_root_of_its_namespace_on_cgroup_v2() -> None:
    files = cgroup_find("/", (GOLDEN / "v2/mountinfo").read_text())

    assert files == CgroupFiles(
        2,
        Path("/sys/fs/cgroup/cpu.stat"),
        Path("/sys/fs/cgroup/memory.current"),
        Path("/sys/fs/cgroup/memory.stat"),
    )


def test_without_a_cgroup_tree_nothing_is_found() -> None:
    assert cgroup_find("/", "24 30 0:22 / /proc rw,relatime - proc proc rw") is None


@pytest.mark.parametrize(
    ("version", "cpu", "memory", "seconds"),
    [(1, "cpuacct.usage", "memory.usage_in_bytes", 18.44853678), (2, "cpu.stat", "memory.current", 1253.790397)],
)
def test_a_groups_memory_is_counted_without_the_cache_that_it_would_give_up(
    version: int, cpu: str, memory: str, seconds: float
) -> None:
    folder = GOLDEN / f"v{version}"
    use = CgroupMachine(CgroupFiles(version, folder / cpu, folder / memory, folder / "memory.stat")).read()

    assert use.cpu_seconds_total == pytest.approx(seconds)
    assert use.memory_used_mib == pytest.approx((114724864 - 3723264) / 1024**2)
    assert use.load_1m is None


def test_a_declared_capacity_stands_for_the_machines_own(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"x" * 3 * 1024 * 1024)
    config = PlaneConfig(
        name="alpha",
        state_dir=str(tmp_path),
        declared=Declared(4, 4096, 40),
        pools=(PoolPlace("local", str(tmp_path)),),
    )

    has = capacity(config)

    assert (has.cpu_cores, has.memory_mib, has.disk_gib) == (4, 4096, 40)
    assert disk_used_gib(config) < 0.1


def test_the_load_of_a_lab_host_follows_its_cpu_use_within_minutes() -> None:
    load = LoadAverage()
    load.add(0.0, 0.0)
    for _ in range(12):
        after_a_minute = load.add(2.0, 5.0)

    assert after_a_minute == pytest.approx(2.0 * (1 - 1 / 2.718281828), abs=0.01)
