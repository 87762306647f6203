"""Sending a VM to another host by libvirt, peer to peer, so that our own death changes nothing (pitfalls M1).

The recipe is rule 7 of the pitfalls: the destination is left paused, the source undefined. An error of the call
says nothing about where the VM is (M7, M8): whoever gets one asks both hosts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from hosts.drivers.domain_facts import DomainFacts, parse
from hosts.drivers.domain_state import domain_state
from hosts.drivers.libvirt_errors import foreign_error, is_code
from hosts.drivers.libvirt_host import LibvirtHost
from hosts.errors import DriverError, Refused, StowageError, TimedOut, Vanished
from workloads.drivers.base import MigrationOrder, MigrationProgress, MigrationResult
from workloads.drivers.libvirt_backup import checkpoints_drop

POLL_S = 0.25  # a small VM is gone within a second; the plane tells once a second what was seen last
# How long libvirt may take to give up after an abort before we stop waiting and report "unknown".
ABORT_PATIENCE_S = 60.0
SAFE_CACHES = ("none", "directsync")
_UNKNOWN = "Where the VM is now must be asked on both hosts."

_FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    | libvirt.VIR_MIGRATE_PAUSED
)


def migrate(
    host: LibvirtHost,
    order: MigrationOrder,
    on_progress: Callable[[MigrationProgress], None],
    is_aborted: Callable[[], bool],
) -> MigrationResult:
    """Sends the VM and waits, telling progress each second; aborts it on demand and at its deadline.

    A migration of this VM that already runs, as after a restart of ours, is joined instead of started.

    Raises:
        Refused: nothing was started, or it was aborted on demand.
        Vanished: the VM is not here (it may have moved already).
        TimedOut, Unreachable, DriverError: unknown; ask both hosts.
    """
    with host.calls("move the VM") as connection:
        domain = _lookup(connection, order.uuid)
        facts = parse(domain.XMLDesc(0))
        state, reason = domain_state(*domain.state())
        runs_already = _is_migrating(domain)
        if not runs_already and state != "running":
            raise Refused(f"The VM {facts.name} is {reason}; only a running VM moves live.")
        flags, parameters = call_of(order, facts)
        if not runs_already:
            checkpoints_drop(domain)  # libvirt moves none, so the backup after this is a full one
    send = None if runs_already else lambda: domain.migrateToURI3(order.destination_uri, parameters, flags)
    return _Sending(domain, facts.name, order, on_progress, is_aborted).run(send)


def call_of(order: MigrationOrder, facts: DomainFacts) -> tuple[int, dict[str, Any]]:
    """Flags and parameters of virDomainMigrateToURI3 for an order; raises Refused when a disk could be harmed."""
    if unknown := set(order.copied_targets) - {disk.target for disk in facts.disks}:
        raise Refused(f"The VM {facts.name} has no disk {', '.join(sorted(unknown))} to copy.")
    disks = [disk for disk in facts.disks if disk.path and not disk.read_only]
    # What the guest cannot write is not sent: the same file has to be on the destination (arrival_check).
    copied = {disk.target for disk in disks} & set(order.copied_targets)
    flags = _FLAGS | (libvirt.VIR_MIGRATE_AUTO_CONVERGE if order.auto_converge else 0)
    parameters: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: order.migration_uri}
    if order.bandwidth_mib_s:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = order.bandwidth_mib_s
    if copied:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = sorted(copied)
    stays = [disk for disk in disks if disk.target not in copied]
    if stays:
        # libvirt cannot know that a local path is shared; the pool's marker has proved it. The other half of its
        # check, that no host's cache may hold stale data, is ours then.
        for disk in stays:
            if disk.cache not in SAFE_CACHES:
                raise Refused(
                    f"The disk {disk.target} of {facts.name} is cached by its host, so it is not safe to move live."
                    " Set its cache to none, or stop the VM first."
                )
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    return flags, parameters


class _Sending:
    """One running migration, watched from the calling thread while libvirt's call blocks another."""

    def __init__(
        self,
        domain: libvirt.virDomain,
        name: str,
        order: MigrationOrder,
        on_progress: Callable[[MigrationProgress], None],
        is_aborted: Callable[[], bool],
    ) -> None:
        self._domain = domain
        self._name = name
        self._order = order
        self._on_progress = on_progress
        self._is_aborted = is_aborted
        self._ended = threading.Event()
        self._error: libvirt.libvirtError | None = None
        self._failure: StowageError | None = None
        self._last: MigrationProgress | None = None
        self._stop_reason: StowageError | None = None

    def run(self, send: Callable[[], object] | None) -> MigrationResult:
        started_at = time.monotonic()
        self._deadline = started_at + self._order.timeout_s
        target = self._join if send is None else lambda: self._send(send)
        threading.Thread(target=target, name=f"move {self._name}", daemon=True).start()
        while not self._ended.wait(POLL_S):
            self._tell()
            self._stop_when_due()
            if self._stop_reason and time.monotonic() > self._deadline + ABORT_PATIENCE_S:
                raise TimedOut(
                    f"The move of {self._name} neither ended nor could be aborted. {_UNKNOWN}",
                    self._stop_reason.message,
                )
        self._raise_error()
        data_mib = self._last.data_processed_bytes / 2**20 if self._last else 0.0
        # libvirt's "downtime" is an estimate while it runs, and the guest stays paused until it is resumed.
        return MigrationResult(round(time.monotonic() - started_at, 2), round(data_mib, 1), None)

    def _send(self, send: Callable[[], object]) -> None:
        try:
            send()
        except libvirt.libvirtError as error:
            self._error = error
        self._ended.set()

    def _join(self) -> None:
        """Waits for a migration that another process of ours began; success is a domain that went away."""
        try:
            while _is_migrating(self._domain):
                time.sleep(POLL_S)
            self._domain.state()
            self._failure = TimedOut(f"The move of {self._name}, begun before a restart, failed. {_UNKNOWN}")
        except libvirt.libvirtError as error:
            if not is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                self._error = error
        self._ended.set()

    def _tell(self) -> None:
        try:
            stats = self._domain.jobStats()
        except libvirt.libvirtError:
            return  # it just ended, or the connection did; the call itself will say which
        if stats.get("type") in (libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED):
            self._last = progress_of(stats)
            self._on_progress(self._last)

    def _stop_when_due(self) -> None:
        if self._stop_reason is None and time.monotonic() > self._deadline:
            self._stop_reason = TimedOut(
                f"The move of {self._name} took over {self._order.timeout_s:.0f} s and was aborted. {_UNKNOWN}"
            )
        elif self._stop_reason is None and self._is_aborted():
            self._deadline = time.monotonic()
            self._stop_reason = Refused(f"The move of {self._name} was cancelled.")
        if self._stop_reason is not None:
            # Asked again at each poll: a job that is just being set up does not hear the first time.
            with suppress(libvirt.libvirtError):
                self._domain.abortJob()

    def _raise_error(self) -> None:
        if self._error is None and self._failure is None:
            return
        mapped = self._failure or foreign_error(self._error, f"move the VM {self._name}")
        if self._stop_reason is not None:
            raise type(self._stop_reason)(self._stop_reason.message, mapped.detail) from self._error
        if self._failure is not None:
            raise self._failure
        # A refusal by one side comes after the other may have begun: never pass it on as "nothing happened".
        kind = type(mapped) if isinstance(mapped, DriverError) and not isinstance(mapped, Vanished) else DriverError
        raise kind(f"{mapped.message} {_UNKNOWN}", mapped.detail) from self._error


def progress_of(stats: dict[str, Any]) -> MigrationProgress:
    """Libvirt's job statistics as ours. Source: virDomainGetJobStats."""
    page_size = stats.get("memory_page_size", 4096)
    return MigrationProgress(
        stats.get("time_elapsed", 0) / 1000,
        stats.get("data_total", 0),
        stats.get("data_processed", 0),
        stats.get("data_remaining", 0),
        stats.get("memory_dirty_rate", 0) * page_size,
        stats.get("memory_iteration", 0),
        stats.get("downtime", 0),
        stats.get("auto_converge_throttle", 0),
    )


def _lookup(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain:
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise Vanished("The VM is not on this host; it may have moved already.", uuid) from error
        raise


def _is_migrating(domain: libvirt.virDomain) -> bool:
    stats = domain.jobStats()
    return bool(
        stats.get("type", 0) in (libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED)
        and stats.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
    )
