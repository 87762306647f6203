from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.drivers.base import ObservedWorkload
from hosts.plane.container_files import ContainerFiles

ID = "ab" * 32
BOX = ObservedWorkload("container", "box-1", "box", "running", "running", 0.5, 64, engine_id=ID, pid=100)
NET = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame ... multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0
  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
"""


class Host:
    """A host's files with one container, on cgroup v1 or v2."""

    def __init__(self, folder: Path, version: int) -> None:
        self.folder, self.version = folder, version
        group = f"docker/{ID}"
        if version == 1:
            self.mountinfo = "".join(
                f"3{n} 31 0:{n} / {folder}/cg/{tree} rw - cgroup cgroup rw,{tree}\n"
                for n, tree in enumerate(("cpu", "cpuacct", "memory", "blkio", "pids"))
            )
            self.write(f"cg/cpuacct/{group}/cpuacct.usage", "7500000000\n")
            self.write(f"cg/cpuacct/{group}/cgroup.procs", "100\n101\n")
            self.write(f"cg/cpu/{group}/cpu.stat", "nr_periods 5\nnr_throttled 1\nthrottled_time 2000000000\n")
            self.write(f"cg/memory/{group}/memory.usage_in_bytes", f"{50 << 20}\n")
            self.write(f"cg/memory/{group}/memory.stat", f"inactive_file 1\ntotal_inactive_file {10 << 20}\n")
            self.write(f"cg/blkio/{group}/blkio.throttle.io_service_bytes_recursive", BYTES)
            self.write(f"cg/blkio/{group}/blkio.throttle.io_serviced_recursive", BYTES.replace("000", ""))
            self.write(f"cg/pids/{group}/pids.current", "3\n")
            membership = "".join(f"{n}:{tree}:/{group}\n" for n, tree in enumerate(("cpu,cpuacct", "memory", "blkio")))
            self.membership = membership + f"8:pids:/{group}\n0::/elsewhere\n"
        else:
            self.mountinfo = f"30 31 0:1 / {folder}/cg rw - cgroup2 cgroup2 rw\n"
            self.write(f"cg/{group}/cpu.stat", "usage_usec 7500000\nuser_usec 1\nthrottled_usec 2000000\n")
            self.write(f"cg/{group}/cgroup.procs", "100\n101\n")
            self.write(f"cg/{group}/memory.current", f"{50 << 20}\n")
            self.write(f"cg/{group}/memory.stat", f"anon 1\ninactive_file {10 << 20}\n")
            io = "8:0 rbytes=1000 wbytes=2000 rios=1 wios=2 dbytes=0\n8:16 rbytes=3000 wbytes=0 rios=3 wios=0\n"
            self.write(f"cg/{group}/io.stat", io)
            self.write(f"cg/{group}/pids.current", "3\n")
            self.membership = f"0::/{group}\n"
        self.process("self", "own network")
        self.process("100", "its network")
        self.files = ContainerFiles(folder / "proc", self.mountinfo)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def process(self, pid: str, network: str) -> None:
        """A process in the container's group and in the network namespace of that name."""
        self.write(f"networks/{network}", "")
        self.write(f"proc/{pid}/cgroup", self.membership)
        self.write(f"proc/{pid}/net/dev", NET)
        link = self.folder / f"proc/{pid}/ns/net"
        link.parent.mkdir()
        link.symlink_to(self.folder / "networks" / network)

    def end_process(self, pid: str) -> None:
        (self.folder / f"proc/{pid}").rename(self.folder / f"ended-{pid}")


BYTES = """\
8:0 Read 1000
8:0 Write 2000
8:0 Total 3000
8:16 Read 3000
8:16 Write 0
Total 6000
"""


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(tmp_path, request.param)


def test_a_container_is_counted_by_its_files_alone(host: Host) -> None:
    ((used,), unplaced) = host.files.counters([BOX])

    assert unplaced == set()
    assert (used.uuid, used.cpu_seconds_total, used.cpu_throttled_seconds_total) == ("box-1", 7.5, 2.0)
    assert (used.memory_used_mib, used.memory_allotted_mib, used.cpu_allotted_cores) == (40.0, 64, 0.5)
    assert (used.disk_read_bytes_total, used.disk_written_bytes_total) == (4000, 2000)
    assert (used.disk_reads_total, used.disk_writes_total) == (4, 2)
    assert used.processes == 3
    assert (used.network_received_bytes_total, used.network_sent_errors_total) == (1000, 3)


def test_a_container_in_its_hosts_network_has_no_network_figures_of_its_own(host: Host) -> None:
    host.process("200", "own network")

    ((used,), _) = host.files.counters([replace(BOX, pid=200)])

    assert used.cpu_seconds_total == 7.5
    assert used.network_received_bytes_total is None


def test_a_group_that_is_not_the_containers_is_not_taken_for_it(host: Host) -> None:
    stranger = replace(BOX, engine_id="cd" * 32)

    assert host.files.counters([stranger]) == ([], {"cd" * 32})


def test_a_container_that_has_ended_is_left_out_and_found_again_when_it_starts(host: Host) -> None:
    host.files.counters([BOX])
    os.rename(host.folder / "cg", host.folder / "gone")

    assert host.files.counters([BOX]) == ([], set())

    os.rename(host.folder / "gone", host.folder / "cg")
    assert len(host.files.counters([BOX])[0]) == 1


def test_a_number_that_another_process_has_now_does_not_lend_its_network(host: Host) -> None:
    host.files.counters([BOX])
    host.end_process("100")
    host.process("100", "a strangers network")
    host.process("101", "its network")
    members = "cg/cpuacct" if host.version == 1 else "cg"
    host.write(f"{members}/docker/{ID}/cgroup.procs", "101\n")
    host.write("proc/101/net/dev", NET.replace("1000 10", "1234 10"))

    ((used,), _) = host.files.counters([BOX])

    assert used.network_received_bytes_total == 1234


def test_what_does_not_run_is_not_counted(host: Host) -> None:
    vm = ObservedWorkload("vm", "vm-1", "web", "running", "running", 1.0, 128)

    assert host.files.counters([replace(BOX, state="stopped", pid=None), vm]) == ([], set())
