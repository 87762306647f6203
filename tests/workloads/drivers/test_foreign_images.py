"""Images of other systems, with the real qemu-img: what becomes qcow2, and what is refused before it is opened."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Refused, StowageError
from hosts.units import MIB
from workloads.drivers.foreign_images import foreign_judge
from workloads.drivers.volumes import PoolVolumes


class Running:
    """A caller who lets it run."""

    def update(self, *arguments: Any, **options: Any) -> None: ...

    def check(self) -> None: ...


@pytest.fixture
def volumes(tmp_path: Path) -> PoolVolumes:
    return PoolVolumes({}, str(tmp_path))


def image(folder: Path, image_format: str, *options: str) -> Path:
    """64 MiB with a pattern at its beginning."""
    plain, path = folder / "plain.raw", folder / f"disk.{image_format}"
    plain.write_bytes(b"\x07" * MIB + b"\0" * 63 * MIB)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", image_format, *options, plain, path], check=True)
    return path


def content(path: Path) -> bytes:
    flat = path.with_name("flat.raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, flat], check=True)
    return flat.read_bytes()


def ova(folder: Path, disk: bytes, manifest: str | None = None, more: dict[str, bytes] | None = None) -> Path:
    path = folder / "appliance.ova"
    members = {"box.ovf": b"<Envelope/>", "box-disk1.vmdk": disk, **(more or {})}
    if manifest is not None:
        members["box.mf"] = manifest.encode()
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("vmdk", ()),
        ("vmdk", ("-o", "subformat=streamOptimized")),
        ("vhdx", ()),
        ("vdi", ()),
        ("raw", ()),
    ],
)
def test_what_is_in_it_is_in_the_qcow2(volumes: PoolVolumes, tmp_path: Path, image_format: str, options: Any) -> None:
    path = image(tmp_path, image_format, *options)
    made = volumes.image_accept(path, image_format, tmp_path / "made", Running())
    assert made == tmp_path / "made" and content(made) == b"\x07" * MIB + b"\0" * 63 * MIB


@pytest.mark.parametrize("image_format", ["vmdk", "vhdx", "vdi"])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.9])
def test_one_that_was_cut_off_is_refused_in_a_sentence(
    volumes: PoolVolumes, tmp_path: Path, image_format: str, part: float
) -> None:
    options = ("-o", "subformat=streamOptimized") if image_format == "vmdk" else ()
    path = image(tmp_path, image_format, *options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    if (image_format, part) == ("vmdk", 0.9):  # its data ends before: it only lost the marks of its end
        made = volumes.image_accept(path, image_format, tmp_path / "made", Running())
        assert content(made)[:MIB] == b"\x07" * MIB
        return
    with pytest.raises(StowageError) as refusal:
        volumes.image_accept(path, image_format, tmp_path / "made", Running())
    assert refusal.value.message.endswith(".") and str(tmp_path) not in refusal.value.message


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_that_names_other_files_is_not_opened(tmp_path: Path, subformat: str) -> None:
    path = image(tmp_path, "vmdk", "-o", f"subformat={subformat}")
    with pytest.raises(Refused):
        foreign_judge(path, "vmdk")


def test_a_descriptor_that_names_a_file_of_the_host_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.vmdk"
    path.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        'RW 2048 FLAT "/etc/shadow" 0\n'
    )
    with pytest.raises(Refused):
        foreign_judge(path, "vmdk")


def test_a_vmdk_with_a_parent_is_not_opened(tmp_path: Path) -> None:
    base = image(tmp_path, "vmdk")
    path = tmp_path / "child.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", base, path], check=True)
    with pytest.raises(Refused):
        foreign_judge(path, "vmdk")


def test_a_size_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", path, "2T"], check=True)
    with pytest.raises(Refused, match="at most 1024 GiB"):
        foreign_judge(path, "vmdk")


@pytest.mark.parametrize("image_format", ["vmdk", "vhdx", "vdi"])
def test_one_of_another_format_than_was_said_is_refused(tmp_path: Path, image_format: str) -> None:
    path = tmp_path / "other"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    with pytest.raises(Refused):
        foreign_judge(path, image_format)


def test_the_disk_of_an_appliance_is_taken_out_of_it_and_compared_with_its_manifest(
    volumes: PoolVolumes, tmp_path: Path
) -> None:
    disk = image(tmp_path, "vmdk", "-o", "subformat=streamOptimized").read_bytes()
    right = f"SHA256(box-disk1.vmdk)= {hashlib.sha256(disk).hexdigest()}\n"
    made = volumes.image_accept(ova(tmp_path, disk, right), "ova", tmp_path / "made", Running())
    assert content(made)[:MIB] == b"\x07" * MIB
    assert not list(tmp_path.glob("*.disk")), "what was taken out does not stay"

    wrong = f"SHA256(box-disk1.vmdk)= {'0' * 64}\n"
    with pytest.raises(Refused, match="not the one that its manifest names"):
        volumes.image_accept(ova(tmp_path, disk, wrong), "ova", tmp_path / "made", Running())
    assert not list(tmp_path.glob("*.disk"))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"box-disk2.vmdk": b"x"}, "holds 2 VMDK disks"),
        ({"../../etc/cron.d/evil": b"x"}, "plain files"),
        ({f"{number}.txt": b"" for number in range(60)}, "more than 50"),
    ],
)
def test_an_archive_that_is_no_appliance_with_one_disk_is_refused(
    volumes: PoolVolumes, tmp_path: Path, more: dict[str, bytes], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        volumes.image_accept(ova(tmp_path, b"x", more=more), "ova", tmp_path / "made", Running())


def test_an_appliance_cut_in_half_is_refused(volumes: PoolVolumes, tmp_path: Path) -> None:
    disk = image(tmp_path, "vmdk", "-o", "subformat=streamOptimized").read_bytes()
    path = ova(tmp_path, disk)
    path.write_bytes(path.read_bytes()[: len(disk) // 2])
    with pytest.raises(StowageError):
        volumes.image_accept(path, "ova", tmp_path / "made", Running())
    assert not list(tmp_path.glob("*.disk"))
