"""Where backups lie, with real files and the real qemu-img: whole or not at all, and judged before they are used."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Invalid, Refused
from hosts.units import GIB
from workloads.drivers import backup_xml
from workloads.drivers.backup_folders import HostBackupFolders, folder_check
from workloads.drivers.base import BackupDisk
from workloads.drivers.specs import DiskSpec
from workloads.drivers.volumes import PoolVolumes

VM, NEW_VM = str(uuid.UUID(int=5)), str(uuid.UUID(int=6))
FULL, PART = str(uuid.UUID(int=7)), str(uuid.UUID(int=8))
MANIFEST: dict[str, Any] = {"kind": "full", "files": [{"target": "vda", "file": "vda.qcow2"}]}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    (folder / ".stowage-pool").write_text("pool-identity\n")
    return folder


@pytest.fixture
def volumes(pool: Path, tmp_path: Path) -> PoolVolumes:
    return PoolVolumes({"local": str(pool)}, str(tmp_path / "cache"), room=lambda folder: 10 * GIB)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "backups")


@pytest.fixture
def store(folder: str, volumes: PoolVolumes) -> HostBackupFolders:
    return HostBackupFolders((folder,), volumes)


def image(path: str, *commands: str, backing: str = "") -> None:
    base = ["-b", backing, "-F", "qcow2"] if backing else []
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, path, "64M"], check=True)
    for command in commands:
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, path], check=True, capture_output=True)


def a_chain(store: HostBackupFolders, folder: str, tmp_path: Path) -> list[dict[str, Any]]:
    """A full backup, and one with what changed, which leans on the VM's own disk as libvirt writes it."""
    disk = str(tmp_path / "of-the-vm.qcow2")
    image(disk, "write -P 9 0 64M")
    part = store.begin(folder, VM, FULL, 0)
    image(f"{part}/vda.qcow2", "write -P 1 0 1M", "write -P 2 4M 1M")
    full = store.seal(folder, VM, FULL, MANIFEST)
    part = store.begin(folder, VM, PART, 0)
    image(f"{part}/vda.qcow2", "write -P 5 0 64k", "write -z 4M 64k", backing=disk)
    return [full, store.seal(folder, VM, PART, MANIFEST | {"kind": "incremental"})]


def reads(path: str, *commands: str) -> bool:
    done = [
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, path], capture_output=True, text=True, check=True)
        for command in commands
    ]
    return not any("verification failed" in each.stdout for each in done)


def test_a_backup_has_its_name_only_when_all_of_it_is_there(store: HostBackupFolders, folder: str, tmp_path: Path):
    part = store.begin(folder, VM, FULL, 0)
    image(f"{part}/vda.qcow2", "write -P 1 0 1M")
    assert store.manifest(folder, VM, FULL) is None and not Path(folder, VM, FULL).exists()

    whole = store.seal(folder, VM, FULL, MANIFEST)

    assert store.manifest(folder, VM, FULL) == whole
    assert sorted(path.name for path in Path(folder, VM).iterdir()) == [FULL]
    assert Path(folder, VM, FULL, "vda.qcow2").stat().st_mode & 0o077 == 0
    store.check(folder, VM, FULL, whole["files"])


def test_what_a_run_that_was_cut_short_left_is_begun_anew(store: HostBackupFolders, folder: str):
    Path(store.begin(folder, VM, FULL, 0), "vdc.qcow2").write_text("half")

    assert list(Path(store.begin(folder, VM, FULL, 0)).iterdir()) == []
    store.remove(folder, VM, FULL)
    store.remove(folder, VM, FULL)
    assert list(Path(folder).iterdir()) == []


def test_a_chain_becomes_a_disk_and_its_files_stay_as_they_are(
    store: HostBackupFolders, volumes: PoolVolumes, pool: Path, folder: str, tmp_path: Path
):
    chain = a_chain(store, folder, tmp_path)
    paths = [store.file(folder, VM, backup, "vda.qcow2") for backup in (FULL, PART)]
    disk = DiskSpec("vda", f"{pool}/{NEW_VM}-vda.qcow2", 1, "qcow2", "local", None)

    assert volumes.restore(disk, NEW_VM, paths) and not volumes.restore(disk, NEW_VM, paths)

    # changed, as it was, overwritten with zeros, never written; and grown to its size
    wanted = ("read -P 5 0 64k", "read -P 1 64k 960k", "read -P 0 4M 64k", "read -P 2 4160k 960k", "read -P 0 8M 1M")
    assert reads(disk.path, *wanted)
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", disk.path], capture_output=True).stdout)
    assert info["virtual-size"] == GIB and "backing-filename" not in info
    for backup, told in zip((FULL, PART), chain, strict=True):
        store.check(folder, VM, backup, told["files"])


def test_a_disk_that_is_too_small_is_not_made(
    store: HostBackupFolders, volumes: PoolVolumes, pool: Path, folder: str, tmp_path: Path
):
    a_chain(store, folder, tmp_path)
    disk = DiskSpec("vda", f"{pool}/{NEW_VM}-vda.qcow2", 0.05, "qcow2", "local", None)
    with pytest.raises(Refused, match="at least"):
        volumes.restore(disk, NEW_VM, [store.file(folder, VM, FULL, "vda.qcow2")])
    assert [path.name for path in pool.iterdir()] == [".stowage-pool"]


@pytest.mark.parametrize("harm", ["byte", "short", "gone", "link", "leans"])
def test_a_file_that_is_not_what_was_written_is_found(
    store: HostBackupFolders, volumes: PoolVolumes, pool: Path, folder: str, tmp_path: Path, harm: str
):
    told = a_chain(store, folder, tmp_path)[0]["files"]
    path = Path(store.file(folder, VM, FULL, "vda.qcow2"))
    data = path.read_bytes()
    if harm == "byte":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "short":
        path.write_bytes(data[:-1])
    elif harm in ("gone", "link"):
        path.rename(tmp_path / "aside")
        path.symlink_to(tmp_path / "aside") if harm == "link" else None
    else:
        subprocess.run(["qemu-img", "rebase", "-u", "-b", "/etc/passwd", "-F", "raw", str(path)], check=True)

    with pytest.raises(Refused):
        store.check(folder, VM, FULL, told)
    if harm in ("gone", "link", "leans"):
        disk = DiskSpec("vda", f"{pool}/{NEW_VM}-vda.qcow2", 1, "qcow2", "local", None)
        with pytest.raises(Refused):
            volumes.restore(disk, NEW_VM, [str(path)])


@pytest.mark.parametrize("asked", ["/etc", "/srv/backups-else", "/srv", "/srv/backups/../x"])
def test_a_folder_outside_of_the_list_is_refused(asked: str):
    with pytest.raises((Refused, Invalid)):
        folder_check(asked, ("/srv/backups",))


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "out").symlink_to("/etc")

    with pytest.raises(Refused, match="outside"):
        folder_check(f"{tmp_path}/given/out", (f"{tmp_path}/given",))
    assert folder_check("", (f"{tmp_path}/given",)) == f"{tmp_path}/given"
    with pytest.raises(Refused, match="backup_paths"):
        folder_check("", ())


def test_without_room_nothing_is_begun(store: HostBackupFolders, folder: str):
    with pytest.raises(Refused, match="free"):
        store.begin(folder, VM, FULL, 2**60)
    assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize("name", ["../vda.qcow2", "vda.raw", "manifest.json", ""])
def test_only_files_of_disks_are_named(store: HostBackupFolders, folder: str, name: str):
    with pytest.raises(Refused):
        store.file(folder, VM, FULL, name)


def test_libvirt_is_told_of_each_disk():
    disks = (BackupDisk("vda", "/b/vda.qcow2"), BackupDisk("vdb", '/b/"<&.qcow2', is_tracked=False))

    xml = backup_xml.backup_build(disks, ["vdc"], "stowage-1")

    assert xml == (
        '<domainbackup mode="push"><incremental>stowage-1</incremental><disks>'
        '<disk name="vda" backup="yes" type="file" backupmode="incremental" incremental="stowage-1">'
        '<driver type="qcow2" /><target file="/b/vda.qcow2" /></disk>'
        '<disk name="vdb" backup="yes" type="file" backupmode="full">'
        '<driver type="qcow2" /><target file="/b/&quot;&lt;&amp;.qcow2" /></disk>'
        '<disk name="vdc" backup="no" /></disks></domainbackup>'
    )
    assert backup_xml.backup_files(xml) == ["/b/vda.qcow2", '/b/"<&.qcow2']
    assert backup_xml.checkpoint_build("c1", ["vda"], ["vdb"]) == (
        '<domaincheckpoint><name>c1</name><disks><disk name="vda" checkpoint="bitmap" />'
        '<disk name="vdb" checkpoint="no" /></disks></domaincheckpoint>'
    )


def test_the_folder_tells_of_what_lies_in_it(store: HostBackupFolders, folder: str, tmp_path: Path):
    assert store.found(folder) == []
    part = store.begin(folder, VM, FULL, 0)
    image(f"{part}/vda.qcow2")
    named = MANIFEST | {"vm": VM, "backup": FULL}
    assert store.found(folder) == []

    whole = store.seal(folder, VM, FULL, named)
    Path(folder, VM, "notes").mkdir()
    Path(folder, NEW_VM).symlink_to(Path(folder, VM))
    Path(folder, VM, PART).mkdir()
    Path(folder, VM, PART, "manifest.json").write_text(json.dumps(whole))  # says to be another

    assert store.found(folder) == [whole]
