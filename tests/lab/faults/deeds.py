"""What an operator does while a fault strikes: each deed makes ready, acts, and cleans up after itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, forget
from tests.stack import Stack

_numbers = itertools.count(1)


@dataclass
class Stage:
    """A person, the guest's image, and the thing of the deed under way."""

    stack: Stack
    person: ApiPerson
    image: str

    def vm_wish(self, name: str, host: str = HOST) -> dict[str, Any]:
        place = self.person.host(host)["uuid"]
        return {"name": name, "image": self.image, "memory_mib": 128, "disk_gib": 0.5, "host": place}

    def container_wish(self, name: str, host: str = HOST) -> dict[str, Any]:
        place = self.person.host(host)["uuid"]
        return {"name": name, "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.1, "host": place}

    def made(self, kind: str, name: str, host: str = HOST) -> str:
        """UUID of a running workload."""
        wish = self.vm_wish(name, host) if kind == "vms" else self.container_wish(name, host)
        self.person.done("POST", f"/workloads/{kind}", wish)
        return str(self.named(name)["uuid"])

    def named(self, name: str) -> dict[str, Any]:
        found = self.person.workload(name)
        assert found is not None, f"there is no {name}"
        return found

    def begun(self, method: str, path: str, body: Any = None) -> str:
        """UUID of the operation that the call began."""
        status, operation = self.person.call(method, path, body)
        assert status == 202, operation
        return str(operation["uuid"])

    def forget(self, name: str) -> None:
        found = self.person.workload(name)
        if found is not None:
            forget(self.person, found["uuid"])


@dataclass(frozen=True)
class Deed:
    """`ready` makes what is needed, with the name given, and `act` begins the operation, whose UUID it gives."""

    name: str
    group: str
    ready: Callable[[Stage, str], Any]
    act: Callable[[Stage, str], str]


def fresh_name(word: str) -> str:
    return f"fault-{word}-{next(_numbers)}"


def _nothing(stage: Stage, name: str) -> None:
    """Nothing has to be there before."""


def _vm(stage: Stage, name: str) -> None:
    stage.made("vms", name)


def _stopped_vm(stage: Stage, name: str) -> None:
    uuid = stage.made("vms", name)
    stage.person.done("POST", f"/workloads/{uuid}/stop?force=true")


def _container(stage: Stage, name: str) -> None:
    stage.made("containers", name)


def _stopped_container(stage: Stage, name: str) -> None:
    uuid = stage.made("containers", name)
    stage.person.done("POST", f"/workloads/{uuid}/stop")


def _snapshotted_vm(stage: Stage, name: str) -> None:
    _stopped_vm(stage, name)
    stage.person.done("POST", f"/workloads/{stage.named(name)['uuid']}/snapshots", {"name": "before"})


def _on(method: str, path: str, body: Any = None) -> Callable[[Stage, str], str]:
    return lambda stage, name: stage.begun(method, f"/workloads/{stage.named(name)['uuid']}{path}", body)


def _moved(stage: Stage, name: str) -> str:
    target = stage.person.host(OTHER)["uuid"]
    return stage.begun("POST", f"/workloads/{stage.named(name)['uuid']}/move", {"target": target})


def _reverted(stage: Stage, name: str) -> str:
    uuid = stage.named(name)["uuid"]
    number = stage.person.get(f"/workloads/{uuid}/snapshots")[0]["number"]
    return stage.begun("POST", f"/workloads/{uuid}/snapshots/{number}/revert")


def _unsnapped(stage: Stage, name: str) -> str:
    uuid = stage.named(name)["uuid"]
    number = stage.person.get(f"/workloads/{uuid}/snapshots")[0]["number"]
    return stage.begun("DELETE", f"/workloads/{uuid}/snapshots/{number}")


DEEDS = (
    Deed("create VM", "provision", _nothing, lambda s, n: s.begun("POST", "/workloads/vms", s.vm_wish(n))),
    Deed(
        "create container",
        "provision",
        _nothing,
        lambda s, n: s.begun("POST", "/workloads/containers", s.container_wish(n)),
    ),
    Deed("move VM", "migration", _vm, _moved),
    Deed("move container", "migration", _container, _moved),
    Deed("stop VM", "life", _vm, _on("POST", "/stop?force=true")),
    Deed("start VM", "life", _stopped_vm, _on("POST", "/start")),
    Deed("stop container", "life", _container, _on("POST", "/stop")),
    Deed("restart container", "life", _container, _on("POST", "/restart")),
    Deed("pause VM", "life", _vm, _on("POST", "/pause")),
    Deed("delete VM", "life", _stopped_vm, _on("DELETE", "")),
    Deed("delete container", "life", _stopped_container, _on("DELETE", "")),
    Deed("take snapshot", "snapshots", _stopped_vm, _on("POST", "/snapshots", {"name": "now"})),
    Deed("revert", "snapshots", _snapshotted_vm, _reverted),
    Deed("delete snapshot", "snapshots", _snapshotted_vm, _unsnapped),
)
