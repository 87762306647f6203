"""What an effect is given: its plane's settings, drivers, state, locks and doors to the control plane."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from hosts.bmc_address import is_wake_only
from hosts.plane.config import PlaneConfig
from hosts.plane.locks import Locks
from hosts.plane.state_file import StateFile

if TYPE_CHECKING:
    from hosts.drivers.base import Bmc, ContainerEngine, HypervisorHost

T = TypeVar("T")

CLOCK_LEAD = "clock_lead_s"


class Sink(Protocol):
    """Where reports and progress go; neither call may block or raise."""

    def report(self, ticket: str, report: dict[str, Any]) -> None: ...

    def progress(self, progress: dict[str, Any]) -> None: ...


class Control(Protocol):
    """The control plane as an effect sees it (`control_client.ControlClient`)."""

    def secret(self, path: str) -> str: ...

    def image_fetch(self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Any = None) -> None: ...

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Any = None) -> None: ...

    def blob_fetch(self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Any = None) -> None: ...


class Drivers:
    """The drivers of this process, opened when first asked for and shared by its threads.

    `fixed` gives drivers by name instead, as tests do: {"hypervisor": FakeHypervisor(), "engine": ...}.
    A "bmc" given there is a function of (url, system, username, password).
    """

    def __init__(self, config: PlaneConfig, fixed: Mapping[str, object] | None = None) -> None:
        self._config = config
        self._opened: dict[str, object] = dict(fixed or {})
        self._lock = threading.Lock()

    def get(self, name: str, make: Callable[[PlaneConfig], T]) -> T:
        """The driver called `name`, made by `make` on the first call of this process."""
        with self._lock:
            if name not in self._opened:
                self._opened[name] = make(self._config)
            return cast("T", self._opened[name])

    @property
    def hypervisor(self) -> HypervisorHost:
        """The hypervisor, connected; re-connected when the connection broke. Raises Unreachable."""
        hypervisor = self.get("hypervisor", _hypervisor_make)
        hypervisor.open()
        return hypervisor

    @property
    def guests(self) -> HypervisorHost:
        """Another connection to the hypervisor, for calls that a guest may keep waiting. Raises Unreachable."""
        hypervisor = self.get("guests", _hypervisor_make)
        hypervisor.open()
        return hypervisor

    @property
    def engine(self) -> ContainerEngine:
        """The container engine, connected. Raises Unreachable."""
        engine = self.get("engine", _engine_make)
        engine.open()
        return engine

    @property
    def netlink(self) -> Any:
        """The module `hosts.drivers.netlink`, or what stands for it: list_links, bridge_ensure, LinkWatch ..."""
        return self.get("netlink", _netlink_make)

    def bmc(self, url: str, system: str, username: str, password: str) -> Bmc:
        """A management controller; each call gives a new one, for they keep a session."""
        return self.get("bmc", lambda _: _bmc_make)(url, system, username, password)

    def address_answers(self, address: str) -> bool:
        """Whether a machine answers at the address, on or off its plane."""
        return bool(self.get("answers", lambda _: _answers_make())(address))


@dataclass
class PlaneContext:
    """Everything an effect may use. `clock` is the control plane's time, in epoch seconds."""

    config: PlaneConfig
    state: StateFile
    locks: Locks
    drivers: Drivers
    control: Control
    sink: Sink
    clock: Callable[[], float] = time.time
    # Between two readings of a BMC: a state counts when it was read twice.
    power_poll_s: float = 1.0
    # Until the host goes down: its report of that must be away by then.
    shutdown_delay_s: float = 2.0


def state_open(config: PlaneConfig) -> tuple[StateFile, Locks, Callable[[], float]]:
    """The plane's state file, locks, and clock: the control plane's time, as the state file last heard of it."""
    directory = Path(config.state_dir)
    state = StateFile(directory / "state.sqlite3")
    return state, Locks(directory / "locks"), clock_of(state)


def clock_of(state: StateFile) -> Callable[[], float]:
    """The control plane's time in epoch seconds, as far as the state file knows."""
    return lambda: time.time() + float(state.flag(CLOCK_LEAD) or 0.0)


@dataclass
class ListSink:
    """A sink that keeps everything in lists, for tests and trials."""

    reports: list[dict[str, Any]] = field(default_factory=list)
    progresses: list[dict[str, Any]] = field(default_factory=list)

    def report(self, ticket: str, report: dict[str, Any]) -> None:
        self.reports.append(report)

    def progress(self, progress: dict[str, Any]) -> None:
        self.progresses.append(progress)


def context_for_trial(
    name: str = "alpha",
    *,
    directory: str | Path | None = None,
    drivers: Mapping[str, object] | None = None,
    control: Control | None = None,
    sink: Sink | None = None,
    clock: Callable[[], float] = time.time,
    config: PlaneConfig | None = None,
) -> PlaneContext:
    """A whole plane in this process, without Celery, Redis or HTTP: what tests give to `effects.execute`.

    `drivers` are the fakes by name; `directory` keeps the state file, a new temporary one when not given.
    """
    directory = Path(directory or tempfile.mkdtemp(prefix="stowage-plane-"))
    config = config or PlaneConfig(name=name, state_dir=str(directory))
    return PlaneContext(
        config=config,
        state=StateFile(directory / "state.sqlite3", clock=clock, durable=False),
        locks=Locks(directory / "locks"),
        drivers=Drivers(config, drivers or {}),
        control=control or _NoControl(),
        sink=sink or ListSink(),
        clock=clock,
        power_poll_s=0.01,
        shutdown_delay_s=0.0,
    )


class _NoControl:
    """A control plane that has nothing."""

    def secret(self, path: str) -> str:
        raise LookupError(f"no secret at {path} in this trial")

    def image_fetch(self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Any = None) -> None:
        raise LookupError(f"no image {image} in this trial")

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Any = None) -> None:
        raise LookupError(f"no place for {path} in this trial")

    def blob_fetch(self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Any = None) -> None:
        raise LookupError(f"no bytes at {path} in this trial")


# The libraries behind the drivers are imported by whoever uses them first: a site plane has no libvirt, and a
# plane must start where an optional one is missing.


def _hypervisor_make(config: PlaneConfig) -> HypervisorHost:
    from hosts.drivers.libvirt_host import LibvirtHost

    return LibvirtHost(config.libvirt_uri)


def _engine_make(config: PlaneConfig) -> ContainerEngine:
    from hosts.drivers.docker_host import DockerHost

    return DockerHost(config.docker_url)


def _netlink_make(config: PlaneConfig) -> Any:
    from hosts.drivers import netlink

    return netlink


def _answers_make() -> Callable[[str], bool]:
    from hosts.drivers.wake_on_lan import address_answers

    return address_answers


def _bmc_make(url: str, system: str, username: str, password: str) -> Bmc:
    """Each protocol's library is loaded by whom it is used."""
    if is_wake_only(url):
        from hosts.drivers.wake_on_lan import WakeOnLan

        return WakeOnLan(url)
    if url.startswith("ipmi:"):
        from hosts.drivers.ipmi import IpmiBmc

        return IpmiBmc(url, username, password)
    from hosts.drivers.redfish import RedfishBmc

    return RedfishBmc(url, system, username, password)
