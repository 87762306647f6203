"""The first process of a lab host: makes it look like a machine of its own, starts its daemons, reaps.

Run by the supervisor inside new namespaces, with the standard library alone, as it is what a boot waits for:

    python -m hosts.lab.inside SPEC CORD REPORT

SPEC is a JSON file (see lab_host.boot_spec). CORD is the reading end of a pipe: a first byte says that the network
cables are in, its end means that the power cord was pulled, be it by the death of the supervisor. REPORT
is the writing end of a pipe that gets one line of JSON when libvirtd and dockerd answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hosts.lab.mounts import MS_NODEV, MS_NOSUID, MS_PRIVATE, MS_REC, bind, mount

_GRACE_S = 8.0
# For slow machines: an emulated one takes minutes, dockerd gives up on a containerd that is not there after 15 s,
# and comes in a later try. A daemon that cannot run at all ends at once, and after so many times the wait with it.
BOOT_LIMIT_S = 600.0
_QUICK_END_S = 5.0
_QUICK_ENDS_MAX = 5
_ANSWER_LIMIT_S = 60.0
_BACKOFF_MAX_S = 10.0
_LOG_BYTES_MAX = 10 << 20


@dataclass
class Daemon:
    """A program that is started again when it ends, each time later, up to 10 s."""

    name: str
    command: list[str]
    log: Path
    cwd: str = "/"
    pid: int | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    backoff_s: float = field(default=0.5)
    quick_ends: int = 0

    def start(self) -> None:
        self.started_at = time.monotonic()
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.pid = spawn(self.command, log, self.cwd)

    def ended(self) -> None:
        """Notes the end and when to start again."""
        lived_s = time.monotonic() - self.started_at
        self.backoff_s = 0.5 if lived_s > 30 else min(self.backoff_s * 2, _BACKOFF_MAX_S)
        self.due_at = time.monotonic() + self.backoff_s
        self.quick_ends = self.quick_ends + 1 if lived_s < _QUICK_END_S else 0
        self.pid = None


def lay_mounts(spec: dict[str, Any]) -> None:
    """This host's own /sys, /run and disk; nothing of it is seen outside."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    aside = Path(spec["scratch"])
    if spec["cgroup_version"] == 1:
        bind("/sys/fs/cgroup", aside, recursive=True)
    # Fresh, so that /sys/class/net shows the links of this network namespace.
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV)
    if spec["cgroup_version"] == 1:
        bind(aside, "/sys/fs/cgroup", recursive=True)
    else:
        mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256m")
    for source, target in spec["binds"]:
        bind(source, target)
    for folder in ("/run/libvirt", "/run/stowage", "/run/lock"):
        os.makedirs(folder, exist_ok=True)


def docker_answers() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        try:
            client.connect("/run/docker.sock")
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(64)
        except OSError:
            return False


class Machine:
    """The running host: daemons, the power cord, and the end."""

    def __init__(self, spec: dict[str, Any], cord_fd: int, report_fd: int) -> None:
        self.spec, self.cord_fd, self.report_fd = spec, cord_fd, report_fd
        self.must_stop = False
        self.held_back: set[str] = set()
        self.statuses: dict[int, int] = {}
        log_dir = Path(spec["log_dir"])
        self.daemons = [
            Daemon(name, command, log_dir / f"{name}.log", spec["cwd"] if name == "hostd" else "/")
            for name, command in spec["daemons"]
        ]

    def boot(self) -> None:
        """Starts everything and reports when it answers. hostd starts last: it finds hypervisor and engine there."""
        began = time.monotonic()
        self.held_back = {"hostd"}
        done = {"engine": False, "hypervisor": False}
        while not (all(done.values()) or self.must_stop or self.gave_up() or time.monotonic() > began + BOOT_LIMIT_S):
            self.tend()
            done["engine"] = done["engine"] or docker_answers()
            done["hypervisor"] = done["hypervisor"] or self.libvirt_answers()
            time.sleep(0.03)
        self.held_back = set()
        report = {"ready": all(done.values()), **done, "seconds": round(time.monotonic() - began, 2)}
        if given_up := self.gave_up():
            report["given_up"] = given_up
        with contextlib.suppress(BrokenPipeError):
            os.write(self.report_fd, json.dumps(report).encode() + b"\n")
        os.close(self.report_fd)

    def gave_up(self) -> list[str]:
        """The daemons that end as soon as they are started: waiting longer for them is of no use."""
        return [daemon.name for daemon in self.daemons if daemon.quick_ends >= _QUICK_ENDS_MAX]

    def libvirt_answers(self) -> bool:
        """Whether libvirtd serves: its socket is there long before its drivers are."""
        if not os.path.exists("/run/libvirt/libvirt-sock"):
            return False
        pid = spawn(["virsh", "-q", "-c", "qemu:///system", "list", "--uuid"], subprocess.DEVNULL)
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while pid not in self.statuses and time.monotonic() < deadline:
            # Goes on reaping: libvirtd waits 40 s for a probed QEMU that stays behind as a zombie.
            self.tend()
            time.sleep(0.01)
        if pid not in self.statuses:
            os.kill(pid, signal.SIGKILL)  # or one more would ask with every try
        return self.statuses.pop(pid, None) == 0

    def run(self) -> None:
        """Reaps and restarts until the cord is pulled or a shutdown was asked for."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        while not self.must_stop:
            readable, _, _ = select.select([self.cord_fd, wake_read], [], [], self.tend())
            if wake_read in readable:
                os.read(wake_read, 512)
            if self.cord_fd in readable and not os.read(self.cord_fd, 1):
                return
        self.shut_down()

    def tend(self) -> float:
        """Reaps the dead, starts what is due; seconds until the next start is due."""
        now = time.monotonic()
        ended = reap()
        self.statuses = ended if ended else self.statuses
        for pid in ended:
            for daemon in self.daemons:
                if daemon.pid == pid:
                    daemon.ended()
        idle = [d for d in self.daemons if d.pid is None and d.name not in self.held_back]
        for daemon in idle:
            if daemon.due_at <= now:
                daemon.start()
        waiting = [daemon.due_at - now for daemon in idle if daemon.pid is None]
        return max(0.05, min(waiting, default=3600.0))

    def shut_down(self) -> None:
        """Asks everything to end, and gives it 8 s. QEMU and containers get the same signal as the daemons."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline:
            reap()
            if len([name for name in os.listdir("/proc") if name.isdigit()]) <= 1:
                return
            time.sleep(0.05)


def spawn(command: list[str], output: int | BinaryIO, cwd: str = "/") -> int:
    """The pid of a new child, for which `reap` waits."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, start_new_session=True
    )
    process.returncode = 0  # or Popen would wait for it as well
    return process.pid


def reap() -> dict[int, int]:
    """The wait statuses of the children that have ended, orphans included."""
    statuses = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            statuses[pid] = status
    return statuses


def main(arguments: list[str]) -> int:
    spec = json.loads(Path(arguments[0]).read_text())
    cord_fd, report_fd = int(arguments[1]), int(arguments[2])
    os.set_inheritable(cord_fd, False)
    os.set_inheritable(report_fd, False)
    if os.read(cord_fd, 1) != b"g":
        return 1
    lay_mounts(spec)
    socket.sethostname(spec["name"])
    machine = Machine(spec, cord_fd, report_fd)

    def stop(signum: int, frame: object) -> None:
        machine.must_stop = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda signum, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    machine.boot()
    machine.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
