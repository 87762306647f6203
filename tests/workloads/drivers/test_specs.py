"""The host's own judgement of specs: what is not on the list reaches no hypervisor and no engine."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from hosts.errors import Invalid
from workloads.drivers.specs import ContainerSpec, VmSpec, name_check

UUID = str(uuid.UUID(int=1))
HOSTILE_NAMES = [
    "",
    "-rf",
    "--help",
    "@file",
    "../../etc/passwd",
    "a/b",
    "a b",
    "a\0b",
    "a\nb",
    "name</name><devices>",
    "x'><qemu:commandline/>",
    "%2e%2e",
    "ünïcode",
    "a" * 64,
    None,
    7,
]


def vm(**changes: Any) -> dict[str, Any]:
    return {"uuid": UUID, "name": "web-1", "vcpus": 1, "memory_mib": 128} | changes


def container(**changes: Any) -> dict[str, Any]:
    base = {"uuid": UUID, "name": "web-1", "image": "busybox:1", "cpu_cores": 1, "memory_mib": 64}
    return base | changes


def disk(**changes: Any) -> dict[str, Any]:
    return {"target": "vda", "path": f"/pool/{UUID}-vda.qcow2", "size_gib": 1} | changes


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_refused_with_what_to_do(name: object) -> None:
    with pytest.raises(Invalid, match="Choose another name") as caught:
        name_check(name)

    assert caught.value.field == "name"


def test_a_name_of_the_longest_length_is_taken() -> None:
    assert name_check("a" * 63) == "a" * 63


@pytest.mark.parametrize(
    "changes",
    [
        {"uuid": "../x"},
        {"vcpus": 0},
        {"memory_mib": 1},
        {"machine": "pc' accel='kvm"},
        {"cpu_model": "host,-vmx"},
        {"on_crash": "restart"},
        {"labels": {"<b>": "x"}},
        {"labels": {"a": "x\0y"}},
        {"labels": ["a"]},
        {"kernel": "boot/vmlinuz"},
        {"kernel": "/pool/../etc/shadow"},
        {"kernel_arguments": "quiet\0"},
        {"operation": "not-a-uuid"},
        {"disks": [disk(path="relative.qcow2")]},
        {"disks": [disk(path="/pool/../etc/shadow")]},
        {"disks": [disk(path="/pool/a\0.qcow2")]},
        {"disks": [disk(format="vmdk")]},
        {"disks": [disk(target="sda")]},
        {"disks": [disk(size_gib=0)]},
        {"disks": [disk(), disk()]},
        {"disks": [disk(pool="../x")]},
        {"disks": [disk(image={"image": UUID, "sha256": "x", "size_bytes": 1, "format": "qcow2"})]},
        {"nics": [{"bridge": "br0'/>", "mac": "52:54:00:00:00:01"}]},
        {"nics": [{"bridge": "a-name-much-too-long", "mac": "52:54:00:00:00:01"}]},
        {"nics": [{"bridge": "br0", "mac": "01:00:5e:00:00:01"}]},
        {"nics": [{"bridge": "br0", "mac": "nonsense"}]},
    ],
)
def test_a_vm_spec_with_a_hostile_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        VmSpec.from_data(vm(**changes))


@pytest.mark.parametrize(
    "key",
    [
        "privileged",
        "pid_mode",
        "cap_add",
        "devices",
        "binds",
        "mounts",
        "network_mode",
        "security_opt",
        "sysctls",
        "userns_mode",
        "cgroup_parent",
        "runtime",
        "ipc_mode",
        "volumes_from",
        "tmpfs",
        "host_config",
    ],
)
def test_a_container_cannot_even_name_a_privilege(key: str) -> None:
    with pytest.raises(Invalid, match=key):
        ContainerSpec.from_data(container(**{key: "x"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "-rf"},
        {"image": "a b"},
        {"image": "http://[::1]/x"},
        {"image": ""},
        {"cpu_cores": -1},
        {"cpu_cores": 0.001},
        {"memory_mib": 1},
        {"restart_policy": "sometimes"},
        {"ports": [{"host": 70000, "container": 80}]},
        {"ports": [{"host": 80, "container": 80, "protocol": "icmp"}]},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "x\0y"}},
        {"environment": {"A": 7}},
        {"user": "root\n"},
    ],
)
def test_a_container_spec_with_a_hostile_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        ContainerSpec.from_data(container(**changes))


def test_a_container_spec_survives_its_journey_as_data() -> None:
    spec = ContainerSpec.from_data(
        container(command=["sleep", "9"], ports=[{"host": None, "container": 80}], labels={"anti-affinity": "shop"})
    )

    assert ContainerSpec.from_data(spec.to_data()) == spec
