"""The lab against the real kernel, libvirt, Docker and Redfish. Needs root and nothing that runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hosts.drivers import netlink
from hosts.lab import cgroups
from hosts.lab.enter import run_inside
from hosts.lab.layout import REPOSITORY, Layout
from hosts.lab.leftovers import start_ticks

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces"),
]


@dataclass
class RunningLab:
    """A lab started by a test, with what it says of itself."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    began: float

    @property
    def description(self) -> dict[str, Any]:
        return dict(json.loads((self.data_dir / "lab.json").read_text()))

    def host(self, name: str) -> dict[str, Any]:
        return next(host for host in self.description["hosts"] if host["name"] == name)

    def inside(self, name: str, *command: str) -> str:
        done = run_inside(self.host(name)["init_pid"], list(command))
        assert done.returncode == 0, f"{command} in {name}: {done.stderr}"
        return done.stdout.strip()

    def said(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.out").read_text()

    def redfish(self, name: str) -> httpx.Client:
        bmc = self.host(name)["bmc"]
        return httpx.Client(
            base_url=f"{bmc['url']}/redfish/v1/Systems/{bmc['system']}", auth=(bmc["username"], bmc["password"])
        )

    def reset(self, name: str, reset_type: str, wanted: str) -> float:
        """Seconds until the BMC says what was asked for."""
        began = time.monotonic()
        with self.redfish(name) as client:
            answer = client.post("/Actions/ComputerSystem.Reset", json={"ResetType": reset_type})
            assert answer.status_code == 204
            wait_until(lambda: client.get("").json()["PowerState"] == wanted, 30, f"{name} is {wanted}")
        return time.monotonic() - began

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0, self.said()


def wait_until(is_so: Any, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def lab_start(data_dir: Path, *options: str) -> RunningLab:
    command = [sys.executable, "-m", "hosts.lab", "--data-dir", str(data_dir), "--no-planes", *options]
    with (data_dir.parent / f"{data_dir.name}.out").open("ab") as out:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    lab = RunningLab(data_dir, process, time.monotonic())

    def is_ready() -> bool:
        assert process.poll() is None, lab.said()
        with contextlib.suppress(OSError):
            return bool(lab.description["ready"]) and lab.description["supervisor_pid"] == process.pid
        return False

    wait_until(is_ready, 120, "the lab is ready")
    return lab


def lab_clean(data_dir: Path) -> None:
    command = [sys.executable, "-m", "hosts.lab", "--data-dir", str(data_dir), "--clean"]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=60)


def assert_nothing_left(data_dir: Path) -> None:
    layout = Layout(data_dir, 1)
    assert netlink.find_link(layout.uplink) is None
    assert cgroups.group_pids(layout.cgroup) == set()
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(layout.data_dir) not in mounts
    groups = cgroups.hierarchies()
    assert [root for root in (*groups.roots, *groups.beside) if (root / layout.cgroup).exists()] == []
    commands = [path.read_bytes() for path in processes()]
    assert [command for command in commands if str(layout.data_dir).encode() in command] == []


def processes() -> Iterator[Path]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and start_ticks(int(folder.name)) is not None:
            file = folder / "cmdline"
            with contextlib.suppress(OSError):
                file.read_bytes()
                yield file


def ticks(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"STOWAGE tick (\d+)", text)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    lab_clean(tmp_path / "lab")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab of two hosts with its seed workloads, shared by the tests that leave it as it was."""
    data_dir = tmp_path_factory.mktemp("lab") / "lab"
    running = lab_start(data_dir, "--hosts", "2")
    yield running
    running.stop()
    assert_nothing_left(data_dir)
    lab_clean(data_dir)


def test_hosts_differ_in_all_that_libvirt_and_stowage_tell_them_by(lab: RunningLab) -> None:
    names = [host["name"] for host in lab.description["hosts"]]

    assert [lab.inside(name, "hostname") for name in names] == ["lab-a1", "lab-b1"]
    assert len({lab.inside(name, "cat", "/etc/machine-id") for name in names}) == 2
    capabilities = [lab.inside(name, "virsh", "capabilities") for name in names]
    for name, text in zip(names, capabilities, strict=True):
        assert lab.host(name)["host_uuid"] in text


def test_every_seed_workload_runs(lab: RunningLab) -> None:
    vms = [name for host in ("lab-a1", "lab-b1") for name in lab.inside(host, "virsh", "list", "--name").split()]
    containers = [
        name
        for host in ("lab-a1", "lab-b1")
        for name in lab.inside(host, "docker", "ps", "--format", "{{.Names}}").split()
    ]

    assert sorted(vms) == ["batch-1", "database-1", "mail-1", "shop-1", "shop-2", "web-1"]
    assert sorted(containers) == ["api-1", "cache-1", "proxy-1", "queue-1", "reports-1", "warehouse"]


def test_a_container_ticks_and_answers(lab: RunningLab) -> None:
    assert ticks(lab.inside("lab-b1", "docker", "logs", "proxy-1"))[0] == 1
    assert httpx.get(f"http://{lab.host('lab-b1')['address']}:8080/").text.strip() == "proxy-1"


def test_what_a_host_uses_is_read_in_its_group(lab: RunningLab) -> None:
    pids = cgroups.group_pids(f"{Layout(lab.data_dir, 2).cgroup}/lab-a1")

    commands = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids if Path(f"/proc/{pid}").exists()}
    assert {"libvirtd", "dockerd", "start"} <= commands
    assert any(command.startswith("qemu-system") for command in commands)


def test_a_vm_moves_live_by_shared_disk_and_does_not_reboot(lab: RunningLab) -> None:
    migrate_and_compare(lab, "web-1", "lab-a1", "lab-b1", "--unsafe")


def test_a_vm_moves_live_with_its_disk_and_does_not_reboot(lab: RunningLab) -> None:
    lab.inside("lab-b1", "qemu-img", "create", "-q", "-f", "qcow2", "/var/lib/libvirt/images/batch-1.qcow2", "1G")

    migrate_and_compare(lab, "batch-1", "lab-a1", "lab-b1", "--copy-storage-all")


def migrate_and_compare(lab: RunningLab, vm: str, source: str, target: str, how: str) -> None:
    vm_uuid = lab.inside(source, "virsh", "domuuid", vm)
    log = f"/var/log/libvirt/qemu/{vm_uuid}-serial.log"
    wait_until(lambda: ticks(lab.inside(source, "cat", log)), 60, f"{vm} ticks")
    address = lab.host(target)["migration_address"]
    flags = ["--live", "--p2p", "--persistent", "--undefinesource", "--suspend", how]
    began = time.monotonic()

    lab.inside(source, "virsh", "migrate", *flags, vm, f"qemu+tcp://{address}/system", f"tcp://{address}")
    lab.inside(target, "virsh", "resume", vm)

    print(f"{vm} moved in {time.monotonic() - began:.2f} s ({how})")
    wait_until(lambda: ticks(lab.inside(target, "cat", log)), 30, f"{vm} ticks at its target")
    last, first = ticks(lab.inside(source, "cat", log))[-1], ticks(lab.inside(target, "cat", log))[0]
    assert first - last in (0, 1)  # 0 when the line was cut in two by the move
    assert vm not in lab.inside(source, "virsh", "list", "--all", "--name").split()


def test_no_user_of_this_machine_reaches_libvirt_over_tcp(lab: RunningLab) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{lab.host('lab-a1')['address']}:16509/", timeout=3)
    network = lab.host("lab-a1")["migration_address"].rsplit(".", 1)[0]
    assert not [known for known in netlink.list_networks() if known.startswith(network)]


def test_a_bmc_wants_its_password(lab: RunningLab) -> None:
    bmc = lab.host("lab-a1")["bmc"]
    url = f"{bmc['url']}/redfish/v1/Systems/{bmc['system']}"

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("admin", "guess")).status_code == 401
    assert httpx.get(url, auth=(bmc["username"], bmc["password"])).json()["PowerState"] == "On"


def test_a_second_lab_of_the_same_data_is_refused(lab: RunningLab) -> None:
    command = [sys.executable, "-m", "hosts.lab", "--data-dir", str(lab.data_dir)]

    second = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30)

    assert second.returncode == 2
    assert f"already (pid {lab.process.pid})" in second.stdout
    assert lab.process.poll() is None


def test_lab_json_is_for_root_alone(lab: RunningLab) -> None:
    assert (lab.data_dir / "lab.json").stat().st_mode & 0o077 == 0


def test_power_goes_and_comes_over_redfish_and_the_disk_stays(data_dir: Path) -> None:
    lab = lab_start(data_dir, "--hosts", "1", "--no-seed")
    lab.inside("lab-a1", "touch", "/var/lib/libvirt/images/kept", "/run/lost")
    init_pid = lab.host("lab-a1")["init_pid"]

    lab.reset("lab-a1", "ForceOff", "Off")

    assert start_ticks(init_pid) is None
    assert cgroups.group_pids(f"{Layout(data_dir, 1).cgroup}/lab-a1") == set()
    lab.reset("lab-a1", "On", "On")
    wait_until(lambda: lab.host("lab-a1")["init_pid"] not in (None, init_pid), 20, "the host is back")
    wait_until(lambda: Path(f"/proc/{lab.host('lab-a1')['init_pid']}/root/run/docker.sock").exists(), 20, "docker")
    assert lab.inside("lab-a1", "ls", "/var/lib/libvirt/images/kept")
    assert "lost" not in lab.inside("lab-a1", "ls", "/run").split()
    print(f"graceful shutdown took {lab.reset('lab-a1', 'GracefulShutdown', 'Off'):.1f} s")
    lab.stop()

    again = lab_start(data_dir, "--hosts", "1", "--no-seed")
    with again.redfish("lab-a1") as client:
        assert client.get("").json()["PowerState"] == "Off"
    again.stop()
    assert_nothing_left(data_dir)


def test_a_killed_lab_takes_its_hosts_along_and_the_next_one_starts(data_dir: Path) -> None:
    lab = lab_start(data_dir, "--hosts", "2", "--no-seed")
    pids = [host["init_pid"] for host in lab.description["hosts"]]

    lab.process.send_signal(signal.SIGKILL)
    lab.process.wait()

    wait_until(lambda: not any(start_ticks(pid) for pid in pids), 10, "the hosts are gone")
    again = lab_start(data_dir, "--hosts", "2", "--no-seed")
    print(f"ready {time.monotonic() - again.began:.1f} s after the start")
    again.stop()
    assert_nothing_left(data_dir)


def test_two_labs_run_side_by_side(lab: RunningLab, data_dir: Path) -> None:
    other = lab_start(data_dir, "--hosts", "1", "--no-seed")

    assert other.description["subnet"] != lab.description["subnet"]
    other.stop()

    assert lab.inside("lab-a1", "virsh", "list", "--name")
    assert_nothing_left(data_dir)


def test_a_lab_stops_while_its_host_still_boots(data_dir: Path) -> None:
    command = [sys.executable, "-m", "hosts.lab", "--data-dir", str(data_dir), "--no-planes", "--no-seed", "--hosts=1"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL)
    log = data_dir / "hosts/lab-a1/log/dockerd.log"
    wait_until(log.exists, 120, "the host begins to boot")

    process.terminate()

    assert process.wait(60) == 0
    assert_nothing_left(data_dir)


def test_clean_stops_a_running_lab(data_dir: Path) -> None:
    lab = lab_start(data_dir, "--hosts", "1", "--no-seed")

    lab_clean(data_dir)

    assert lab.process.wait(30) == 0
    assert_nothing_left(data_dir)
