"""Ending, renaming and making anew, on real Docker and libvirt."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, eventually
from tests.stack import Stack


def inspected(stack: Stack, name: str, what: str) -> str:
    return stack.inside(HOST, "docker", "inspect", "-f", what, name).strip()


def commit(stack: Stack, name: str, change: str) -> None:
    """An image made from the running container, with a change; without the pause that would be seen and refused."""
    stack.inside(HOST, "docker", "commit", "--pause=false", "-c", change, "flow-box", name)


def test_a_container_is_killed_and_renamed(stack: Stack, person: ApiPerson, container: dict[str, Any]):
    uuid = container["uuid"]
    person.done("POST", f"/workloads/{uuid}/stop?force=true")
    assert inspected(stack, "flow-box", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    person.done("POST", f"/workloads/{uuid}/start")

    person.done("POST", f"/workloads/{uuid}/rename", {"name": "flow-other"})
    assert inspected(stack, "flow-other", "{{.State.Status}}") == "running"
    assert person.get(f"/workloads/{uuid}")["name"] == "flow-other"

    # a name that somebody uses there by hand: refused by the inventory if it was seen already, else by the host
    stack.inside(HOST, "docker", "create", "--name", "flow-taken", "stowage/tiny:1")
    try:
        status, answer = person.call("POST", f"/workloads/{uuid}/rename", {"name": "flow-taken"})
        sentence = answer["message"] if status != 202 else person.ended(answer["uuid"])["message"]
        assert "flow-taken" in sentence
        assert person.get(f"/workloads/{uuid}")["name"] == "flow-other"
        assert inspected(stack, "flow-other", "{{.State.Status}}") == "running"
    finally:
        stack.inside(HOST, "docker", "rm", "flow-taken")


def test_a_container_is_made_anew_from_a_newer_image_or_goes_on(
    stack: Stack, person: ApiPerson, container: dict[str, Any]
):
    address = f"/workloads/{container['uuid']}/recreate"
    commit(stack, "stowage/newer:2", "ENV NEWER=yes")
    commit(stack, "stowage/broken:3", 'CMD ["sh", "-c", "exit 3"]')
    person.done("POST", address, {"image": "stowage/newer:2"})
    first = inspected(stack, "flow-box", "{{.Id}}")
    assert inspected(stack, "flow-box", "{{.Config.Image}} {{.State.Status}}") == "stowage/newer:2 running"
    assert "NEWER=yes" in inspected(stack, "flow-box", "{{.Config.Env}}")

    status, operation = person.call("POST", address, {"image": "stowage/broken:3"})
    assert status == 202
    ended = person.ended(operation["uuid"])
    assert ended["state"] == "failed" and "does not stay up" in ended["message"]
    assert inspected(stack, "flow-box", "{{.Id}} {{.State.Status}}") == f"{first} running"
    assert inspected(stack, "flow-box", "{{.HostConfig.RestartPolicy.Name}}") == "unless-stopped"
    assert "stowage-kept" not in stack.inside(HOST, "docker", "ps", "-a", "--format", "{{.Names}}")
    eventually(lambda: person.get(f"/workloads/{container['uuid']}")["state"] == "running", 10)


def test_a_vm_is_renamed_while_it_is_off(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    status, answer = person.call("POST", f"/workloads/{vm['uuid']}/rename", {"name": "flow-vm-2"})
    assert status == 409 and "only while it is off" in answer["message"]

    person.done("POST", f"/workloads/{vm['uuid']}/stop?force=true")
    person.done("POST", f"/workloads/{vm['uuid']}/rename", {"name": "flow-vm-2"})
    assert "flow-vm-2" in stack.inside(HOST, "virsh", "list", "--all", "--name").split()
    person.done("POST", f"/workloads/{vm['uuid']}/start")
    assert "flow-vm-2" in stack.inside(HOST, "virsh", "list", "--name").split()
