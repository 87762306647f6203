"""The lab's only long-running process of its own: brings everything up, keeps it up, takes it down."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from hosts.drivers import netlink
from hosts.errors import Refused, StowageError
from hosts.lab import cgroups, leftovers, prerequisites
from hosts.lab.bmc import BmcService, bmc_prepare
from hosts.lab.host_files import mount_points_make
from hosts.lab.images import Images, images_build
from hosts.lab.lab_file import lab_describe, lab_file_write, owner_group
from hosts.lab.lab_host import LabHost
from hosts.lab.layout import REPOSITORY, SITE, Layout, write_atomically
from hosts.lab.power import PowerSwitches
from hosts.lab.seed import seed_lab
from hosts.lab.service_process import ServiceProcess
from hosts.lab.switch import UPLINK, Switch, subnet_choose
from hosts.lab.wake import WakeListener

_BMC_LIMIT_S = 60.0


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    layout: Layout
    subnet: str
    control_url_port: int
    cache_dir: Path
    owner_uid: int | None
    with_planes: bool
    with_seed: bool


def say(text: str) -> None:
    """Prints a line, if anybody is left to read it: the lab must stop in order even when nobody is."""
    with contextlib.suppress(OSError):
        print(f"lab: {text}", flush=True)


def lock_take(path: Path) -> TextIO:
    """The open lock of a data directory, held until this process ends. Raises Refused when another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise Refused(f"A lab runs in {path.parent} already (pid {holder}). Stop it first.") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


class Supervisor:
    """One lab, from the first namespace to the last."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.layout = options.layout
        self.stopping = threading.Event()
        self.switch: Switch | None = None
        self.hosts: dict[str, LabHost] = {}
        self.services: list[ServiceProcess] = []
        self.power: PowerSwitches | None = None
        self.wakes: WakeListener | None = None
        self.bmc: BmcService | None = None
        self.images: dict[str, Any] = {}
        self.is_ready = False
        self.record = leftovers.ProcessRecord(self.layout.run_dir / "processes.json")
        self._record_turn = threading.Lock()

    def run(self) -> int:
        """Exit status, when the lab has been stopped. Call it in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        lock = lock_take(self.layout.lock_file)
        try:
            self._start()
            while not self.stopping.wait(0.25):
                self._tend()
        except StowageError as error:
            say(error.message + (f" ({error.detail})" if error.detail else ""))
            return 1
        finally:
            self._stop()
            lock.close()
        return 0

    def _start(self) -> None:
        began = time.monotonic()
        for sentence in leftovers.clean(self.layout):
            say(sentence)
        if lacking := prerequisites.missing():
            raise Refused("The lab cannot run here. " + " ".join(lacking))
        self.layout.make_directories(self.options.owner_uid)
        mount_points_make()
        load_modules()
        self.record.note(os.getpid(), "supervisor")
        self._make_switch()
        self._make_hosts()
        self._make_services()
        self._publish()
        built = self._bring_up()
        if self.stopping.is_set():
            return
        shutil.copyfile(built.kernel, self.layout.probe_kernel)
        self.images = built.describe()
        self._publish()
        if self.options.with_seed:
            seed_lab(self.layout, list(self.hosts.values()), built, say)
        self._await_bmc()
        self.is_ready = True
        self._publish()
        say(
            f"ready: {len(self.hosts)} hosts, {self.switch.subnet.cidr if self.switch else ''},"
            f" {time.monotonic() - began:.1f} s. {self.layout.lab_file}"
        )

    def _make_switch(self) -> None:
        identity = self.layout.identity
        kept = identity.get("subnet_third_octet", lambda: -1)
        subnet = subnet_choose(self.options.subnet, kept if kept >= 0 else None, netlink.list_networks())
        identity.put("subnet_third_octet", subnet.third_octet)
        self.switch = Switch(self.layout.uplink, subnet)
        self.switch.start()

    def _make_hosts(self) -> None:
        assert self.switch is not None
        control_url = f"http://{self.switch.subnet.switch_address}:{self.options.control_url_port}"
        for plan in self.layout.hosts():
            plan.root.mkdir(parents=True, exist_ok=True)
            self.hosts[plan.name] = LabHost(
                plan, self.layout, self.switch, control_url, self._host_changed, self.options.with_planes
            )

    def _make_services(self) -> None:
        switches = self.power = PowerSwitches(self.hosts, secrets.token_urlsafe(24), say)
        self.power.start()
        assert self.switch is not None
        self.wakes = WakeListener(self.switch.netns_fd, UPLINK, self.hosts, lambda name: switches.ask(name, "On"))
        self.wakes.start()
        password = self.layout.identity.get("bmc_password", lambda: secrets.token_urlsafe(24))
        plans = [host.plan for host in self.hosts.values()]
        self.bmc = bmc_prepare(self.layout, plans, self.power.url, password, self.options.owner_uid)
        self._add_service("bmc", self.bmc.command())
        if self.options.with_planes:
            config_file = site_config_write(self.layout, self.options)
            command = [sys.executable, str(REPOSITORY / "manage.py"), "hostd"]
            self._add_service("site plane", [*command, "--site", SITE, "--config", str(config_file)])
        self._tend()

    def _add_service(self, name: str, command: list[str]) -> None:
        owner_uid = self.options.owner_uid
        owner = None if owner_uid is None else (owner_uid, owner_group(owner_uid))
        file_name = name.replace(" ", "-")
        self.services.append(
            ServiceProcess(
                name,
                command,
                self.layout.log_dir / f"{file_name}.log",
                f"{self.layout.cgroup}/{file_name}",
                owner,
                self._note,
            )
        )

    def _bring_up(self) -> Images:
        """Boots all hosts at once while the images are looked up or built. Asked to stop, it waits for no host."""
        with ThreadPoolExecutor(max_workers=4 + 1) as pool:
            images = pool.submit(images_build, self.options.cache_dir, say)
            wanted = [host for host in self.hosts.values() if not host.was_switched_off]
            boots = [pool.submit(host.boot) for host in wanted]
            while wait(boots, timeout=0.25).not_done:
                for host in wanted if self.stopping.is_set() else []:
                    host.boot_interrupt()
            for host, boot in [] if self.stopping.is_set() else zip(wanted, boots, strict=True):
                if not (report := boot.result()).get("ready"):
                    raise Refused(f"{host.plan.name} did not come up: {report}. See {host.plan.log_dir}.")
            return images.result()

    def _await_bmc(self) -> None:
        """Returns when the power controllers answer; where no host boots, nothing else would have waited for them."""
        until = time.monotonic() + _BMC_LIMIT_S
        while self.bmc is not None and not self.bmc.answers():
            if time.monotonic() > until:
                raise Refused(f"The power controllers do not answer. See {self.layout.log_dir}/bmc.log.")
            self._tend()
            if self.stopping.wait(0.1):
                return

    def _tend(self) -> None:
        for service in self.services:
            service.tend()
        for host in self.hosts.values():
            host.tend()

    def _stop(self) -> None:
        self.is_ready = False
        if self.wakes is not None:
            self.wakes.stop()
        if self.power is not None:
            self.power.stop()
        with ThreadPoolExecutor(max_workers=16) as pool:
            work: list[Callable[[], None]] = [service.stop for service in self.services]
            work += [host.unplug for host in self.hosts.values()]
            for done in [pool.submit(task) for task in work]:
                done.result()
        if self.switch is not None:
            self._publish()
            self.switch.stop()
        cgroups.group_remove(self.layout.cgroup)
        self.record.clear()
        say("stopped")

    def _publish(self) -> None:
        assert self.switch is not None
        with self._record_turn:
            description = lab_describe(
                self.layout,
                self.switch.subnet,
                list(self.hosts.values()),
                self.bmc,
                self.images,
                ready=self.is_ready,
                control_url_port=self.options.control_url_port,
            )
            lab_file_write(self.layout.lab_file, description, self.options.owner_uid)

    def _host_changed(self) -> None:
        for host in self.hosts.values():
            if host.init_pid is not None:
                self._note(host.init_pid, host.plan.name)
        self._publish()

    def _note(self, pid: int, what: str) -> None:
        with self._record_turn:
            self.record.note(pid, what)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()


def site_config_write(layout: Layout, options: Options) -> Path:
    """The site plane's configuration: it runs outside of every lab host and reaches the dashboard on loopback."""
    state_dir = layout.data_dir / "site"
    state_dir.mkdir(mode=0o700, exist_ok=True)
    if options.owner_uid is not None:
        os.chown(state_dir, options.owner_uid, -1)
    config = {
        "name": SITE,
        "site": SITE,
        "control_url": f"http://127.0.0.1:{options.control_url_port}",
        "token_file": str(layout.token_dir / f"site-{SITE}"),
        "state_dir": str(state_dir),
        "run_dir": str(state_dir),
        "image_cache": str(state_dir / "images"),
    }
    path = layout.data_dir / "site.json"
    write_atomically(path, json.dumps(config, indent=1))
    return path


def load_modules() -> None:
    """Loads the kernel modules that lab hosts need and cannot load from their own mount namespace."""
    for name in (*prerequisites.MODULES, "tun"):
        if not Path(f"/sys/module/{name}").exists() and Path("/lib/modules").exists():
            subprocess.run(["modprobe", "-q", name], check=False)
