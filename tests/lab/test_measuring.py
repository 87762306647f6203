"""What a VM and a container cost on a lab host: both are made, measured and gone again."""

from __future__ import annotations

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST
from tests.stack import Stack


def test_both_are_measured_on_a_host_and_nothing_of_them_stays(stack: Stack, person: ApiPerson, tiny: str):
    host = person.host(HOST)
    files = stack.inside(HOST, "find", "/var/lib/libvirt/images", "-type", "f")
    body = {"host": host["uuid"], "image": tiny, "container_image": "stowage/tiny:1", "memory_mib": 128}

    status, begun = person.call("POST", "/measurements", body)

    assert status == 202, begun
    for operation in begun:
        ended = person.ended(operation["uuid"])
        assert ended["state"] == "done", ended
    container, vm = person.get("/measurements?limit=2")
    assert (vm["kind"], container["kind"]) == ("vm", "container") and vm["host"] == container["host"] == HOST
    assert 0 < container["start_s"] < vm["start_s"], "a container starts sooner"
    assert 0 < container["used_mib"] < vm["used_mib"], "and takes less memory"
    assert 0 < vm["disk_mib"] < 500 and 0 < container["disk_mib"] < 500
    assert "login:" in vm["sign"] and container["sign"]
    assert "measured" not in stack.inside(HOST, "virsh", "list", "--all", "--name")
    assert "measured" not in stack.inside(HOST, "docker", "ps", "-a", "--format", "{{.Names}}")
    assert stack.inside(HOST, "find", "/var/lib/libvirt/images", "-type", "f") == files
    assert not [row for row in person.get("/workloads?text=measured")["items"]]
