"""Resizing, on real libvirt and Docker: what counts at once, and what from the next start on."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually
from tests.stack import Stack


def test_a_container_has_its_new_limits_while_it_runs(stack: Stack, person: ApiPerson, container: dict[str, Any]):
    def limits() -> str:
        return stack.inside(
            HOST, "docker", "inspect", "-f", "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}", "flow-box"
        )

    began = stack.inside(HOST, "docker", "inspect", "-f", "{{.State.StartedAt}}", "flow-box")
    person.done("POST", f"/workloads/{container['uuid']}/resize", {"cpu_cores": 0.2, "memory_mib": 96})

    assert limits().split() == ["200000000", str(96 * 1024**2)]
    assert stack.inside(HOST, "docker", "inspect", "-f", "{{.State.StartedAt}}", "flow-box") == began
    row = person.get(f"/workloads/{container['uuid']}")
    assert (row["cpu_cores"], row["memory_mib"]) == (0.2, 96)


def test_a_vm_has_what_it_has_room_for_at_once_and_the_rest_from_its_next_start_on(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    def now() -> tuple[float, int]:
        row = person.get(f"/workloads/{vm['uuid']}")
        return row["cpu_cores"], row["memory_mib"]

    def lent_mib() -> int:
        return int(stack.inside(HOST, "virsh", "dommemstat", "flow-vm").split("actual ")[1].split()[0]) // 1024

    eventually(lambda: lent_mib() == 128, 40)  # its guest has found its balloon
    person.done("POST", f"/workloads/{vm['uuid']}/resize", {"cpu_cores": 2, "memory_mib": 192})
    assert (now(), lent_mib()) == ((2, 192), 192)
    assert stack.inside(HOST, "virsh", "vcpucount", "flow-vm", "--live", "--active").strip() == "2"
    person.done("POST", f"/workloads/{vm['uuid']}/move", {"target": person.host(OTHER)["uuid"]})
    assert stack.inside(OTHER, "virsh", "vcpucount", "flow-vm", "--live", "--active").strip() == "2"
    assert person.get(f"/workloads/{vm['uuid']}")["state"] == "running"
    person.done("POST", f"/workloads/{vm['uuid']}/move", {"target": person.host(HOST)["uuid"], "auto_converge": False})
    person.done("POST", f"/workloads/{vm['uuid']}/resize", {"cpu_cores": 2, "memory_mib": 128})
    assert (now(), lent_mib()) == ((2, 128), 128)
    person.done("POST", f"/workloads/{vm['uuid']}/resize", {"cpu_cores": 3, "memory_mib": 320})
    assert now() == (3, 128)
    person.done("POST", f"/workloads/{vm['uuid']}/stop?force=true")
    person.done("POST", f"/workloads/{vm['uuid']}/start")

    eventually(lambda: now() == (3, 320), 10)
    assert "3" in stack.inside(HOST, "virsh", "vcpucount", "flow-vm", "--live", "--active")
    status, answer = person.call("POST", f"/workloads/{vm['uuid']}/resize", {"cpu_cores": 1, "memory_mib": 10_000_000})
    assert status == 422 and "more memory than any host has" in answer["message"]


def test_a_disk_grows_while_its_vm_runs_and_while_it_is_off(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    def seen_by_guest_gib() -> float:
        said = stack.inside(HOST, "virsh", "domblkinfo", "flow-vm", "vda")
        return int(said.split("Capacity:")[1].split()[0]) / 1024**3

    person.done("POST", f"/workloads/{vm['uuid']}/grow-disk", {"target": "vda", "size_gib": 0.75})
    assert seen_by_guest_gib() == 0.75
    person.done("POST", f"/workloads/{vm['uuid']}/stop?force=true")
    person.done("POST", f"/workloads/{vm['uuid']}/grow-disk", {"target": "vda", "size_gib": 1})
    assert seen_by_guest_gib() == 1.0
    eventually(lambda: person.get(f"/workloads/{vm['uuid']}")["disk_gib"] == 1, 10)
    for size_gib, sentence in ((0.5, "can only grow"), (60_000, "less than the")):
        status, answer = person.call(
            "POST", f"/workloads/{vm['uuid']}/grow-disk", {"target": "vda", "size_gib": size_gib}
        )
        assert status in (409, 422) and sentence in answer["message"], answer
