"""Restart, pause, resume, reset and save, on real libvirt and Docker."""

from __future__ import annotations

import re
from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, eventually
from tests.stack import Stack

BOOT_LIMIT_S = 90.0
SEEN_LIMIT_S = 5.0


def vm_state(stack: Stack) -> str:
    return stack.inside(HOST, "virsh", "domstate", "flow-vm").strip()


def boots(stack: Stack, uuid: str) -> int:
    """How often the guest began to count, by its own serial line."""
    log = stack.inside(HOST, "cat", f"/var/log/libvirt/qemu/{uuid}-serial.log")
    return len(re.findall(r"STOWAGE tick 1\s", log))


def box_state(stack: Stack) -> str:
    return stack.inside(HOST, "docker", "inspect", "-f", "{{.State.Status}}", "flow-box").strip()


def test_a_vm_is_paused_and_goes_on_and_its_page_says_so(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    person.done("POST", f"/workloads/{vm['uuid']}/pause")
    assert vm_state(stack) == "paused"
    assert person.get(f"/workloads/{vm['uuid']}")["state"] == "paused"
    status, answer = person.call("POST", f"/workloads/{vm['uuid']}/pause")
    assert (status, answer["message"]) == (409, "flow-vm is paused; only a running workload is paused.")

    person.done("POST", f"/workloads/{vm['uuid']}/resume")
    assert vm_state(stack) == "running"


def test_a_vm_paused_behind_our_back_can_be_resumed(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    stack.inside(HOST, "virsh", "suspend", "flow-vm")
    eventually(lambda: person.get(f"/workloads/{vm['uuid']}")["state"] == "paused", SEEN_LIMIT_S)

    person.done("POST", f"/workloads/{vm['uuid']}/resume")

    assert vm_state(stack) == "running"


def test_a_vm_is_saved_to_disk_and_comes_back_without_a_boot(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    eventually(lambda: boots(stack, vm["uuid"]) == 1, BOOT_LIMIT_S)

    person.done("POST", f"/workloads/{vm['uuid']}/save")
    assert vm_state(stack) == "shut off"
    assert "yes" in stack.inside(HOST, "virsh", "dominfo", "flow-vm").split("Managed save:")[1]
    eventually(lambda: "saved" in person.get(f"/workloads/{vm['uuid']}")["state_reason"], SEEN_LIMIT_S)
    person.done("POST", f"/workloads/{vm['uuid']}/start")

    assert vm_state(stack) == "running"
    assert boots(stack, vm["uuid"]) == 1


def test_a_reset_boots_the_guest_anew_while_the_vm_stays_on(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    eventually(lambda: boots(stack, vm["uuid"]) == 1, BOOT_LIMIT_S)

    person.done("POST", f"/workloads/{vm['uuid']}/reset")

    assert vm_state(stack) == "running"
    eventually(lambda: boots(stack, vm["uuid"]) == 2, BOOT_LIMIT_S)


def test_a_container_is_paused_resumed_and_restarted(stack: Stack, person: ApiPerson, container: dict[str, Any]):
    began = stack.inside(HOST, "docker", "inspect", "-f", "{{.State.StartedAt}}", "flow-box")

    person.done("POST", f"/workloads/{container['uuid']}/pause")
    assert box_state(stack) == "paused"
    person.done("POST", f"/workloads/{container['uuid']}/resume")
    assert box_state(stack) == "running"
    person.done("POST", f"/workloads/{container['uuid']}/restart")

    assert box_state(stack) == "running"
    assert stack.inside(HOST, "docker", "inspect", "-f", "{{.State.StartedAt}}", "flow-box") != began
    status, answer = person.call("POST", f"/workloads/{container['uuid']}/reset")
    assert (status, answer["message"]) == (409, "flow-box is a container; only a VM can be reset.")
