"""Domain XML against golden files, and against everybody who would like to write some of it."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hosts.drivers.domain_facts import parse, stamp_read
from workloads.drivers.domain_xml import build, metadata_xml
from workloads.drivers.specs import DiskSpec, NicSpec, VmSpec

GOLDEN = Path(__file__).parents[2] / "golden" / "domains"
SPEC = VmSpec(
    uuid=str(uuid.UUID(int=0x1234)),
    name="web-1",
    vcpus=2,
    memory_mib=512,
    disks=(
        DiskSpec("vda", "/pool/00000000-0000-0000-0000-000000001234-vda.qcow2", 10),
        DiskSpec("vdb", "/pool/00000000-0000-0000-0000-000000001234-vdb.raw", 1, "raw"),
    ),
    nics=(NicSpec("stw0", "52:54:00:00:00:01"),),
    generation=3,
    operation=str(uuid.UUID(int=0x99)),
    labels={"anti-affinity": "shop", "pinned": "true"},
)
DIRECT = replace(
    SPEC,
    disks=(),
    nics=(),
    machine="pc",
    on_crash="destroy",
    kernel="/pool/vmlinuz",
    initrd="/pool/initrd",
    kernel_arguments="console=ttyS0",
)
CASES = {
    "tcg.xml": build(SPEC, "tcg"),
    "kvm.xml": build(SPEC, "kvm"),
    "kvm-named-cpu.xml": build(replace(SPEC, cpu_model="Haswell-noTSX"), "kvm"),
    "direct-boot.xml": build(DIRECT, "tcg"),
    "no-o-direct.xml": build(SPEC, "tcg", {"vda": "writeback"}),
}
PAYLOADS = [
    "x</name><devices><disk type='file'><source file='/etc/shadow'/></disk></devices><name>",
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>",
    "' file='/etc/shadow",
    '" onload="x',
    "]]><x/>",
    "&lt;b&gt;&#0;",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
]


@pytest.mark.parametrize("name", CASES)
def test_the_domain_is_the_golden_one(name: str) -> None:
    """`GOLDEN=write pytest ...` writes the files anew; read the difference before you commit it."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(CASES[name] + "\n")

    assert CASES[name] + "\n" == path.read_text()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("field", ["name", "machine", "cpu_model", "kernel", "initrd", "kernel_arguments", "operation"])
def test_markup_in_a_field_stays_text_even_past_the_judgement_of_specs(field: str, payload: str) -> None:
    plain = _shape(build(replace(DIRECT, **{field: "plain"}), "tcg"))  # type: ignore[arg-type]

    assert _shape(build(replace(DIRECT, **{field: payload}), "tcg")) == plain  # type: ignore[arg-type]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_labels_disks_and_nics_stays_text(payload: str) -> None:
    def domain(word: str) -> str:
        disks, nics = (DiskSpec(word, word, 1, word),), (NicSpec(word, word),)
        return build(replace(SPEC, disks=disks, nics=nics, labels={word: word}), "tcg")

    assert _shape(domain(payload)) == _shape(domain("plain"))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_the_stamp_stays_text(payload: str) -> None:
    element = ElementTree.fromstring(metadata_xml(1, payload, {payload: payload}))

    assert element.get("operation") == payload
    assert [(label.tag, label.get("value")) for label in element] == [("label", payload)]


def test_what_was_built_reads_back_as_it_was_meant() -> None:
    facts = parse(CASES["tcg.xml"])

    assert (facts.uuid, facts.name, facts.vcpus, facts.memory_mib) == (SPEC.uuid, "web-1", 2, 512)
    assert [(d.target, d.path, d.format, d.cache) for d in facts.disks] == [
        (d.target, d.path, d.format, "none") for d in SPEC.disks
    ]
    assert facts.bridges == ("stw0",)
    assert facts.serial_log == SPEC.serial_log
    assert (facts.generation, facts.operation, facts.labels) == (3, SPEC.operation, SPEC.labels)
    assert facts.managed and not facts.obstacles and not facts.socket_folders


def test_the_stamp_alone_reads_back() -> None:
    assert stamp_read(metadata_xml(7, "abc", {})) == (7, "abc")


def _shape(xml: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element with the names of its attributes: what must not depend on anybody's text."""
    return [(element.tag, tuple(sorted(element.keys()))) for element in ElementTree.fromstring(xml).iter()]


def test_a_vm_has_room_to_grow_and_counts_with_what_it_was_granted_whatever_its_balloon_says():
    facts = parse(build(SPEC, "tcg").replace('<currentMemory unit="MiB">512', '<currentMemory unit="MiB">16'))

    assert (facts.vcpus, facts.vcpus_most) == (2, 8)
    assert (facts.memory_mib, facts.memory_most_mib) == (512, 1024)


def test_a_grant_beyond_the_most_is_not_believed():
    xml = build(SPEC, "tcg")
    for claim in ("0", "-5", "4096", "x", "9" * 12):
        assert parse(xml.replace('memory_mib="512"', f'memory_mib="{claim}"')).memory_mib == 1024
