"""One host's hypervisor through libvirt: what it is, what runs on it, what that uses, and when it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from xml.etree import ElementTree

import libvirt

from hosts.drivers.base import HypervisorFacts, ObservedWorkload, WorkloadCounters
from hosts.drivers.domain_facts import parse
from hosts.drivers.domain_state import domain_state
from hosts.drivers.guest_info import guest_ask
from hosts.drivers.libvirt_errors import foreign_error, is_code
from hosts.drivers.libvirt_loop import loop_ensure
from hosts.drivers.libvirt_reading import counters, disk_sizes, observed
from hosts.errors import StowageError, TimedOut, Unreachable

OPEN_TIMEOUT_S = 10.0
# A peer that is silent for 3 x (4 + 1) seconds is given up: longer than a busy lab machine's hiccups,
# shorter than an operator's patience. Source: virConnectSetKeepAlive, pitfalls M19.
KEEPALIVE_INTERVAL_S = 3
KEEPALIVE_COUNT = 4

_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
# NOWAIT: a domain that is busy migrating gives fewer numbers instead of blocking all others for 30 s (M16).
_STATS_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT

_Value = TypeVar("_Value")


def within(timeout_s: float, call: Callable[[], _Value], late: Callable[[_Value], object], doing: str) -> _Value:
    """The call's value if it comes in time, else TimedOut; a value that comes later is handed to `late`.

    For the few calls that no keepalive guards. The waiting thread is a daemon: it ends with the process.
    """
    box: dict[str, Any] = {}
    lock, done = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            box["value"] = call()
        except BaseException as error:  # noqa: BLE001  carried to the waiting thread, whatever it is
            box["error"] = error
        with lock:
            abandoned = box.get("abandoned", False)
            done.set()
        if abandoned and "value" in box:
            late(box["value"])

    threading.Thread(target=run, name=doing, daemon=True).start()
    done.wait(timeout_s)
    with lock:
        if not done.is_set():
            box["abandoned"] = True
            raise TimedOut(f"It took longer than {timeout_s:.0f} seconds to {doing}.")
    if "error" in box:
        raise box["error"]
    return box["value"]


class LibvirtHost:
    """A connection to one host's libvirt, opened when first needed and again when it was lost."""

    def __init__(self, uri: str = "qemu:///system", *, open_timeout_s: float = OPEN_TIMEOUT_S) -> None:
        self.uri = uri
        self._open_timeout_s = open_timeout_s
        self._lock = threading.Lock()
        self._connection: libvirt.virConnect | None = None

    @property
    def is_local(self) -> bool:
        """Whether the hypervisor is on this machine, so that its files and bridges can be looked at here."""
        return self.uri.startswith("qemu:///")

    def open(self) -> None:
        self.connection()

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(libvirt.libvirtError):
                connection.close()

    def is_alive(self) -> bool:
        connection = self._connection
        return connection is not None and _is_alive(connection)

    def connection(self) -> libvirt.virConnect:
        """The live connection. Raises Unreachable, TimedOut or Rejected."""
        with self._lock:
            if self._connection is not None and _is_alive(self._connection):
                return self._connection
            stale, self._connection = self._connection, None
            if stale is not None:
                with suppress(libvirt.libvirtError):
                    stale.close()
            loop_ensure()
            try:
                connection = within(
                    self._open_timeout_s,
                    lambda: libvirt.open(self.uri),
                    lambda late: late.close(),
                    "reach the hypervisor",
                )
                _keep_alive(connection)
            except libvirt.libvirtError as error:
                raise _open_error(error) from error
            self._connection = connection
            return connection

    @contextmanager
    def calls(self, doing: str) -> Iterator[libvirt.virConnect]:
        """The connection for a block of calls whose libvirt errors come out as ours."""
        connection = self.connection()
        try:
            yield connection
        except libvirt.libvirtError as error:
            if not _is_alive(connection):
                self.close()
                raise Unreachable("The connection to the hypervisor broke off.", f"{doing}: {error}") from error
            raise foreign_error(error, doing) from error

    def facts(self) -> HypervisorFacts:
        missing: list[str] = []
        with self.calls("describe itself") as connection:
            capabilities = ElementTree.fromstring(connection.getCapabilities())
            version, library = connection.getVersion(), connection.getLibVersion()
            memory_mib = self._memory_mib(connection, missing)
            product, serial = self._sysinfo(connection, missing)
            offered = guest_offers(connection)
        guests = [g for g in capabilities.findall("guest") if g.findtext("os_type") == "hvm"]
        guests = [g for g in guests if g.find("arch[@name='x86_64']") is not None]
        accelerators = sorted({d.get("type", "") for g in guests for d in g.findall("arch/domain")})
        machines = sorted({(m.text or "") for g in guests for m in g.findall("arch/machine")})
        cpu_model = capabilities.findtext("host/cpu/model")
        if cpu_model is None:
            missing.append("The hypervisor does not name the CPU's model.")
        return HypervisorFacts(
            capabilities.findtext("host/uuid") or "",
            f"QEMU {_version(version)}",
            _version(library),
            tuple(accelerators),
            cpu_model,
            tuple(machines),
            memory_mib,
            product,
            serial,
            tuple(missing),
            offered.firmwares,
            offered.tpms,
        )

    def list_domains(self) -> list[ObservedWorkload]:
        with self.calls("list its VMs") as connection:
            stats = {d.UUIDString(): s for d, s in connection.getAllDomainStats(_STATS, _STATS_FLAGS)}
            found = [self._observe(domain, stats) for domain in connection.listAllDomains()]
        return [workload for workload in found if workload is not None]

    def domain_counters(self) -> list[WorkloadCounters]:
        flags = _STATS_FLAGS | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
        with self.calls("count what its VMs use") as connection:
            rows = [(d.UUIDString(), d.name(), s) for d, s in connection.getAllDomainStats(_STATS, flags)]
        return [counters(uuid, name, stats) for uuid, name, stats in rows]

    def guest(self, uuid: str) -> dict[str, Any]:
        with self.calls("ask the guest") as connection:
            return guest_ask(connection.lookupByUUIDString(uuid))

    def watch(self, on_change: Callable[[str], None]) -> LibvirtWatch:
        return LibvirtWatch(self, on_change)

    def _observe(self, domain: libvirt.virDomain, stats: dict[str, dict[str, Any]]) -> ObservedWorkload | None:
        """One domain's state, or None when it went away while we looked."""
        try:
            facts = parse(domain.XMLDesc(0))
            autostart = bool(domain.autostart()) if domain.isPersistent() else False
            numbers = stats.get(facts.uuid) or {}
            if "state.state" in numbers:
                pair = (numbers["state.state"], numbers.get("state.reason", 0))
            else:
                pair = tuple(domain.state())
            sizes = disk_sizes(domain, facts, numbers)
        except libvirt.libvirtError as error:
            if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise
        return observed(facts, domain_state(*pair), autostart, sizes)

    @staticmethod
    def _memory_mib(connection: libvirt.virConnect, missing: list[str]) -> int | None:
        # getInfo reads one NUMA node only, and may give a fifth of the machine (design.md section 4).
        try:
            total_kib = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"]
        except (libvirt.libvirtError, KeyError):
            missing.append("The hypervisor does not tell how much memory the host has.")
            return None
        return int(total_kib) // 1024

    @staticmethod
    def _sysinfo(connection: libvirt.virConnect, missing: list[str]) -> tuple[str | None, str | None]:
        try:
            system = ElementTree.fromstring(connection.getSysinfo())
        except libvirt.libvirtError:
            missing.append("The machine has no SMBIOS, so its product name and serial number are unknown.")
            return None, None
        entries = {e.get("name"): (e.text or "").strip() for e in system.findall("system/entry")}
        return entries.get("product"), entries.get("serial")


class LibvirtWatch:
    """Life-cycle events of one connection. Close it: a forgotten callback keeps the socket (M20)."""

    _EVENTS = (
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
        libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR,
        libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
        libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
    )

    def __init__(self, host: LibvirtHost, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        with host.calls("report changes") as connection:
            self._connection = connection
            connection.registerCloseCallback(self._closed, None)
            self._callbacks = [
                connection.domainEventRegisterAny(None, event, self._changed, None) for event in self._EVENTS
            ]

    def close(self) -> None:
        for callback in self._callbacks:
            with suppress(libvirt.libvirtError):
                self._connection.domainEventDeregisterAny(callback)
        with suppress(libvirt.libvirtError):
            self._connection.unregisterCloseCallback()
        self._callbacks = []

    def _changed(self, connection: libvirt.virConnect, domain: libvirt.virDomain, *details: object) -> None:
        self._on_change(domain.UUIDString())

    def _closed(self, connection: libvirt.virConnect, reason: int, opaque: object) -> None:
        self._on_change("")


@dataclass(frozen=True)
class GuestOffers:
    """What not every host can give a VM of the machine type q35. `firmwares`: "bios", "efi", "efi-secure"."""

    firmwares: tuple[str, ...]
    tpms: tuple[str, ...]


def guest_offers(connection: libvirt.virConnect) -> GuestOffers:
    """What this hypervisor offers. Source: libvirt formatdomaincaps."""
    try:
        return guest_offers_read(connection.getDomainCapabilities(None, "x86_64", "q35", None, 0))
    except libvirt.libvirtError:
        return GuestOffers(("bios",), ())


def guest_offers_read(xml: str) -> GuestOffers:
    """From libvirt's domain capabilities."""
    told = ElementTree.fromstring(xml)

    def values(path: str, name: str) -> list[str]:
        return [value.text or "" for value in told.findall(f"{path}/enum[@name='{name}']/value")]

    firmwares = values("os", "firmware")
    if "efi" in firmwares and "yes" in values("os/loader", "secure"):
        firmwares.append("efi-secure")
    emulates = "emulator" in values("devices/tpm[@supported='yes']", "backendModel")
    crb = [model for model in values("devices/tpm", "model") if emulates and model == "tpm-crb"]
    return GuestOffers(tuple(firmwares), tuple(crb))


def _is_alive(connection: libvirt.virConnect) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _keep_alive(connection: libvirt.virConnect) -> None:
    try:
        connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        # A hypervisor inside this very process (libvirt's test driver) has no wire that could fall silent.
        if not is_code(error, libvirt.VIR_ERR_NO_SUPPORT):
            raise


def _open_error(error: libvirt.libvirtError) -> StowageError:
    if is_code(error, libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR):
        return Unreachable("The hypervisor cannot be reached. Is libvirtd running?", str(error))
    return foreign_error(error, "reach the hypervisor")


def _version(number: int) -> str:
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"
