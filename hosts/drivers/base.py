"""The seam between Stowage and a host: what a driver must offer, and the values that cross.

In go plain values, out come the frozen dataclasses of this module. A driver raises only from `hosts.errors`,
retries nothing by itself, and never waits without a deadline.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

WorkloadKind = Literal["vm", "container"]
WorkloadState = Literal["running", "paused", "stopped", "crashed", "migrating", "starting", "unknown"]
Power = Literal["on", "off", "turning on", "turning off", "unknown"]

# Containers that Stowage did not make have no uuid of ours: theirs is derived from the engine's id, so that
# every observer arrives at the same one.
CONTAINER_NAMESPACE = uuids.UUID("6f7b7a1e-2f5e-4e0b-9d0e-5b1f5f0c5a10")


def container_uuid(engine_id: str, labels: dict[str, str]) -> str:
    """The uuid by which Stowage knows a container: its label `stowage.uuid`, else made from its engine id."""
    try:
        return str(uuids.UUID(labels["stowage.uuid"]))
    except (KeyError, ValueError):
        return str(uuids.uuid5(CONTAINER_NAMESPACE, engine_id))


@dataclass(frozen=True)
class ObservedDisk:
    """A disk as the hypervisor reports it; who knows the pools fills in `pool` and `shared_pool_id`."""

    target: str
    path: str
    format: str
    size_gib: float
    pool: str | None = None
    shared_pool_id: str | None = None


@dataclass(frozen=True)
class ObservedWorkload:
    """A VM or container as it is now; `reason` says why it is in its state ("paused (user)")."""

    kind: WorkloadKind
    uuid: str
    name: str
    state: WorkloadState
    reason: str
    vcpus: float
    memory_mib: int
    disk_gib: float = 0.0
    autostart: bool = False
    disks: tuple[ObservedDisk, ...] = ()
    bridges: tuple[str, ...] = ()
    serial_log: str | None = None
    image: str | None = None
    engine_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    restart_policy: str | None = None
    ports: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()  # {"kind", "source", "target", "is_read_only"}
    command: tuple[str, ...] = ()
    environment_keys: tuple[str, ...] = ()
    generation: int | None = None
    managed: bool = False
    cdrom: str | None = None  # the file in its CD-ROM drive, empty for none; None without a drive
    agent: str = ""  # whether an agent in the guest can be asked, see hosts.guest
    guest: dict[str, Any] | None = None  # what it said last, as hosts.guest.guest_judged gives it
    pid: int | None = None  # of a running container's first process, as this host counts; nobody else's business

    def to_data(self) -> dict[str, Any]:
        """The workload as it travels in an observation."""
        data = asdict(self)
        del data["pid"]
        return data


@dataclass(frozen=True)
class WorkloadCounters:
    """What one workload has used so far; totals only grow while it runs, rates are the reader's business.

    Disks and network cards are summed. None: not known, or it has none of its own (a container in its host's
    network). The memory used is what the host pays, the guest's what its own kernel calls in use.
    """

    kind: WorkloadKind
    uuid: str
    name: str
    cpu_seconds_total: float
    memory_used_mib: float
    memory_guest_used_mib: float | None = None
    cpu_allotted_cores: float | None = None
    memory_allotted_mib: float | None = None
    cpu_steal_seconds_total: float | None = None
    cpu_wait_seconds_total: float | None = None
    cpu_throttled_seconds_total: float | None = None
    processes: int | None = None
    disk_read_bytes_total: int | None = None
    disk_written_bytes_total: int | None = None
    disk_reads_total: int | None = None
    disk_writes_total: int | None = None
    network_received_bytes_total: int | None = None
    network_sent_bytes_total: int | None = None
    network_received_packets_total: int | None = None
    network_sent_packets_total: int | None = None
    network_received_dropped_total: int | None = None
    network_sent_dropped_total: int | None = None
    network_received_errors_total: int | None = None
    network_sent_errors_total: int | None = None


@dataclass(frozen=True)
class HypervisorFacts:
    """What a hypervisor says about itself. `missing` has a sentence for each optional fact not given."""

    host_uuid: str
    hypervisor: str
    libvirt: str
    accelerator_listed: tuple[str, ...]
    cpu_model: str | None
    machine_types: tuple[str, ...]
    memory_mib: int | None
    product: str | None = None
    serial: str | None = None
    missing: tuple[str, ...] = ()
    firmwares: tuple[str, ...] = ()  # that VMs may have: "bios", "efi", "efi-secure"
    tpms: tuple[str, ...] = ()  # models of emulated TPMs that VMs may have


@dataclass(frozen=True)
class EngineFacts:
    """What a container engine says about itself."""

    engine: str
    engine_host_id: str
    storage_driver: str
    keeps_containers_over_restart: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class PowerReading:
    """What a BMC answers. "on" may be read while a machine is going down: read until stable."""

    power: Power
    model: str | None
    serial: str | None


@dataclass(frozen=True)
class SensorReading:
    """What a BMC measures: the whole machine's power, None where it has no meter, and degrees by sensor."""

    power_watts: float | None = None
    temperatures_celsius: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.power_watts is not None or bool(self.temperatures_celsius)


@dataclass(frozen=True)
class Controller:
    """Where a host's BMC is, and what opens it; kept in memory only, and no log shows the password."""

    host: str
    url: str
    system: str
    username: str
    password: str = field(repr=False)


class Watch(Protocol):
    """A running event watch."""

    def close(self) -> None: ...


class HypervisorHost(Protocol):
    """A connection to one host's hypervisor. Calls raise Unreachable or TimedOut while nobody answers."""

    def open(self) -> None:
        """Connects; when already connected and alive, does nothing."""

    def close(self) -> None: ...

    def is_alive(self) -> bool:
        """Whether the connection stands, without a round trip."""

    def facts(self) -> HypervisorFacts: ...

    def list_domains(self) -> list[ObservedWorkload]: ...

    def domain_counters(self) -> list[WorkloadCounters]:
        """Counters of every running domain from one call to the hypervisor."""

    def guest(self, uuid: str) -> dict[str, Any]:
        """What the guest's agent says of it now, judged; waits some seconds for it, and raises TimedOut."""

    def watch(self, on_change: Callable[[str], None]) -> Watch:
        """Calls `on_change(uuid)` from a foreign thread at each life-cycle event, and `on_change("")` when
        the connection is lost. The callback must only enqueue: the event loop waits for it."""


@dataclass(frozen=True)
class ObservedImage:
    """A container image that an engine keeps: its names (none: only its id), and the containers made from it."""

    engine_id: str
    names: tuple[str, ...] = ()
    size_bytes: int = 0
    used_by: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


class ContainerEngine(Protocol):
    """A connection to one host's container engine."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def is_alive(self) -> bool: ...

    def facts(self) -> EngineFacts: ...

    def list_containers(self) -> list[ObservedWorkload]: ...

    def list_images(self) -> list[ObservedImage]: ...

    @property
    def is_local(self) -> bool:
        """Whether its containers are processes of this machine, whose control groups can be read here."""

    def container_counters(self, engine_ids: Collection[str] | None = None) -> list[WorkloadCounters]:
        """Counters by the engine's own statistics, of every running container or of those alone.

        Slow, a request for each: for engines elsewhere. Those that do not answer in time are left out.
        """

    def watch(self, on_change: Callable[[str], None]) -> Watch: ...


class Bmc(Protocol):
    """A host's management controller. Each call opens its own session: BMCs are slow and forget."""

    def read_power(self) -> PowerReading: ...

    def read_sensors(self) -> SensorReading:
        """Watts and degrees, empty where it offers none; several requests, so not for every few seconds."""

    def power_on(self) -> None:
        """Asks for power; accepted is not on."""

    def power_off(self, *, force: bool) -> None:
        """Asks the system to shut down, or with `force` cuts the power; accepted is not off."""


@dataclass(frozen=True)
class DomainConsoles:
    """The consoles of a VM that runs; each None where it has none of that sort. `generation` None: adopted."""

    name: str
    generation: int | None
    vnc_socket: str | None = None
    has_vnc: bool = False
    serial_socket: str | None = None
    serial_pty: str | None = None
    serial_log: str | None = None


class Consoles(Protocol):
    """Where the consoles of a host's VMs are to be found. Calls block."""

    def find(self, uuid: str) -> DomainConsoles | None:
        """The consoles of a VM as it runs now, None when it does not."""

    def graphics_open(self, uuid: str) -> int:
        """A socket connected to the VM's first screen, however that listens; the caller closes it."""
