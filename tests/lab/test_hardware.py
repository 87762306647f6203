"""What VMs are made of, on real libvirt: ISOs in their drives, UEFI, TPMs, and other machines."""

from __future__ import annotations

import hashlib
import io
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pycdlib
import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually, forget
from tests.stack import Stack


def iso_bytes() -> bytes:
    """A CD with one file on it; nothing can start from it."""
    disk, made = pycdlib.PyCdlib(), io.BytesIO()
    disk.new(interchange_level=3)
    disk.add_fp(io.BytesIO(b"hello"), 5, "/HELLO.TXT;1")
    disk.write_fp(made)
    disk.close()
    return made.getvalue()


@pytest.fixture(scope="module")
def iso(person: ApiPerson) -> Iterator[str]:
    """UUID of an ISO in the image library."""
    content = iso_bytes()
    wanted = {"name": "flow-iso", "format": "iso", "size_bytes": len(content)}
    sha256 = hashlib.sha256(content).hexdigest()
    begun = person.call("POST", "/image-uploads", wanted | {"sha256": sha256})[1]
    person.put_bytes(f"/image-uploads/{begun['uuid']}/pieces/0", content)
    made = person.call("POST", f"/image-uploads/{begun['uuid']}/finish", {})[1]
    yield made["image"]
    person.call("DELETE", f"/images/{made['image']}")


def drive(stack: Stack, host: str, *flags: str) -> str:
    """What lies in the drive of the VM, as libvirt tells."""
    rows = stack.inside(host, "virsh", "domblklist", "flow-hard", "--details", *flags).splitlines()
    return next(row.split()[3] for row in rows if "cdrom" in row)


def tpm_certificate(stack: Stack, host: str, uuid: str) -> bytes:
    """The certificate in the TPM that the VM has on the host: each TPM is given one of its own when it is made."""
    content = b64decode(stack.inside(host, "base64", f"/var/lib/libvirt/swtpm/{uuid}/tpm2/tpm2-00.permall"))
    found = re.search(rb"\x30\x82(..)\x30\x82..\xa0\x03\x02\x01\x02", content, re.DOTALL)
    assert found, "there is no certificate in the TPM"
    return content[found.start() : found.start() + 4 + int.from_bytes(found[1], "big")]


def second_disk(stack: Stack, host: str, order: str) -> str:
    """What qemu-io says of the disk vdb of the VM, which is off."""
    rows = stack.inside(host, "virsh", "domblklist", "flow-hard").splitlines()
    file = next(row.split()[1] for row in rows if row.split()[:1] == ["vdb"])
    return stack.inside(host, "qemu-io", "-f", "qcow2", "-c", order, file)


def test_a_vm_by_uefi_has_an_iso_moves_with_it_and_loses_it(stack: Stack, person: ApiPerson, tiny: str, iso: str):
    wanted = {"name": "flow-hard", "image": tiny, "iso": iso, "firmware": "uefi-secure", "memory_mib": 192}
    wanted |= {"has_tpm": True, "disk_gib": 0.5, "more_disks_gib": [0.1], "more_bridges": ["br-lab"]}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("flow-hard")
    assert made is not None
    try:
        inside = drive(stack, HOST)
        assert iso in inside and drive(stack, HOST, "--inactive") == inside
        xml = stack.inside(HOST, "virsh", "dumpxml", "flow-hard")
        assert "<loader readonly='yes' secure='yes' type='pflash'>" in xml and "<smm state='on'/>" in xml
        assert "<tpm model='tpm-crb'>" in xml
        tpm = tpm_certificate(stack, HOST, made["uuid"])
        assert "OVMF" in xml and "<boot dev='cdrom'/>" in xml
        status, answer = person.call("POST", f"/workloads/{made['uuid']}/snapshots", {"name": "before"})
        assert status == 409 and "TPM" in answer["message"]

        assert stack.inside(HOST, "virsh", "domiflist", "flow-hard").count("52:54:00") == 2
        person.done("POST", f"/workloads/{made['uuid']}/stop?force=true")
        assert "wrote" in second_disk(stack, HOST, "write -P 90 1M 2M")
        person.done("POST", f"/workloads/{made['uuid']}/start")

        person.done("POST", f"/workloads/{made['uuid']}/move", {"target": person.host(OTHER)["uuid"]})

        assert drive(stack, OTHER) == inside
        assert made["uuid"] not in stack.inside(HOST, "ls", "/var/lib/libvirt/swtpm")
        assert tpm_certificate(stack, OTHER, made["uuid"]) == tpm
        assert made["uuid"] not in stack.inside(HOST, "ls", "/var/lib/libvirt/qemu/nvram")
        person.done("DELETE", f"/workloads/{made['uuid']}/cdrom")
        assert drive(stack, OTHER) == drive(stack, OTHER, "--inactive") == "-"
        person.done("PUT", f"/workloads/{made['uuid']}/cdrom", {"image": iso})
        assert drive(stack, OTHER) == inside
        person.done("POST", f"/workloads/{made['uuid']}/stop?force=true")
        there = second_disk(stack, OTHER, "read -P 90 1M 2M")
        assert "read 2097152" in there and "failed" not in there
    finally:
        forget(person, made["uuid"])
    assert made["uuid"] not in stack.inside(OTHER, "ls", "/var/lib/libvirt/qemu/nvram", "/var/lib/libvirt/swtpm")


def test_a_vm_that_is_off_gets_a_drive(stack: Stack, person: ApiPerson, tiny: str, iso: str):
    wanted: dict[str, Any] = {"name": "flow-hard", "image": tiny, "machine": "pc", "cpu_model": "Nehalem"}
    wanted |= {"memory_mib": 128, "disk_gib": 0.5, "host": person.host(HOST)["uuid"]}
    person.done("POST", "/workloads/vms", wanted)
    made = person.workload("flow-hard")
    assert made is not None
    try:
        xml = stack.inside(HOST, "virsh", "dumpxml", "flow-hard")
        assert "pc-i440fx" in xml and "Nehalem" in xml
        status, answer = person.call("PUT", f"/workloads/{made['uuid']}/cdrom", {"image": iso})
        assert status == 409 and "has no CD-ROM drive" in answer["message"]
        person.done("POST", f"/workloads/{made['uuid']}/stop?force=true")

        person.done("PUT", f"/workloads/{made['uuid']}/cdrom", {"image": iso})
        person.done("POST", f"/workloads/{made['uuid']}/start")

        assert iso in drive(stack, HOST)
        eventually(lambda: person.get(f"/workloads/{made['uuid']}")["state"] == "running", 10)
    finally:
        forget(person, made["uuid"])


def test_hardware_that_a_host_does_not_have_is_refused_with_a_sentence(person: ApiPerson, tiny: str):
    wanted = {"name": "flow-hard", "image": tiny, "memory_mib": 128, "disk_gib": 0.5}
    wrong = ({"machine": "vax"}, {"firmware": "uefi", "machine": "pc"}, {"cpu_model": "<x/>"}, {"iso": tiny})
    for values in wrong:
        status, answer = person.call("POST", "/workloads/vms", wanted | values)
        assert status == 422 and answer["message"], values
