"""What tests of single verbs share: a person at the API, a VM and a container of their own, and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.stack import Stack

# lab-a1 is never freed: it carries the warehouse. lab-b1 neither: its database is pinned.
HOST, OTHER = "lab-a1", "lab-b1"


@pytest.fixture(scope="session")
def person(stack: Stack) -> ApiPerson:
    return ApiPerson(stack)


@pytest.fixture
def tiny(person: ApiPerson) -> str:
    """UUID of the guest image."""
    return next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")


@pytest.fixture
def vm(person: ApiPerson, tiny: str) -> Iterator[dict[str, Any]]:
    """A running VM of its own."""
    wanted = {"name": "flow-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("flow-vm")
    assert made is not None
    yield made
    forget(person, made["uuid"])


@pytest.fixture
def container(person: ApiPerson) -> Iterator[dict[str, Any]]:
    """A running container of its own."""
    wanted = {"name": "flow-box", "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.1}
    person.done("POST", "/workloads/containers", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("flow-box")
    assert made is not None
    yield made
    forget(person, made["uuid"])


def forget(person: ApiPerson, uuid: str) -> None:
    """Removes the workload, also the entry of one that is gone: its name is needed again."""
    if person.call("GET", f"/workloads/{uuid}")[0] == 404:
        return
    person.call("POST", f"/workloads/{uuid}/stop?force=true")
    eventually(lambda: person.call("DELETE", f"/workloads/{uuid}")[0] in (202, 404), 30)
    eventually(lambda: person.call("GET", f"/workloads/{uuid}")[0] == 404, 30)


def eventually(is_so: Callable[[], bool], limit_s: float) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < limit_s, f"not so after {limit_s} s"
        time.sleep(0.1)
    return time.monotonic() - began
