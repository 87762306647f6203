"""Volumes on a real file system with the real qemu-img."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.errors import Invalid, Refused
from hosts.units import GIB, MIB
from workloads.drivers.base import DescribedDisk
from workloads.drivers.images import image_inspect, qcow2_header_read
from workloads.drivers.specs import DiskSpec, ImageSource
from workloads.drivers.volumes import PoolVolumes

UUID = str(uuid.UUID(int=5))
SOURCE = ImageSource(str(uuid.UUID(int=6)), "0" * 64, 1, "qcow2")


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
def image(tmp_path: Path) -> str:
    path = str(tmp_path / "image.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", path], check=True, capture_output=True)
    return path


def disk(
    pool: Path, size_gib: float = 1, name: str = f"{UUID}-vda.qcow2", source: ImageSource | None = None
) -> DiskSpec:
    return DiskSpec("vda", f"{pool}/{name}", size_gib, "qcow2", "local", source)


def described(pool: Path) -> DescribedDisk:
    return DescribedDisk("vda", f"{pool}/{UUID}-vda.qcow2", "qcow2", 64 * MIB, MIB)


def compressed_clusters(path: str) -> int:
    check = ["qemu-img", "check", "-f", "qcow2", "--output=json", path]
    return int(json.loads(subprocess.run(check, capture_output=True, check=True).stdout).get("compressed-clusters", 0))


def names(pool: Path) -> list[str]:
    return sorted(path.name for path in pool.iterdir() if path.name != ".stowage-pool")


def test_a_disk_is_a_full_copy_of_its_image_grown_to_size(volumes: PoolVolumes, pool: Path, image: str) -> None:
    made = volumes.ensure(disk(pool, source=SOURCE), UUID, image)

    path = f"{pool}/{UUID}-vda.qcow2"
    info = subprocess.run(["qemu-img", "info", path], capture_output=True, text=True, check=True).stdout
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 7 0 1M", path], check=True, capture_output=True)
    assert made
    assert image_inspect(path, "qcow2") == GIB
    assert "backing" not in info


def test_an_unpacked_image_has_the_bytes_but_neither_snapshots_nor_compression(
    volumes: PoolVolumes, tmp_path: Path, image: str
) -> None:
    packed, unpacked = str(tmp_path / "packed.qcow2"), str(tmp_path / "unpacked.qcow2")
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", image, packed], check=True)
    subprocess.run(["qemu-img", "snapshot", "-c", "old", packed], check=True)

    volumes.image_unpack(packed, "qcow2", unpacked)

    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 7 0 1M", unpacked], check=True, capture_output=True)
    with open(unpacked, "rb") as file:
        header = qcow2_header_read(file)
    assert header is not None and header.snapshots == 0
    assert compressed_clusters(packed) > 0
    assert compressed_clusters(unpacked) == 0


def test_a_disk_that_is_there_is_left_alone(volumes: PoolVolumes, pool: Path) -> None:
    assert volumes.ensure(disk(pool), UUID, None)
    before = (pool / f"{UUID}-vda.qcow2").stat()

    assert not volumes.ensure(disk(pool, size_gib=2), UUID, None)

    after = (pool / f"{UUID}-vda.qcow2").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_half_made_disk_of_a_killed_run_is_made_anew(volumes: PoolVolumes, pool: Path) -> None:
    (pool / f"{UUID}-vda.qcow2.part").write_text("half")

    assert volumes.ensure(disk(pool), UUID, None)
    assert names(pool) == [f"{UUID}-vda.qcow2"]


def test_a_disk_larger_than_the_pool_is_refused_with_what_to_do(volumes: PoolVolumes, pool: Path) -> None:
    with pytest.raises(Refused, match=r"local has 10\.0 GiB free.*Choose a smaller disk or another pool"):
        volumes.ensure(disk(pool, size_gib=20), UUID, None)

    assert names(pool) == []


def test_a_disk_smaller_than_its_image_is_refused(volumes: PoolVolumes, pool: Path, image: str) -> None:
    with pytest.raises(Refused, match="needs a disk of at least"):
        volumes.ensure(disk(pool, size_gib=0.01, source=SOURCE), UUID, image)

    assert names(pool) == []


def test_a_disk_made_from_something_that_is_no_image_leaves_nothing(
    volumes: PoolVolumes, pool: Path, tmp_path: Path
) -> None:
    (tmp_path / "page").write_text("<html>")

    with pytest.raises(Refused, match="not a qcow2 image"):
        volumes.ensure(disk(pool, source=SOURCE), UUID, str(tmp_path / "page"))

    assert names(pool) == []


def test_a_place_outside_of_the_pools_is_refused(volumes: PoolVolumes, pool: Path) -> None:
    for folder in (pool.parent, pool / "deeper"):
        with pytest.raises(Refused, match="pools"):
            volumes.ensure(disk(folder), UUID, None)
    with pytest.raises(Invalid):
        volumes.ensure(disk(Path(f"{pool}/../pool/..")), UUID, None)


def test_a_name_without_the_vms_uuid_is_refused(volumes: PoolVolumes, pool: Path) -> None:
    with pytest.raises(Refused, match="UUID"):
        volumes.ensure(disk(pool, name="other.qcow2"), UUID, None)


@pytest.mark.parametrize("verb", ["ensure", "remove", "quarantine", "prepare"])
def test_a_symbolic_link_in_the_pool_is_never_followed(
    volumes: PoolVolumes, pool: Path, tmp_path: Path, verb: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("keep")
    (pool / f"{UUID}-vda.qcow2").symlink_to(secret)
    verbs = {
        "ensure": lambda: volumes.ensure(disk(pool), UUID, None),
        "remove": lambda: volumes.remove(disk(pool).path, UUID),
        "quarantine": lambda: volumes.quarantine([f"{pool}/{UUID}-vda.qcow2"]),
        "prepare": lambda: volumes.target_prepare([described(pool)], []),
    }

    with pytest.raises(Refused):
        verbs[verb]()

    assert secret.read_text() == "keep"


def test_a_disk_of_ours_is_deleted_and_one_of_others_set_aside(volumes: PoolVolumes, pool: Path) -> None:
    volumes.ensure(disk(pool), UUID, None)
    (pool / "legacy.qcow2").write_text("data")

    volumes.remove(disk(pool).path, UUID)
    volumes.remove(disk(pool).path, UUID)
    volumes.remove(disk(pool, name="legacy.qcow2").path, UUID)

    (left,) = names(pool)
    assert left.startswith("legacy.qcow2.") and left.endswith(".stowage-left")


def test_a_disk_that_a_running_vm_holds_is_neither_deleted_nor_moved(volumes: PoolVolumes, pool: Path) -> None:
    volumes.ensure(disk(pool), UUID, None)
    path = pool / f"{UUID}-vda.qcow2"
    # As QEMU locks its images: shared locks on single bytes, held by another process.
    lock = "import fcntl, sys; file = open(sys.argv[1]); fcntl.lockf(file, fcntl.LOCK_SH, 1, 100)"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{lock}; print(1, flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdout.readline()

    try:
        with pytest.raises(Refused, match="in use"):
            volumes.remove(disk(pool).path, UUID)
        with pytest.raises(Refused, match="in use"):
            volumes.quarantine([str(path)])
        with pytest.raises(Refused, match="in use"):
            volumes.target_unprepare([str(path)])
    finally:
        holder.communicate()

    assert names(pool) == [path.name]


def test_prepared_targets_are_empty_disks_and_unprepared_without_a_trace(
    volumes: PoolVolumes, pool: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sockets" / "deep"

    created = volumes.target_prepare([described(pool)], [str(folder)])
    assert image_inspect(described(pool).path, "qcow2") == 64 * MIB

    volumes.target_unprepare(created)
    volumes.target_unprepare(created)
    assert names(pool) == [] and not folder.exists()


def test_a_file_in_the_way_of_a_prepared_target_is_refused_and_stays(volumes: PoolVolumes, pool: Path) -> None:
    (pool / f"{UUID}-vda.qcow2").write_text("data")

    with pytest.raises(Refused, match="already a file"):
        volumes.target_prepare([described(pool)], [])

    assert (pool / f"{UUID}-vda.qcow2").read_text() == "data"


def test_a_pool_is_known_by_its_marker(volumes: PoolVolumes, pool: Path) -> None:
    assert volumes.pool_of(f"{pool}/x.qcow2") == ("local", "pool-identity")
    assert volumes.pool_of("/elsewhere/x.qcow2") is None


def test_a_seed_disk_is_written_over_in_place_and_nothing_else_is(volumes: PoolVolumes, pool: Path) -> None:
    seed = DiskSpec("vdb", f"{pool}/{UUID}-seed.img", 1 / 1024, "raw", "local")
    volumes.ensure(seed, UUID, None)

    volumes.seed_write(seed.path, UUID, b"x" * MIB)

    assert Path(seed.path).read_bytes() == b"x" * MIB
    with pytest.raises(Refused, match="another size"):
        volumes.seed_write(seed.path, UUID, b"x")
    Path(f"{pool}/{UUID}-vda.qcow2").write_bytes(b"0" * MIB)
    with pytest.raises(Refused, match="own seed disk"):
        volumes.seed_write(f"{pool}/{UUID}-vda.qcow2", UUID, b"x" * MIB)
    with pytest.raises(Refused, match="no seed disk"):
        volumes.seed_write(f"{pool}/{uuid.UUID(int=9)}-seed.img", str(uuid.UUID(int=9)), b"x" * MIB)


def test_a_seed_disk_that_is_a_link_is_not_followed(volumes: PoolVolumes, pool: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"0" * MIB)
    (pool / f"{UUID}-seed.img").symlink_to(tmp_path / "victim")

    with pytest.raises((Refused, OSError)):
        volumes.seed_write(f"{pool}/{UUID}-seed.img", UUID, b"x" * MIB)

    assert (tmp_path / "victim").read_bytes() == b"0" * MIB


def test_a_copy_holds_what_the_source_holds_now_and_none_of_its_snapshots(
    volumes: PoolVolumes, pool: Path, image: str
) -> None:
    volumes.ensure(disk(pool, source=SOURCE), UUID, image)
    source = described(pool)
    for command in (["qemu-img", "snapshot", "-c", "before"], ["qemu-io", "-c", "write -P 9 2M 64k"]):
        subprocess.run([*command, source.path], check=True, capture_output=True)
    other = str(uuid.UUID(int=8))
    target = disk(pool, 2, f"{other}-vda.qcow2")

    assert volumes.copy(target, other, replace(source, size_bytes=GIB))
    assert not volumes.copy(target, other, source), "there is one already"

    with open(target.path, "rb") as file:
        header = qcow2_header_read(file)
    assert header is not None and header.snapshots == 0 and header.virtual_size_bytes == 2 * GIB
    reads = ["qemu-io", "-f", "qcow2", "-c", "read -P 7 0 1M", "-c", "read -P 9 2M 64k", target.path]
    assert b"failed" not in subprocess.run(reads, check=True, capture_output=True).stdout


def test_a_flat_copy_is_compressed_and_a_disk_that_leans_on_another_is_neither_copied_nor_sent(
    volumes: PoolVolumes, pool: Path, image: str, tmp_path: Path
) -> None:
    volumes.ensure(disk(pool, source=SOURCE), UUID, image)
    volumes.flatten(described(pool), tmp_path / "flat")
    assert compressed_clusters(str(tmp_path / "flat")) > 0

    source = replace(described(pool), path=f"{pool}/leaning.qcow2")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", source.path], check=True
    )
    other = str(uuid.UUID(int=8))
    with pytest.raises(Refused, match="leans on other files"):
        volumes.copy(disk(pool, 1, f"{other}-vda.qcow2"), other, source)
    with pytest.raises(Refused, match="leans on other files"):
        volumes.flatten(source, tmp_path / "flat2")
    assert not (tmp_path / "flat2").exists() and names(pool) == [f"{UUID}-vda.qcow2", "leaning.qcow2"]


def test_a_source_outside_of_the_pools_is_not_read(volumes: PoolVolumes, pool: Path, image: str) -> None:
    outside = replace(described(pool), path="/etc/passwd", format="raw")
    with pytest.raises(Refused, match="pools"):
        volumes.copy(disk(pool), UUID, outside)
