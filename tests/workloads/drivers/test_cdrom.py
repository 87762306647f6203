"""What lies in a VM's drive, as text to text, and which files may."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.drivers.domain_facts import parse
from hosts.errors import Invalid, Refused
from tests.workloads.drivers.test_domain_xml import SPEC
from workloads.drivers.domain_xml import build
from workloads.drivers.images import image_inspect
from workloads.drivers.libvirt_cdrom import redefined
from workloads.drivers.specs import VmSpec

ISO = "/var/lib/stowage/images/a.iso"


def test_a_definition_gets_a_drive_loses_what_is_in_it_and_loses_the_drive():
    bare = build(SPEC, "tcg")

    loaded = redefined(bare, ISO)
    empty = redefined(loaded, "")
    without = redefined(empty, None)

    assert [parse(xml).cdrom for xml in (bare, loaded, empty, without)] == [None, ISO, "", None]
    assert loaded.index('dev="cdrom"') < loaded.index('dev="hd"')
    assert 'dev="cdrom"' in empty and 'boot dev="cdrom"' not in without
    assert len(parse(without).disks) == len(SPEC.disks)


def test_what_is_so_already_is_left_as_it_is():
    bare = build(SPEC, "tcg")
    loaded = build(replace(SPEC, cdrom=ISO), "tcg")

    assert redefined(bare, None) is bare
    assert redefined(loaded, ISO) is loaded


def test_an_old_machine_has_its_drive_on_ide():
    assert '<target dev="hda" bus="ide" />' in build(replace(SPEC, machine="pc", cdrom=""), "tcg")


def test_secure_boot_brings_smm_and_a_secure_loader_and_a_tpm_is_emulated():
    xml = build(replace(SPEC, firmware="uefi-secure", has_tpm=True), "tcg")

    assert '<loader secure="yes" />' in xml and '<smm state="on" />' in xml
    assert '<backend type="emulator" version="2.0" />' in xml and parse(xml).has_tpm


def test_settings_of_uefi_are_named_by_what_no_rename_changes():
    facts = parse(build(replace(SPEC, firmware="uefi"), "tcg"))

    assert facts.nvram == f"/var/lib/libvirt/qemu/nvram/stowage-{SPEC.uuid}.fd"


@pytest.mark.parametrize(
    "wrong",
    [
        {"firmware": "coreboot"},
        {"firmware": "uefi", "machine": "pc"},
        {"machine": "<x/>"},
        {"cpu_model": "a b"},
        {"iso": {"image": str(uuid.uuid4()), "sha256": "a" * 64, "size_bytes": 1, "format": "qcow2"}},
    ],
)
def test_hardware_that_is_none_is_refused_where_it_arrives(wrong: dict[str, object]):
    with pytest.raises(Invalid):
        VmSpec.from_data({"uuid": SPEC.uuid, "name": "web-1", "vcpus": 1, "memory_mib": 64, **wrong})


def test_a_path_for_the_drive_is_taken_from_no_command():
    data = {"uuid": SPEC.uuid, "name": "web-1", "vcpus": 1, "memory_mib": 64, "cdrom": "/etc/shadow"}

    assert VmSpec.from_data(data).cdrom is None
    assert VmSpec.from_data(data | {"has_cdrom": True}).cdrom == ""


def test_only_a_cd_is_an_iso(tmp_path: Path):
    cd, text = tmp_path / "cd.iso", tmp_path / "text.iso"
    cd.write_bytes(bytes(16 * 2048) + b"\1CD001" + bytes(2048))
    text.write_bytes(b"QFI\xfb" + bytes(40_000))

    assert image_inspect(str(cd), "iso") == cd.stat().st_size
    with pytest.raises(Refused, match="not the ISO"):
        image_inspect(str(text), "iso")
