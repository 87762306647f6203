"""One lab host as the supervisor sees it: its files, its namespaces, and its power."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from hosts.errors import DriverError, Rejected, TimedOut
from hosts.lab import cgroups
from hosts.lab.host_files import host_environment, host_files_write
from hosts.lab.inside import BOOT_LIMIT_S
from hosts.lab.layout import HostPlan, Layout
from hosts.lab.switch import Switch

# Longer than its first process waits for the daemons: that one can say which of them is missing.
_REPORT_LIMIT_S = BOOT_LIMIT_S + 30.0
_GRACE_S = 10.0
PowerState = Literal["On", "Off"]


class LabHost:
    """A host that can be booted and unplugged any number of times; its disk stays, its /run does not."""

    def __init__(
        self,
        plan: HostPlan,
        layout: Layout,
        switch: Switch,
        control_url: str,
        on_change: Callable[[], None] = lambda: None,
        with_plane: bool = True,
    ) -> None:
        self.with_plane = with_plane
        self.plan, self.layout, self.switch, self.control_url = plan, layout, switch, control_url
        self.on_change = on_change
        self.init_pid: int | None = None
        self.report: dict[str, Any] = {}
        self._launcher: subprocess.Popen[bytes] | None = None
        self._cord_fd = -1
        self._turn = threading.RLock()

    @property
    def cgroup(self) -> str:
        return f"{self.layout.cgroup}/{self.plan.name}"

    @property
    def power_state(self) -> PowerState:
        launcher = self._launcher
        return "On" if launcher is not None and launcher.poll() is None else "Off"

    @property
    def was_switched_off(self) -> bool:
        """Whether its BMC turned it off, in this run of the lab or an earlier one."""
        return (self.plan.root / "power-off").exists()

    @property
    def stays_dark(self) -> bool:
        """Whether its BMC switches on nothing, as with a broken power supply: somebody made the file."""
        return (self.plan.root / "stays-dark").exists()

    @property
    def token_file(self) -> Path:
        return self.layout.token_dir / self.plan.name

    def boot(self) -> dict[str, Any]:
        """The report of its first process: {"ready", "engine", "hypervisor", "seconds"}, and "given_up" naming daemons
        that would not run. On already: the last one.

        Raises Rejected or TimedOut when it does not come up; it is then off.
        """
        with self._turn:
            if self.power_state == "On":
                return self.report
            (self.plan.root / "power-off").unlink(missing_ok=True)
            host_files_write(self.plan, self.layout, self.switch.subnet, self.control_url, self.with_plane)
            try:
                self.report = self._launch()
            except DriverError:
                self.unplug()
                raise
        self.on_change()
        return self.report

    def boot_interrupt(self) -> None:
        """Kills the first process, also while `boot` waits for it in another thread; that one raises Rejected."""
        if (pid := self.init_pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def unplug(self) -> None:
        """Cuts the power: every process in the host is gone when this returns."""
        with self._turn:
            if self._cord_fd >= 0:
                os.close(self._cord_fd)
                self._cord_fd = -1
            if self.init_pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.init_pid, signal.SIGKILL)
            if self._launcher is not None:
                # It waits for the first process, and that one for the end of all others in its namespace.
                try:
                    self._launcher.wait(timeout=_GRACE_S)
                except subprocess.TimeoutExpired:
                    self._launcher.kill()
                    self._launcher.wait()
            self.init_pid = self._launcher = None
            self.report = {}
            cgroups.group_remove(self.cgroup)
        self.on_change()

    def shut_down(self) -> None:
        """Asks the host to end by itself, and cuts the power after 10 s."""
        with self._turn:
            if self.init_pid is not None and self._launcher is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.init_pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._launcher.wait(timeout=_GRACE_S)
            self.unplug()

    def switched_off(self) -> None:
        """Notes that the host shall stay dark when the lab starts again."""
        (self.plan.root / "power-off").touch()

    def tend(self) -> None:
        """Tidies up when the host died by itself."""
        if self._launcher is not None and self._launcher.poll() is not None:
            self.unplug()

    def _launch(self) -> dict[str, Any]:
        cord_read, self._cord_fd = os.pipe2(os.O_CLOEXEC)
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        try:
            groups = cgroups.group_make(self.cgroup)
            with (self.plan.log_dir / "console.log").open("ab") as console:
                self._launcher = subprocess.Popen(
                    [*cgroups.join_command(groups), *unshare_command(self.plan, cord_read, report_write)],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    pass_fds=(cord_read, report_write),
                    env=host_environment(),
                    cwd="/",
                    start_new_session=True,
                )
            os.close(report_write)
            report_write = -1
            self.init_pid = _child_of(self._launcher, time.monotonic() + 10)
            cgroups.group_divide(self.cgroup, [self._launcher.pid, self.init_pid])
            self.switch.plug_in(self.plan, self.init_pid)
            self.on_change()
            os.write(self._cord_fd, b"g")
            return _read_report(report_read, self.plan.name)
        finally:
            for descriptor in (cord_read, report_read, report_write):
                if descriptor >= 0:
                    os.close(descriptor)


def unshare_command(plan: HostPlan, cord_fd: int, report_fd: int) -> list[str]:
    """The command that starts the host's first process in namespaces of its own."""
    namespaces = ["--mount", "--uts", "--net", "--pid", "--ipc", "--fork", "--mount-proc", "--kill-child"]
    if cgroups.hierarchies().version == 2:
        namespaces.append("--cgroup")
    inside = [sys.executable, "-m", "hosts.lab.inside", str(plan.root / "boot.json"), str(cord_fd), str(report_fd)]
    return ["unshare", *namespaces, "--", *inside]


def _child_of(launcher: subprocess.Popen[bytes], deadline: float) -> int:
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    while time.monotonic() < deadline and launcher.poll() is None:
        if Path(f"/proc/{launcher.pid}/comm").read_text().strip() == "unshare" and (
            found := children.read_text().split()
        ):
            return int(found[0])
        time.sleep(0.005)
    raise Rejected("The namespaces of a lab host could not be made.", f"exit status {launcher.poll()}")


def _read_report(descriptor: int, host_name: str) -> dict[str, Any]:
    readable, _, _ = select.select([descriptor], [], [], _REPORT_LIMIT_S)
    if not readable:
        raise TimedOut(f"{host_name} did not come up within {_REPORT_LIMIT_S:.0f} s.")
    line = os.read(descriptor, 4096)
    if not line:
        raise Rejected(f"{host_name} stopped while it booted; its console.log says why.")
    return dict(json.loads(line))
