"""The libvirt driver against libvirt's own test hypervisor, which needs no root and no QEMU."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from hosts.drivers.libvirt_errors import foreign_error
from hosts.drivers.libvirt_host import LibvirtHost, within
from hosts.errors import DriverError, NotFound, Refused, Rejected, TimedOut, Unreachable, Vanished
from workloads.drivers.libvirt_vm import LibvirtMachines

UUID = str(uuid.UUID(int=42))
XML = f"<domain type='test'><name>a</name><uuid>{UUID}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LibvirtHost]:
    (tmp_path / "node.xml").write_text("<node><cpu><mhz>1000</mhz></cpu></node>")
    host = LibvirtHost(f"test://{tmp_path}/node.xml")
    host.connection().defineXML(XML)
    yield host
    host.close()


def test_a_domain_is_observed_with_state_and_reason(host: LibvirtHost) -> None:
    (observed,) = host.list_domains()

    assert (observed.uuid, observed.name, observed.state, observed.memory_mib) == (UUID, "a", "stopped", 64)
    assert not observed.managed


def test_the_verbs_are_ensures(host: LibvirtHost) -> None:
    machines = LibvirtMachines(host)

    for verb, state in ((machines.start, "running"), (machines.pause, "paused"), (machines.destroy, "stopped")):
        verb(UUID)
        verb(UUID)
        assert machines.locate(UUID).state == state

    # The test hypervisor does not know how to undefine with a VM's leftovers; tests/lab does that.
    host.connection().lookupByUUIDString(UUID).undefine()
    machines.undefine(UUID)
    machines.destroy(UUID)
    assert not machines.locate(UUID).present


def test_a_stamp_only_ever_grows_and_guards_the_resume(host: LibvirtHost) -> None:
    machines = LibvirtMachines(host)
    machines.start(UUID)
    machines.pause(UUID)
    operation = str(uuid.uuid4())

    machines.stamp(UUID, 5, operation)
    machines.stamp(UUID, 5)

    location = machines.locate(UUID)
    assert (location.generation, location.operation) == (5, operation)
    with pytest.raises(Refused, match="stale"):
        machines.stamp(UUID, 4)
    with pytest.raises(Refused, match="stale"):
        machines.resume(UUID, 4)
    machines.resume(UUID, 5)
    assert machines.locate(UUID).state == "running"


def test_a_running_vm_keeps_its_definition(host: LibvirtHost) -> None:
    machines = LibvirtMachines(host)
    machines.start(UUID)

    with pytest.raises(Refused, match="Stop it first"):
        machines.undefine(UUID)


def test_what_is_not_here_is_not_found(host: LibvirtHost) -> None:
    machines = LibvirtMachines(host)
    stranger = str(uuid.uuid4())

    for verb in (machines.start, machines.describe, machines.pause):
        with pytest.raises(NotFound):
            verb(stranger)


def test_a_watch_tells_of_changes_until_it_is_closed(host: LibvirtHost) -> None:
    seen: queue.Queue[str] = queue.Queue()
    watch = host.watch(seen.put)

    LibvirtMachines(host).start(UUID)
    assert seen.get(timeout=5) == UUID

    watch.close()
    while not seen.empty():
        seen.get()
    LibvirtMachines(host).destroy(UUID)
    time.sleep(0.2)
    assert seen.empty()


def test_a_closed_connection_is_opened_again_when_needed(host: LibvirtHost) -> None:
    host.close()
    assert not host.is_alive()

    host.open()

    assert host.is_alive()


def test_a_host_without_libvirtd_is_unreachable_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Is libvirtd running"):
        LibvirtHost(f"qemu+unix:///system?socket={tmp_path}/nobody").open()


def test_a_frozen_hypervisor_times_out_and_a_late_answer_is_given_back() -> None:
    thaw, late = threading.Event(), queue.Queue[str]()

    with pytest.raises(TimedOut, match="longer than 0 seconds to reach it"):
        within(0.05, lambda: (thaw.wait() and "answer") or "", late.put, "reach it")

    thaw.set()
    assert late.get(timeout=5) == "answer"


def test_errors_are_told_apart_by_code() -> None:
    cases = {
        libvirt.VIR_ERR_NO_DOMAIN: Vanished,
        libvirt.VIR_ERR_OPERATION_INVALID: Refused,
        libvirt.VIR_ERR_OPERATION_TIMEOUT: TimedOut,
        libvirt.VIR_ERR_AUTH_FAILED: Rejected,
        libvirt.VIR_ERR_OPERATION_FAILED: DriverError,
    }
    for code, kind in cases.items():
        assert type(foreign_error(_error(code, libvirt.VIR_FROM_QEMU), "do it")) is kind
    # "client socket is closed" has no code of its own: the transport is told by its domain
    assert type(foreign_error(_error(libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC), "do it")) is Unreachable


def _error(code: int, domain: int) -> libvirt.libvirtError:
    error = libvirt.libvirtError("made for this test")
    error.err = (code, domain, "made for this test", 2, None, None, None, -1, -1)
    return error
