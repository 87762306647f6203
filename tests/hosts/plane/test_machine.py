from __future__ import annotations

from pathlib import Path

import pytest

from datacenter.metrics.table import HOST_BY_KEY
from hosts.plane.cgroup import GroupFiles, cgroup_find
from hosts.plane.config import Declared, PlaneConfig, PoolPlace
from hosts.plane.machine import CgroupMachine, LoadAverage, ProcMachine, capacity, disk_used_gib

GOLDEN = Path(__file__).parent / "golden"


def test_the_whole_machine_is_read_from_proc_without_idle_and_guest_time() -> None:
    use = ProcMachine(GOLDEN / "proc").read()

    # 10000 + 500 + 3000 + 40 + 60 + 100 ticks of 10 ms; idle, iowait and guest are not work of this machine
    assert use.cpu_seconds_total == pytest.approx(137.0)
    assert use.memory_used_mib == pytest.approx(10_000.0)
    assert use.load_1m == 0.52


@pytest.fixture
def machine(tmp_path: Path) -> ProcMachine:
    """A machine with two disks, one with a partition, and with a card, a bridge and a guest's cable."""
    files = {
        **{f"proc/{name}": (GOLDEN / "proc" / name).read_text() for name in ("stat", "meminfo", "loadavg")},
        "proc/diskstats": """\
   8       0 sda 100 5 2000 30 200 6 4000 50 0 1500 80 0 0 0 0 0 0
   8       1 sda1 90 5 1900 30 190 6 3900 50 0 1400 80 0 0 0 0 0 0
 259       0 nvme0n1 1 0 8 0 2 0 16 0 0 250 0 0 0 0 0 0 0
   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9 0 0 0 0 0 0
""",
        "proc/net/dev": """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame ... multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0
  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
   br0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
 vnet0: 500 5 0 0 0 0 0 0 500 5 0 0 0 0 0 0
""",
        "proc/pressure/cpu": "some avg10=1.00 avg60=0.5 avg300=0.1 total=2500000\nfull avg10=0 avg60=0 total=7\n",
        "proc/pressure/io": "some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0 avg60=0 total=500000\n",
        "sys/block/sda/size": "",
        "sys/block/nvme0n1/size": "",
        "sys/block/loop0/size": "",
        "sys/class/net/br0/bridge/bridge_id": "",
        "sys/class/net/eth0/mtu": "1500",
        "sys/class/net/vnet0/mtu": "1500",
        "sys/class/hwmon/hwmon0/name": "coretemp\n",
        "sys/class/hwmon/hwmon0/temp1_input": "45500\n",
        "sys/class/hwmon/hwmon0/temp1_label": "Package id 0\n",
        "sys/class/hwmon/hwmon0/temp2_input": "nonsense\n",
        "sys/class/powercap/intel-rapl:0/name": "package-0\n",
        "sys/class/powercap/intel-rapl:0/energy_uj": "12000000\n",
        "sys/class/powercap/intel-rapl:0:0/name": "core\n",
        "sys/class/powercap/intel-rapl:0:0/energy_uj": "5\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ProcMachine(tmp_path / "proc", tmp_path / "sys")


def test_a_machines_disks_and_cards_are_counted_once_and_apart(machine: ProcMachine) -> None:
    use = machine.read()

    assert use.values["disk_read_bytes_total"] == (2000 + 8) * 512
    assert use.values["disk_writes_total"] == 202
    assert use.parts["device_disk_read_bytes_total"] == {"sda": 2000 * 512, "nvme0n1": 8 * 512}
    assert use.parts["device_disk_busy_seconds_total"] == {"sda": 1.5, "nvme0n1": 0.25}
    assert use.values["network_sent_bytes_total"] == 2000
    assert use.parts["device_network_received_dropped_total"] == {"eth0": 2}


def test_waiting_temperatures_and_energy_are_read_where_the_kernel_offers_them(machine: ProcMachine) -> None:
    use = machine.read()

    assert use.values["cpu_pressure_some_seconds_total"] == 2.5
    assert use.values["io_pressure_full_seconds_total"] == 0.5
    assert "memory_pressure_some_seconds_total" not in use.values
    assert use.parts["temperature_celsius"] == {"coretemp Package id 0": 45.5}
    assert use.parts["energy_joules_total"] == {"package-0": 12.0}


def test_every_figure_of_a_machine_is_in_the_table_of_metrics(machine: ProcMachine) -> None:
    use = machine.read()

    assert {key for key in use.values} <= {key for key, metric in HOST_BY_KEY.items() if not metric.part}
    assert {key for key in use.parts} <= {key for key, metric in HOST_BY_KEY.items() if metric.part}


def test_the_group_of_a_lab_host_is_found_on_cgroup_v1_beside_a_v2_tree() -> None:
    files = cgroup_find("/stowage-ab12/lab-a1", (GOLDEN / "v1/mountinfo").read_text())

    assert files is not None
    assert (files.version, files.folder) == (1, "")
    assert files.cpu == "/sys/fs/cgroup/cpuacct/stowage-ab12/lab-a1/cpuacct.usage"
    assert files.memory_usage == "/sys/fs/cgroup/memory/stowage-ab12/lab-a1/memory.usage_in_bytes"
    assert files.memory_stat == "/sys/fs/cgroup/memory/stowage-ab12/lab-a1/memory.stat"


def test_the_group_of_a_lab_host_is_the_root_of_its_namespace_on_cgroup_v2() -> None:
    files = cgroup_find("/", (GOLDEN / "v2/mountinfo").read_text())

    assert files is not None
    assert (files.version, files.folder) == (2, "/sys/fs/cgroup")
    assert (files.cpu, files.disk_bytes) == ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/io.stat")
    assert (files.memory_usage, files.memory_stat) == ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat")


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
    files = GroupFiles(
        version, f"{folder}/{cpu}", "", f"{folder}/{memory}", f"{folder}/memory.stat", "", "", "", "", ""
    )
    use = CgroupMachine(files).read()

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
