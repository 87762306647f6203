"""Copies of volumes by GNU tar: the whole, then what changed, deletions too; and a sum that tells trees apart."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import DriverError, Refused
from workloads.drivers.docker_volumes import DockerVolumes, tree_sum


class FolderEngine:
    """As much of an engine as tells where a volume lies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def inspect_volume(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Driver": "local", "Mountpoint": str(self.root / name / "_data")}


class FolderHost:
    is_local = True

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "data" / "_data").mkdir(parents=True)

    @contextmanager
    def calls(self, doing: str) -> Iterator[FolderEngine]:
        yield FolderEngine(self.root)

    @property
    def data(self) -> Path:
        return self.root / "data" / "_data"

    @property
    def volumes(self) -> DockerVolumes:
        return DockerVolumes(self)  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> FolderHost:
    host = FolderHost(tmp_path / "source")
    (host.data / "deep" / "er").mkdir(parents=True)
    (host.data / "deep" / "er" / "ünï'code").write_text("one")
    (host.data / "goes").write_text("soon gone")
    (host.data / "link").symlink_to("/etc/passwd")
    os.link(host.data / "goes", host.data / "deep" / "hard")
    (host.data / "tool").write_bytes(b"#!")
    (host.data / "tool").chmod(0o4750)
    with (host.data / "holes").open("wb") as file:
        file.truncate(8 << 20)
    return host


@pytest.fixture
def target(tmp_path: Path) -> FolderHost:
    return FolderHost(tmp_path / "target")


def carry(source: FolderHost, target: FolderHost, folder: Path, *, is_rest: bool) -> int:
    """The archive's size in bytes."""
    archive = folder / "archive.tar"
    archive.write_bytes(b"".join(source.volumes.pack(["data"], folder / "state" / "op.index", is_rest=is_rest)))
    target.volumes.unpack(["data"], archive)
    return archive.stat().st_size


def test_the_second_copy_brings_what_changed_and_takes_what_went(
    source: FolderHost, target: FolderHost, tmp_path: Path
) -> None:
    (source.data / "large").write_bytes(os.urandom(1 << 20))
    assert carry(source, target, tmp_path, is_rest=False) > 1 << 20
    assert tree_sum(source.data) == tree_sum(target.data)

    (source.data / "goes").unlink()
    (source.data / "deep" / "er" / "ünï'code").write_text("two")
    (source.data / "new").mkdir()
    (source.data / "new" / "file").write_text("new")
    assert tree_sum(source.data) != tree_sum(target.data)
    for _ in range(2):  # a step may be done twice
        assert carry(source, target, tmp_path, is_rest=True) < 1 << 19
        assert tree_sum(source.data) == tree_sum(target.data)
    assert not (target.data / "goes").exists() and (target.data / "deep" / "hard").read_text() == "soon gone"


def test_a_copy_writes_nothing_but_the_volumes_it_is_about(
    source: FolderHost, target: FolderHost, tmp_path: Path
) -> None:
    (source.root / "other" / "_data").mkdir(parents=True)
    (source.root / "other" / "_data" / "x").write_text("crafted")
    (target.root / "other" / "_data").mkdir(parents=True)
    archive = tmp_path / "archive.tar"
    archive.write_bytes(b"".join(source.volumes.pack(["data", "other"], tmp_path / "op.index", is_rest=False)))

    target.volumes.unpack(["data"], archive)

    assert list((target.root / "other" / "_data").iterdir()) == []


def test_half_an_archive_is_an_error(source: FolderHost, target: FolderHost, tmp_path: Path) -> None:
    (source.data / "large").write_bytes(os.urandom(1 << 20))
    whole = b"".join(source.volumes.pack(["data"], tmp_path / "op.index", is_rest=False))
    archive = tmp_path / "archive.tar"
    archive.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DriverError, match="could not be written"):
        target.volumes.unpack(["data"], archive)


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "owner"])
def test_every_difference_changes_the_sum(source: FolderHost, change: str) -> None:
    before = tree_sum(source.data)

    if change == "content":
        (source.data / "tool").write_bytes(b"!#")
    elif change == "name":
        (source.data / "tool").rename(source.data / "tools")
    elif change == "mode":
        (source.data / "tool").chmod(0o750)
    elif change == "owner":
        if os.geteuid():
            pytest.skip("needs root")
        os.chown(source.data / "goes", 12, 34)
    else:
        (source.data / "link").unlink()
        (source.data / "link").symlink_to("/etc/shadow")

    assert tree_sum(source.data) != before


def test_a_socket_does_not_count(source: FolderHost, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree_sum(source.data)
    monkeypatch.chdir(source.data)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")

        assert tree_sum(source.data) == before


def test_volumes_elsewhere_are_not_guessed_at(source: FolderHost) -> None:
    source.is_local = False  # type: ignore[misc]

    with pytest.raises(Refused, match="hostd itself runs"):
        source.volumes.sums(["data"])
