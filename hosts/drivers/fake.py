"""A data center in memory, for unit tests: hosts that share one world and can be made to fail at any call.

`FakeDataCenter` is the truth. The drivers here and in `workloads/drivers/fake.py` are thin doors to it, one
set for each host, so a migration moves a domain between hosts, a shared pool is one pool, and `audit()` can
see a workload that runs twice.
"""

from __future__ import annotations

import copy
import threading
import uuid as uuids
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from hosts.drivers.base import (
    EngineFacts,
    HypervisorFacts,
    ObservedDisk,
    ObservedImage,
    ObservedWorkload,
    PowerReading,
    SensorReading,
    WorkloadCounters,
    WorkloadState,
)
from hosts.errors import DriverError, NotFound, StowageError, TimedOut, Unreachable
from hosts.guest import CONNECTED, guest_judged
from hosts.units import GIB, bytes_to_gib

FaultMode = Literal["before", "after", "hang", "half"]
ACTIVE = ("running", "paused", "migrating", "starting")


@dataclass
class FakeFile:
    """A file: `content` is a word that stands for its bytes."""

    content: str
    size_bytes: int


@dataclass
class FakeVolume:
    """A named volume of containers: `content` is a word for all that is in it, `operation` made it."""

    content: str
    operation: str = ""


@dataclass
class FakePool:
    """A directory for volumes; the same object on two hosts is a shared pool."""

    name: str
    path: str
    pool_id: str = field(default_factory=lambda: str(uuids.uuid4()))
    capacity_bytes: int = 100 * GIB
    files: dict[str, FakeFile] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        return self.capacity_bytes - sum(file.size_bytes for file in self.files.values())


@dataclass
class FakeDisk:
    target: str
    path: str
    format: str
    size_bytes: int


@dataclass
class FakeSnapshot:
    """What a VM was at a time: its state then, and who took it."""

    name: str
    parent: str
    state: WorkloadState
    operation: str


@dataclass
class FakeDomain:
    """A VM. `boots` counts its starts: a live migration must leave it alone."""

    uuid: str
    name: str
    vcpus: int = 1
    memory_mib: int = 128
    disks: list[FakeDisk] = field(default_factory=list)
    bridges: list[str] = field(default_factory=list)
    nics: list[str] = field(default_factory=list)  # added later, by their addresses
    state: WorkloadState = "stopped"
    reason: str = "shut off"
    persistent: bool = True
    generation: int | None = None
    operation: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    serial_log: str | None = None
    machine: str = "q35"
    accelerator: str = "tcg"
    snapshots: list[FakeSnapshot] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    boots: int = 0
    vcpus_most: int = 0  # that can be plugged in while it runs
    memory_most_mib: int = 0
    next_size: tuple[int, int] | None = None  # from its next start on
    managed: bool = True
    cdrom: str | None = None
    agent: str = ""  # as in hosts.guest
    says: dict[str, Any] = field(default_factory=dict)  # what its guest's agent answers
    frozen: bool = False  # its file systems


@dataclass
class FakeContainer:
    """A container; `spec` holds the data it was made from."""

    uuid: str
    name: str
    image: str
    engine_id: str = field(default_factory=lambda: uuids.uuid4().hex * 2)
    spec: dict[str, Any] = field(default_factory=dict)
    state: WorkloadState = "stopped"
    reason: str = "created"
    restart_policy: str = "no"
    generation: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    cpu_cores: float = 1.0
    memory_mib: int = 128
    starts: int = 0
    managed: bool = True


@dataclass
class FakeHost:
    """One machine. While it is not `powered`, each call to it raises Unreachable."""

    name: str
    address: str
    cpu_cores: int = 4
    memory_mib: int = 4096
    powered: bool = True
    bridges: set[str] = field(default_factory=lambda: {"stw0"})
    container_volumes: dict[str, FakeVolume] = field(default_factory=dict)
    machine_types: tuple[str, ...] = ("pc", "q35")
    firmwares: tuple[str, ...] = ("bios", "efi", "efi-secure")
    tpms: tuple[str, ...] = ("tpm-crb",)
    pools: list[FakePool] = field(default_factory=list)
    domains: dict[str, FakeDomain] = field(default_factory=dict)
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    files: dict[str, FakeFile] = field(default_factory=dict)
    backups: dict[str, FakeFile] = field(default_factory=dict)  # by path, finished or not

    def pool_of(self, path: str) -> FakePool | None:
        """The pool in whose directory the path lies."""
        return next((pool for pool in self.pools if path.startswith(pool.path + "/")), None)

    def files_for(self, path: str) -> dict[str, FakeFile]:
        """The files among which `path` lies: its pool's, or the host's own."""
        pool = self.pool_of(path)
        return pool.files if pool else self.files

    def domain(self, uuid: str) -> FakeDomain:
        try:
            return self.domains[uuid]
        except KeyError:
            raise NotFound(f"The host {self.name} has no VM {uuid}.") from None

    def container(self, uuid: str) -> FakeContainer:
        try:
            return self.containers[uuid]
        except KeyError:
            raise NotFound(f"The host {self.name} has no container {uuid}.") from None

    def memory_free_mib(self) -> int:
        used = sum(d.memory_mib for d in self.domains.values() if d.state in ACTIVE)
        used += sum(c.memory_mib for c in self.containers.values() if c.state == "running")
        return self.memory_mib - used


@dataclass
class Fault:
    """A planned failure of a call: see `FakeDataCenter.fail`."""

    host: str
    call: str
    mode: FaultMode
    error: StowageError
    times: int
    hang_s: float


class FakeDataCenter:
    """The world of the fakes. `calls` lists (host, call) of everything that was tried, oldest first."""

    def __init__(self, *hosts: str) -> None:
        self.hosts: dict[str, FakeHost] = {}
        self.calls: list[tuple[str, str]] = []
        self.registry: set[str] = {"busybox:latest"}
        self.sent_volumes: dict[str, str] = {}  # by name: what a source has packed last
        self.registry_logins: dict[str, object] = {}  # by reference, where the registry asks for one
        self._faults: list[Fault] = []
        self._thawed = threading.Event()
        self._lock = threading.RLock()
        self._watchers: dict[str, list[Callable[[str], None]]] = {}
        for name in hosts:
            self.host_add(name)

    def host_add(self, name: str, **attributes: Any) -> FakeHost:
        number = len(self.hosts) + 1
        attributes.setdefault("address", f"10.77.0.{10 + number}")
        host = FakeHost(name, **attributes)
        if not host.pools:
            host.pools.append(FakePool("local", "/var/lib/libvirt/images"))
        self.hosts[name] = host
        return host

    def pool_share(self, name: str, path: str, *hosts: str) -> FakePool:
        """A pool that all the named hosts see at `path`."""
        pool = FakePool(name, path)
        for host in hosts:
            self.hosts[host].pools.append(pool)
        return pool

    def host_at(self, uri: str) -> FakeHost:
        """The host that a URI names by address or by name."""
        for host in self.hosts.values():
            if f"//{host.address}" in uri or f"//{host.name}" in uri:
                return host
        raise Unreachable("The destination cannot be reached.", uri)

    # --- failures

    def fail(
        self,
        call: str,
        mode: FaultMode = "before",
        *,
        host: str = "*",
        times: int = 1,
        error: StowageError | None = None,
        hang_s: float = 0.0,
    ) -> None:
        """Plans a failure of the next `times` calls named `call` ("vm.start", or "*").

        "before": it raises and nothing happened. "after": it happened and the reply is lost. "hang": it
        waits for `thaw()` or `hang_s`, then raises TimedOut and nothing happened. "half" is for
        vm.migrate: the source runs, the destination is paused, and an error is raised (pitfalls M9).
        """
        default = TimedOut if mode == "hang" else DriverError if mode == "before" else Unreachable
        error = error or default(f"The fake host fails {call} ({mode}).")
        self._faults.append(Fault(host, call, mode, error, times, hang_s))

    def heal(self) -> None:
        """Forgets all planned failures and ends every hang."""
        self._faults.clear()
        self._thawed.set()

    def _fault_take(self, host: str, call: str) -> Fault | None:
        for fault in self._faults:
            if fault.host in ("*", host) and fault.call in ("*", call):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    @contextmanager
    def call(self, host: FakeHost, name: str) -> Iterator[Fault | None]:
        """Wraps the body of one driver call: notes it, fails it as planned, keeps others out."""
        self.calls.append((host.name, name))
        if not host.powered:
            raise Unreachable(f"The host {host.name} does not answer.")
        fault = self._fault_take(host.name, name)
        if fault and fault.mode == "hang":
            self._thawed.wait(fault.hang_s)
        if fault and fault.mode in ("before", "hang"):
            raise fault.error
        with self._lock:
            yield fault
        if fault and fault.mode in ("after", "half"):
            raise fault.error

    # --- power and events

    def power_set(self, host: str, on: bool) -> None:
        """Switches a machine: off stops all that runs there, on starts nothing."""
        machine = self.hosts[host]
        if machine.powered and not on:
            for domain in list(machine.domains.values()):
                domain.state, domain.reason = "stopped", "shut off (crashed)"
                if not domain.persistent:
                    del machine.domains[domain.uuid]
            for container in machine.containers.values():
                container.state, container.reason = "stopped", "exited (137)"
        machine.powered = on
        self.changed(host, "")

    def changed(self, host: str, uuid: str) -> None:
        for watcher in self._watchers.get(host, []):
            watcher(uuid)

    def watcher_add(self, host: str, on_change: Callable[[str], None]) -> None:
        self._watchers.setdefault(host, []).append(on_change)

    def watcher_remove(self, host: str, on_change: Callable[[str], None]) -> None:
        self._watchers[host].remove(on_change)

    # --- what tests look at

    def places(self, uuid: str) -> dict[str, str]:
        """Where a workload is: host name to state."""
        found: dict[str, str] = {}
        for host in self.hosts.values():
            thing = host.domains.get(uuid) or host.containers.get(uuid)
            if thing:
                found[host.name] = thing.state
        return found

    def audit(self) -> list[str]:
        """Each breach of "one workload, one place, nothing left behind", as a sentence; empty when well."""
        wrong = []
        uuids_seen = {u for host in self.hosts.values() for u in (*host.domains, *host.containers)}
        for uuid in sorted(uuids_seen):
            places = self.places(uuid)
            active = [name for name, state in places.items() if state in ACTIVE]
            running = [name for name, state in places.items() if state == "running"]
            if len(running) > 1:
                wrong.append(f"{uuid} runs on {' and '.join(running)}")
            elif len(active) > 1:
                wrong.append(f"{uuid} is active on {' and '.join(active)}")
            defined = [name for name in places if self.hosts[name].powered]  # who is off is tidied up on its return
            if len(defined) > 1:
                wrong.append(f"{uuid} is defined on {' and '.join(defined)}")
        wrong += [f"the file {path} of {owner} belongs to nobody" for owner, path in self._files_without_owner()]
        wrong += self._disks_without_file()
        return wrong

    def _files_without_owner(self) -> list[tuple[str, str]]:
        orphans: list[tuple[str, str]] = []
        seen: set[str] = set()
        for host in self.hosts.values():
            for pool in host.pools:
                if pool.pool_id in seen:
                    continue
                seen.add(pool.pool_id)
                users = [h for h in self.hosts.values() if pool in h.pools]
                used = {disk.path for h in users for d in h.domains.values() for disk in d.disks}
                orphans += [(pool.name, path) for path in pool.files if path not in used]
        return [(pool, path) for pool, path in orphans if not path.endswith(".stowage-left")]

    def _disks_without_file(self) -> list[str]:
        return [
            f"the disk {disk.path} of {domain.name} on {host.name} has no file"
            for host in self.hosts.values()
            for domain in host.domains.values()
            for disk in domain.disks
            if disk.path not in host.files_for(disk.path)
        ]

    def snapshot(self) -> dict[str, Any]:
        """All that the world holds, as plain values to compare before and after an undone operation."""
        return {
            host.name: {
                "domains": {u: copy.deepcopy(vars(d)) for u, d in host.domains.items()},
                "containers": {u: copy.deepcopy(vars(c)) for u, c in host.containers.items()},
                "files": {p.name: sorted(p.files) for p in host.pools},
                "container_volumes": {n: vars(v).copy() for n, v in host.container_volumes.items()},
                "backups": sorted(host.backups),
                "bridges": sorted(host.bridges),
                "powered": host.powered,
            }
            for host in self.hosts.values()
        }


class FakeWatch:
    def __init__(self, world: FakeDataCenter, host: str, on_change: Callable[[str], None]) -> None:
        self._world, self._host, self._on_change = world, host, on_change
        world.watcher_add(host, on_change)

    def close(self) -> None:
        self._world.watcher_remove(self._host, self._on_change)


class FakeHypervisor:
    """The `HypervisorHost` of one fake host."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self.world = world
        self.host = world.hosts[host]

    def open(self) -> None:
        with self.world.call(self.host, "hypervisor.open"):
            pass

    def close(self) -> None:
        pass

    def is_alive(self) -> bool:
        return self.host.powered

    def facts(self) -> HypervisorFacts:
        with self.world.call(self.host, "hypervisor.facts"):
            host_uuid = str(uuids.uuid5(uuids.NAMESPACE_DNS, self.host.name))
            return HypervisorFacts(
                host_uuid,
                "QEMU 7.2.22",
                "9.0.0",
                ("qemu",),
                "qemu64",
                self.host.machine_types,
                self.host.memory_mib,
                firmwares=self.host.firmwares,
                tpms=self.host.tpms,
            )

    def list_domains(self) -> list[ObservedWorkload]:
        with self.world.call(self.host, "hypervisor.list_domains"):
            return [self._observed(domain) for domain in self.host.domains.values()]

    def domain_counters(self) -> list[WorkloadCounters]:
        with self.world.call(self.host, "hypervisor.domain_counters"):
            return [
                WorkloadCounters("vm", d.uuid, d.name, 0.0, float(d.memory_mib))
                for d in self.host.domains.values()
                if d.state == "running"
            ]

    def guest(self, uuid: str) -> dict[str, Any]:
        with self.world.call(self.host, "hypervisor.guest"):
            domain = self.host.domain(uuid)
            if domain.agent != CONNECTED:
                raise TimedOut("The guest's agent does not answer.")
            return guest_judged(domain.says)

    def watch(self, on_change: Callable[[str], None]) -> FakeWatch:
        return FakeWatch(self.world, self.host.name, on_change)

    def _observed(self, domain: FakeDomain) -> ObservedWorkload:
        disks = tuple(ObservedDisk(d.target, d.path, d.format, bytes_to_gib(d.size_bytes)) for d in domain.disks)
        return ObservedWorkload(
            "vm",
            domain.uuid,
            domain.name,
            domain.state,
            domain.reason,
            float(domain.vcpus),
            domain.memory_mib,
            sum(disk.size_gib for disk in disks),
            disks=disks,
            bridges=tuple(domain.bridges),
            serial_log=domain.serial_log,
            labels=dict(domain.labels),
            generation=domain.generation,
            managed=domain.managed,
            cdrom=domain.cdrom,
            agent=domain.agent,
        )


class FakeEngine:
    """The `ContainerEngine` of one fake host."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self.world = world
        self.host = world.hosts[host]

    def open(self) -> None:
        with self.world.call(self.host, "engine.open"):
            pass

    def close(self) -> None:
        pass

    def is_alive(self) -> bool:
        return self.host.powered

    def facts(self) -> EngineFacts:
        with self.world.call(self.host, "engine.facts"):
            return EngineFacts("Docker 20.10.24", f"fake-{self.host.name}", "overlay2", True)

    def list_containers(self) -> list[ObservedWorkload]:
        with self.world.call(self.host, "engine.list_containers"):
            return [self._observed(container) for container in self.host.containers.values()]

    def list_images(self) -> list[ObservedImage]:
        with self.world.call(self.host, "engine.list_images"):
            return [ObservedImage(engine_id, (name,), 1) for name, engine_id in sorted(self.host.images.items())]

    is_local = False

    def container_counters(self, engine_ids: Collection[str] | None = None) -> list[WorkloadCounters]:
        with self.world.call(self.host, "engine.container_counters"):
            return [
                WorkloadCounters("container", c.uuid, c.name, 0.0, 1.0)
                for c in self.host.containers.values()
                if c.state == "running" and (engine_ids is None or c.engine_id in engine_ids)
            ]

    def watch(self, on_change: Callable[[str], None]) -> FakeWatch:
        return FakeWatch(self.world, self.host.name, on_change)

    @staticmethod
    def _observed(container: FakeContainer) -> ObservedWorkload:
        return ObservedWorkload(
            "container",
            container.uuid,
            container.name,
            container.state,
            container.reason,
            container.cpu_cores,
            container.memory_mib,
            image=container.image,
            engine_id=container.engine_id,
            labels=dict(container.labels),
            restart_policy=container.restart_policy,
            volumes=tuple(container.spec.get("volumes") or ()),
            generation=container.generation,
            managed=container.managed,
        )


class FakeBmc:
    """The `Bmc` of one fake host; it answers while the host is off. Calls: "bmc.read", "bmc.on" ..."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self._world = world
        self._host = world.hosts[host]

    def read_power(self) -> PowerReading:
        with self._call("bmc.read"):
            return PowerReading("on" if self._host.powered else "off", "Fake Server", f"SN-{self._host.name}")

    def read_sensors(self) -> SensorReading:
        with self._call("bmc.sensors"):
            return SensorReading(180.0 if self._host.powered else 8.0, {"Inlet": 22.0})

    def power_on(self) -> None:
        with self._call("bmc.on"):
            self._world.power_set(self._host.name, True)

    def power_off(self, *, force: bool) -> None:
        with self._call("bmc.off"):
            self._world.power_set(self._host.name, False)

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        # A BMC has its own power, so the check of `world.call` must not see the host's.
        machine = FakeHost(self._host.name, self._host.address)
        with self._world.call(machine, name):
            yield
