from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import hosts.plane.host_effects  # noqa: F401  registers the verbs
from hosts.drivers.fake import FakeContainer, FakeDataCenter, FakeDomain, FakeEngine, FakeHypervisor
from hosts.errors import Refused
from hosts.plane.accelerator import kvm_try, trial_key
from hosts.plane.context import PlaneContext, context_for_trial
from hosts.plane.effects import execute
from hosts.plane.facts import block_devices, cpuinfo_parse, os_name
from tests.hosts.plane.commands import NOW, command


class FakeLinks:
    """Bridges in memory."""

    def __init__(self) -> None:
        self.bridges: dict[str, bool] = {"br0": False}  # name: made by Stowage

    def bridge_ensure(self, name: str, mtu: int | None = None) -> bool:
        created = name not in self.bridges
        self.bridges.setdefault(name, True)
        return created

    def bridge_remove(self, name: str) -> bool:
        if name in self.bridges and not self.bridges[name]:
            raise Refused(f"{name} was not made by Stowage.")
        return self.bridges.pop(name, None) is not None

    def list_links(self) -> list[Any]:
        return []


@pytest.fixture
def world() -> FakeDataCenter:
    return FakeDataCenter("alpha")


@pytest.fixture
def links() -> FakeLinks:
    return FakeLinks()


@pytest.fixture
def context(tmp_path: Path, world: FakeDataCenter, links: FakeLinks) -> PlaneContext:
    drivers = {
        "hypervisor": FakeHypervisor(world, "alpha"),
        "engine": FakeEngine(world, "alpha"),
        "netlink": links,
    }
    return context_for_trial("alpha", directory=tmp_path, drivers=drivers, clock=lambda: NOW)


def run(context: PlaneContext, effect: str, **arguments: Any) -> dict[str, Any]:
    sent = command(effect, arguments=arguments, operation=f"{effect} {len(context.sink.reports)}")  # type: ignore[attr-defined]
    report = execute(context, sent)
    assert report is not None
    return report


def test_ping_answers_with_the_control_planes_time(context: PlaneContext) -> None:
    assert run(context, "host.ping")["output"] == {"at": NOW}


def test_discover_gives_every_fact_of_the_contract(context: PlaneContext) -> None:
    facts = run(context, "host.discover")["output"]

    wanted = "machine_id host_uuid hostname architecture os_name kernel cpu_model cpu_cores cpu_threads memory_mib"
    wanted += " disk_gib nics disks hypervisor libvirt engine accelerator_listed absent missing"
    wanted += " migration_address pools"
    assert set(wanted.split()) <= set(facts)
    assert facts["hypervisor"] == "QEMU 7.2.22"
    assert facts["engine"] == "Docker 20.10.24"


def test_discover_lives_without_a_hypervisor_and_says_so(context: PlaneContext, world: FakeDataCenter) -> None:
    world.fail("hypervisor.open")
    facts = run(context, "host.discover")["output"]

    assert facts["hypervisor"] is None and facts["host_uuid"] is None
    assert any("fails hypervisor.open" in sentence for sentence in facts["missing"])


def test_a_bridge_that_was_made_counts_as_made_when_the_step_runs_again(context: PlaneContext) -> None:
    first = run(context, "host.bridge_ensure", bridge="stw0")["output"]
    again = run(context, "host.bridge_ensure", bridge="stw0")["output"]

    assert (first, again) == ({"created": True}, {"created": True})


def test_a_bridge_that_was_there_before_is_neither_made_nor_removed(context: PlaneContext, links: FakeLinks) -> None:
    ensured = run(context, "host.bridge_ensure", bridge="br0")
    removed = run(context, "host.bridge_remove", bridge="br0")

    assert ensured["output"] == {"created": False}
    assert removed["error"]["kind"] == "Refused"
    assert "br0" in links.bridges


def test_removing_a_bridge_twice_is_well(context: PlaneContext) -> None:
    run(context, "host.bridge_ensure", bridge="stw0")

    assert run(context, "host.bridge_remove", bridge="stw0")["state"] == "done"
    assert run(context, "host.bridge_remove", bridge="stw0")["state"] == "done"


def test_a_host_with_stopped_workloads_alone_is_empty(context: PlaneContext, world: FakeDataCenter) -> None:
    world.hosts["alpha"].domains["vm-1"] = FakeDomain("vm-1", "web", state="stopped")

    assert run(context, "host.assert_empty")["state"] == "done"


@pytest.mark.parametrize("state", ["running", "paused", "migrating", "unknown"])
def test_a_host_where_something_is_not_stopped_is_not_empty_and_names_it(
    context: PlaneContext, world: FakeDataCenter, state: Any
) -> None:
    world.hosts["alpha"].domains["vm-1"] = FakeDomain("vm-1", "web", state=state)
    world.hosts["alpha"].containers["c-1"] = FakeContainer("c-1", "cache", "busybox", state="running")

    report = run(context, "host.assert_empty")

    assert report["error"]["message"] == "alpha is not empty: cache, web still run there."


def test_a_host_whose_engine_does_not_answer_is_not_called_empty(context: PlaneContext, world: FakeDataCenter) -> None:
    world.fail("engine.open")

    assert run(context, "host.assert_empty")["state"] == "failed"


def test_quiescing_outlives_a_restart_and_ends_when_told(tmp_path: Path, context: PlaneContext) -> None:
    run(context, "host.quiesce")
    restarted = context_for_trial("alpha", directory=tmp_path, clock=lambda: NOW)

    assert restarted.state.flag("quiesced")
    run(context, "host.unquiesce")
    assert not restarted.state.flag("quiesced")


def test_without_a_kernel_to_try_kvm_with_the_answer_is_tcg() -> None:
    trial = kvm_try("qemu-system-x86_64", None, lambda: False)

    assert trial.accelerator == "tcg"
    assert "emulated" in trial.sentence


@pytest.mark.skipif(not shutil.which("true"), reason="needs coreutils")
def test_a_qemu_that_ends_at_once_means_tcg(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"no kernel")
    trial = kvm_try("true", str(kernel), lambda: False, deadline_s=2)

    assert trial.accelerator == "tcg"


def test_a_program_that_says_a_kernels_first_words_means_kvm_where_there_is_kvm(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho 'Linux version 6.1'; sleep 30\n")
    qemu.chmod(0o755)
    kernel = tmp_path / "vmlinuz"
    kernel.touch()
    trial = kvm_try(str(qemu), str(kernel), lambda: False, deadline_s=5)

    assert trial.accelerator == ("kvm" if Path("/dev/kvm").exists() else "tcg")
    assert trial.seconds < 3


def test_a_new_kernel_or_qemu_asks_for_a_new_trial(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"one")
    before = trial_key(str(kernel), "QEMU 7.2")
    kernel.write_bytes(b"other")

    assert trial_key(str(kernel), "QEMU 7.2") != before
    assert trial_key(None, "QEMU 7.2") != trial_key(None, "QEMU 8.0")


def test_threads_of_one_core_are_one_core() -> None:
    text = "\n\n".join(
        f"processor\t: {n}\nmodel name\t: Xeon\nphysical id\t: 0\ncore id\t\t: {n // 2}" for n in range(4)
    )
    cpu = cpuinfo_parse(text)

    assert (cpu.model, cpu.cores) == ("Xeon", 2)
    assert cpuinfo_parse("processor\t: 0\n").cores is None


def test_only_real_disks_are_listed(tmp_path: Path) -> None:
    for name, sectors in (("vda", 536870912), ("loop0", 100), ("sr0", 100), ("sdb", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{sectors}\n")

    assert block_devices(tmp_path) == [{"name": "vda", "size_gib": 256.0}]


def test_the_operating_systems_name_comes_from_os_release(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')

    assert os_name(tmp_path / "os-release") == "Debian GNU/Linux 12 (bookworm)"
    assert os_name(tmp_path / "none") == "Linux"
