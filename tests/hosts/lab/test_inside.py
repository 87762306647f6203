"""hosts.lab.inside: a lab host's first process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from hosts.lab.inside import Daemon, Machine, reap


def test_a_daemon_that_dies_at_once_is_started_later_each_time(tmp_path: Path) -> None:
    daemon = Daemon("hostd", ["false"], tmp_path / "hostd.log")
    waits = []

    for _ in range(6):
        daemon.started_at = time.monotonic()
        daemon.ended()
        waits.append(daemon.backoff_s)

    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_daemon_that_lived_long_is_started_soon(tmp_path: Path) -> None:
    daemon = Daemon("hostd", ["true"], tmp_path / "hostd.log", backoff_s=10.0)
    daemon.started_at = time.monotonic() - 60

    daemon.ended()

    assert daemon.backoff_s == 0.5


def test_a_daemon_that_took_its_time_to_end_is_not_given_up(tmp_path: Path) -> None:
    daemon = Daemon("dockerd", ["true"], tmp_path / "d.log", quick_ends=4)
    daemon.started_at = time.monotonic() - 15

    daemon.ended()

    assert daemon.quick_ends == 0


def test_a_daemon_writes_to_its_log_and_is_reaped_with_its_status(tmp_path: Path) -> None:
    daemon = Daemon("d", ["sh", "-c", "echo hello; exit 3"], tmp_path / "d.log")
    daemon.start()
    statuses: dict[int, int] = {}
    deadline = time.monotonic() + 5

    while daemon.pid not in statuses and time.monotonic() < deadline:
        statuses |= reap()

    assert os.waitstatus_to_exitcode(statuses[daemon.pid]) == 3
    assert (tmp_path / "d.log").read_text() == "hello\n"


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "d.log"
    with log.open("wb") as file:
        file.truncate(11 << 20)
    daemon = Daemon("d", ["true"], log)

    daemon.start()

    assert log.stat().st_size == 0
    assert (tmp_path / "d.log.1").stat().st_size == 11 << 20
    os.waitpid(daemon.pid or 0, 0)


def test_a_boot_ends_when_a_daemon_will_not_run_and_names_it(tmp_path: Path) -> None:
    cord_read, cord_write = os.pipe()
    report_read, report_write = os.pipe()
    spec = {"log_dir": str(tmp_path), "cwd": "/", "daemons": [["dockerd", ["false"]], ["libvirtd", ["sleep", "60"]]]}
    machine = Machine(spec, cord_read, report_write)
    broken, working = machine.daemons
    broken.quick_ends = 4  # the last of its tries

    machine.boot()

    report = json.loads(os.read(report_read, 4096))
    assert (report["ready"], report["given_up"]) == (False, ["dockerd"])
    assert working.pid is not None
    os.kill(working.pid, 9)
    os.waitpid(working.pid, 0)
    for descriptor in (cord_read, cord_write, report_read):
        os.close(descriptor)
