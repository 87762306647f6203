"""Images that would read the host's files, and those that are none (pitfalls M44, attacks S4, S6)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hosts.errors import Refused
from hosts.units import GIB, MIB
from workloads.drivers.images import image_inspect, qcow2_header_read


def qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True)


def test_a_plain_qcow2_image_tells_its_size(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", str(tmp_path / "a"), "64M")

    assert image_inspect(str(tmp_path / "a"), "qcow2") == 64 * MIB


def test_an_old_version_2_image_tells_its_size_too(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-o", "compat=0.10", str(tmp_path / "a"), "64M")

    assert image_inspect(str(tmp_path / "a"), "qcow2") == 64 * MIB


def test_a_raw_image_tells_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xeb\x63" + bytes(MIB - 2))

    assert image_inspect(str(tmp_path / "a"), "raw") == MIB


@pytest.mark.parametrize("backing", ["/etc/passwd", "json:{}", "nbd://127.0.0.1/x"])
def test_an_image_that_leans_on_another_file_is_refused(tmp_path: Path, backing: str) -> None:
    qemu_img("create", "-u", "-f", "qcow2", "-F", "raw", "-b", backing, str(tmp_path / "a"), "64M")

    with pytest.raises(Refused, match="leans on other files"):
        image_inspect(str(tmp_path / "a"), "qcow2")


def test_an_image_with_an_external_data_file_is_refused(tmp_path: Path) -> None:
    options = f"data_file={tmp_path}/data,data_file_raw=on"
    qemu_img("create", "-f", "qcow2", "-o", options, str(tmp_path / "a"), "64M")

    with pytest.raises(Refused, match="leans on other files"):
        image_inspect(str(tmp_path / "a"), "qcow2")


def test_a_backing_file_of_a_version_2_image_is_seen(tmp_path: Path) -> None:
    options = "compat=0.10,backing_fmt=raw,backing_file=/etc/passwd"
    qemu_img("create", "-u", "-f", "qcow2", "-o", options, str(tmp_path / "a"), "64M")

    with pytest.raises(Refused, match="leans on other files"):
        image_inspect(str(tmp_path / "a"), "qcow2")


def test_a_qcow2_image_called_raw_is_refused(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", str(tmp_path / "a"), "64M")

    with pytest.raises(Refused, match="not a raw image"):
        image_inspect(str(tmp_path / "a"), "raw")


@pytest.mark.parametrize("content", [b"", b"<!doctype html><title>404</title>", b"QFI\xfb", b"QFI\xfb" + bytes(200)])
def test_what_is_not_an_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    with pytest.raises(Refused):
        image_inspect(str(tmp_path / "a"), "qcow2")


def test_an_empty_file_is_not_a_raw_image(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(Refused, match="not a raw image"):
        image_inspect(str(tmp_path / "a"), "raw")


def test_a_small_file_that_claims_a_huge_disk_is_refused(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", str(tmp_path / "a"), "1P")

    with pytest.raises(Refused, match="at most"):
        image_inspect(str(tmp_path / "a"), "qcow2", limit_bytes=100 * GIB)


def test_a_missing_image_and_a_link_to_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    for name in ("nothing", "link"):
        with pytest.raises(Refused, match="missing"):
            image_inspect(str(tmp_path / name), "raw")


def test_a_header_whose_extensions_never_end_counts_as_dangerous(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", str(tmp_path / "a"), "64M")
    content = bytearray((tmp_path / "a").read_bytes())
    content[100:104] = (1 << 20).to_bytes(4, "big")  # the header's length
    (tmp_path / "a").write_bytes(content)

    with (tmp_path / "a").open("rb") as file:
        header = qcow2_header_read(file)

    assert header is not None and header.names_other_files
