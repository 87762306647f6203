"""Images from elsewhere on real hosts: a VMware disk uploaded in pieces, and one that a host fetches from the web."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, forget
from tests.stack import Stack


@pytest.fixture
def vmdk(stack: Stack, tmp_path: Path) -> Path:
    """The tiny guest's disk as VMware would export it."""
    path = tmp_path / "tiny.vmdk"
    source = stack.lab["images"]["guest"]["path"]
    formats = ["-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run(["qemu-img", "convert", *formats, source, path], check=True)
    return path


@pytest.fixture
def mirror(stack: Stack, vmdk: Path) -> Iterator[str]:
    """A web server on the lab's network with the file."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(vmdk.parent))
    with http.server.ThreadingHTTPServer((stack.lab["switch_address"], 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "http://{}:{}".format(*server.server_address[:2])
        server.shutdown()
        thread.join()


def boots(person: ApiPerson, stack: Stack, image: str, host: str) -> None:
    """A VM made from the image runs."""
    wanted = {"name": "flow-arrived", "image": image, "memory_mib": 128, "disk_gib": 0.5}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(host)["uuid"]})
    vm = person.workload("flow-arrived")
    assert vm is not None and "running" in stack.inside(host, "virsh", "domstate", "flow-arrived")
    forget(person, vm["uuid"])
    assert person.call("DELETE", f"/images/{image}")[0] == 204


def image_named(person: ApiPerson, name: str) -> str:
    return str(next(row["uuid"] for row in person.get("/images") if row["name"] == name))


def test_a_vmware_disk_comes_in_pieces_and_a_vm_is_made_from_it(stack: Stack, person: ApiPerson, vmdk: Path):
    data = vmdk.read_bytes()
    body = {"name": "flow-vmware", "format": "vmdk", "size_bytes": len(data)}
    status, upload = person.call("POST", "/image-uploads", body | {"sha256": hashlib.sha256(data).hexdigest()})
    assert status == 201, upload
    at, half = f"/image-uploads/{upload['uuid']}", len(data) // 2
    assert person.put_bytes(f"{at}/pieces/0", data[:half]) == 200
    assert person.put_bytes(f"{at}/pieces/0", data[:half]) == 409, "it was there already"
    assert person.get(at)["received_bytes"] == half
    assert person.put_bytes(f"{at}/pieces/{half}", data[half:]) == 200
    status, done = person.call("POST", f"{at}/finish", {"host": person.host(HOST)["uuid"]})
    assert status == 202, done
    ended = person.ended(done["operation"])
    assert ended["state"] == "done", ended

    assert person.call("GET", at)[0] == 404
    assert stack.inside(HOST, "find", "/var/lib/stowage", "-name", "*.arriving*").strip() == ""
    boots(person, stack, image_named(person, "flow-vmware"), OTHER)


def test_a_host_fetches_an_image_from_the_web_and_nothing_from_itself(
    stack: Stack, person: ApiPerson, vmdk: Path, mirror: str
):
    host = {"host": person.host(OTHER)["uuid"], "format": "vmdk", "name": "flow-mirror"}
    right = hashlib.sha256(vmdk.read_bytes()).hexdigest()
    for more, sentence in (
        ({"url": f"{mirror}/tiny.vmdk", "sha256": "0" * 64}, "another SHA-256"),
        ({"url": f"{mirror}/missing.vmdk"}, "status 404"),
        ({"url": "http://127.0.0.1:8600/"}, "this machine itself"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "link-local"),
    ):
        status, begun = person.call("POST", "/images/fetch", host | more)
        assert status == 202, begun
        ended = person.ended(begun["uuid"])
        assert ended["state"] == "failed" and sentence in str(ended), ended
    assert not [row for row in person.get("/images") if row["name"] == "flow-mirror"]

    person.done("POST", "/images/fetch", host | {"url": f"{mirror}/tiny.vmdk", "sha256": right})
    boots(person, stack, image_named(person, "flow-mirror"), HOST)
