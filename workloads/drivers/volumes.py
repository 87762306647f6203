"""The files of VMs on one host: disks in pools, and what a migration needs on its destination.

Only files inside the host's declared pools are touched, never through a symbolic link. A file that carries its
VM's uuid in its name was made by Stowage and may be deleted; any other is set aside as `*.stowage-left`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import DriverError, Refused
from hosts.units import GIB, gib_to_bytes
from workloads.drivers.base import DescribedDisk, Running
from workloads.drivers.foreign_images import foreign_convert, foreign_judge, ova_disk
from workloads.drivers.images import QEMU_IMG, image_inspect, qcow2_size_judged
from workloads.drivers.specs import FORMATS, ISO, DiskSpec, ImageSource, path_check

POOL_MARKER = ".stowage-pool"
LEFT_SUFFIX = ".stowage-left"
# qcow2 tables and log of a disk that is all but empty; also what a host's file system should keep for itself.
RESERVE_BYTES = 64 * 1024**2
SEED_BYTES_MOST = 16 * 1024**2
_POLL_S = 0.2
VM_NUMBER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")  # how names of disks made here begin


def pool_id_read(directory: str) -> str | None:
    """The identity in the pool's marker file, or None when the directory is no pool."""
    try:
        handle = os.open(f"{directory}/{POOL_MARKER}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle) as file:
        return file.read(64).strip() or None


class PoolVolumes:
    """The volumes in `pools` (directory by pool name), with images from the folder `image_cache`.

    `room` tells how many bytes a pool has free, where that is less than its file system has (a declared host).
    """

    def __init__(
        self,
        pools: Mapping[str, str],
        image_cache: str,
        room: Callable[[str], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._room = room
        self._pools = {name: os.path.normpath(path) for name, path in pools.items()}
        self._image_cache = image_cache

    def image_path(self, source: ImageSource) -> str:
        # By checksum, so that an image changed under its uuid is another file and none is overwritten in use.
        return f"{self._image_cache}/{source.image}-{source.sha256[:16]}.unpacked.qcow2"

    def iso_path(self, source: ImageSource) -> str:
        return f"{self._image_cache}/{source.image}-{source.sha256[:16]}.iso"

    def is_iso(self, path: str) -> bool:
        return os.path.dirname(path) == os.path.normpath(self._image_cache) and path.endswith(".iso")

    def image_inspect(self, path: str, image_format: str) -> int:
        return image_inspect(path, image_format)

    def image_unpack(self, path: str, image_format: str, target: str, running: Running | None = None) -> None:
        _convert(path, image_format, target, "qcow2", running)

    def image_accept(self, file: Path, image_format: str, made: Path, running: Running) -> Path:
        if image_format in ("qcow2", ISO):
            image_inspect(str(file), image_format)
            return file
        if image_format == "ova":
            with ova_disk(file, running) as disk:
                return self.image_accept(disk, "vmdk", made, running)
        if image_format == "raw":
            image_inspect(str(file), "raw")
        else:
            foreign_judge(file, image_format)
        running.update("converting the image", at_once=True)
        foreign_convert(file, image_format, made, running)
        image_inspect(str(made), "qcow2")
        return made

    def pool_of(self, path: str) -> tuple[str, str] | None:
        """Name and identity of the pool whose directory holds the file, if that is one of ours."""
        folder = os.path.dirname(path)
        for name, directory in self._pools.items():
            if folder == directory:
                return name, pool_id_read(directory) or ""
        return None

    def ensure(self, disk: DiskSpec, vm_uuid: str, image_path: str | None, running: Running | None = None) -> bool:
        size_bytes = gib_to_bytes(disk.size_gib)

        def write(part: str) -> None:
            if image_path is None or disk.image is None:
                _run([QEMU_IMG, "create", "-q", "-f", disk.format, "--", part, str(size_bytes)])
                return
            if disk.format == "qcow2":
                wait_for(["cp", "--reflink=auto", "--", image_path, part], running)
            else:
                _convert(image_path, "qcow2", part, disk.format, running)
            if size_bytes != qcow2_size_judged(image_path):
                _run([QEMU_IMG, "resize", "-q", "-f", disk.format, "--", part, str(size_bytes)])

        return self._make(disk, vm_uuid, image_path, write)

    def _make(self, disk: DiskSpec, vm_uuid: str, image_path: str | None, write: Callable[[str], None]) -> bool:
        """The disk's file from what `write` puts at the path that it is given; False when there is one already."""
        folder = self._pool_folder(disk.path)
        if vm_uuid not in os.path.basename(disk.path):
            raise Refused("A disk's file must carry its VM's UUID in its name.", disk.path)
        if _is_file(disk.path):
            return False
        self._refuse_without_room(disk, folder, image_path, gib_to_bytes(disk.size_gib))
        part = f"{disk.path}.part"
        with suppress(FileNotFoundError):
            os.unlink(part)
        try:
            write(part)
            os.chmod(part, 0o600)
            # link, not rename: it fails when another file has come to this name meanwhile
            os.link(part, disk.path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)
        return True

    def copy(self, disk: DiskSpec, vm_uuid: str, source: DescribedDisk, running: Running | None = None) -> bool:
        size_bytes = gib_to_bytes(disk.size_gib)

        def write(part: str) -> None:
            if source.size_bytes > size_bytes:
                raise Refused(f"The copy of {source.target} needs {source.size_bytes / GIB:.2f} GiB at least.")
            self._content_check(source)
            _convert(source.path, source.format, part, disk.format, running)
            if size_bytes > source.size_bytes:
                _run([QEMU_IMG, "resize", "-q", "-f", disk.format, "--", part, str(size_bytes)])

        return self._make(disk, vm_uuid, None, write)

    def flatten(self, source: DescribedDisk, target: Path, running: Running | None = None) -> None:
        self._content_check(source)
        folder = os.path.dirname(target)
        if source.used_bytes + RESERVE_BYTES > shutil.disk_usage(folder).free:
            raise Refused(f"The host has too little room in {folder} for a copy of the disk {source.target}.")
        _convert(source.path, source.format, str(target), "qcow2", running, "-c")

    def restore(self, disk: DiskSpec, vm_uuid: str, chain: Sequence[str], running: Running | None = None) -> bool:
        size_bytes = gib_to_bytes(disk.size_gib)

        def write(part: str) -> None:
            stored_bytes = max(qcow2_size_judged(path) for path in chain)
            if stored_bytes > size_bytes:
                raise Refused(f"What was kept of {disk.target} needs {stored_bytes / GIB:.2f} GiB at least.")
            wait_for([QEMU_IMG, "convert", "-O", disk.format, "--", _chained(chain), part], running)
            if size_bytes > qcow2_size_judged(chain[-1]):
                _run([QEMU_IMG, "resize", "-q", "-f", disk.format, "--", part, str(size_bytes)])

        return self._make(disk, vm_uuid, None, write)

    def room_check(self, path: str, more_bytes: int) -> None:
        folder = self._pool_folder(path)
        free_bytes = self._room(folder)
        if more_bytes + RESERVE_BYTES > free_bytes:
            pool, _ = self.pool_of(path) or ("", "")
            raise Refused(
                f"The pool {pool} has {free_bytes / GIB:.1f} GiB free, less than the {more_bytes / GIB:.1f} GiB that"
                " this may take."
            )

    def grow(self, path: str, image_format: str, size_bytes: int) -> None:
        self._pool_folder(path)
        _refuse_locked(path)
        if not _is_file(path):
            raise Refused("The disk's file is gone.", path)
        size_now = qcow2_size_judged(path) if image_format == "qcow2" else os.stat(path).st_size
        if size_now < size_bytes:
            _run([QEMU_IMG, "resize", "-q", "-f", image_format, "--", path, str(size_bytes)])

    def seed_read(self, path: str, vm_uuid: str) -> bytes:
        with os.fdopen(self._seed_open(path, vm_uuid, os.O_RDONLY), "rb") as file:
            return file.read(SEED_BYTES_MOST)

    def seed_write(self, path: str, vm_uuid: str, image: bytes) -> None:
        handle = self._seed_open(path, vm_uuid, os.O_WRONLY)
        with os.fdopen(handle, "wb", buffering=0) as file:
            if os.fstat(handle).st_size != len(image):
                raise Refused("The VM's seed disk has another size than a seed has.", path)
            file.write(image)
            os.fsync(handle)

    def _seed_open(self, path: str, vm_uuid: str, mode: int) -> int:
        self._pool_folder(path)
        if os.path.basename(path) != f"{vm_uuid}-seed.img":
            raise Refused("Only the VM's own seed disk is written over.", path)
        try:
            return os.open(path, mode | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Refused("The VM has no seed disk on this host.", path) from error

    def remove(self, path: str, vm_uuid: str) -> None:
        self._pool_folder(path)
        _refuse_locked(path)
        if vm_uuid in os.path.basename(path):
            for name in (path, f"{path}.part"):
                with suppress(FileNotFoundError):
                    os.unlink(name)
        else:
            self.quarantine([path])

    def target_prepare(self, disks: Iterable[DescribedDisk], folders: Iterable[str]) -> list[str]:
        created: list[str] = []
        try:
            for folder in folders:
                if not os.path.isdir(path_check(folder)):
                    os.makedirs(folder, mode=0o711)
                    created.append(folder)
            for disk in disks:
                created += self._target_file(disk)
        except (Refused, DriverError, OSError):
            self.target_unprepare(created)
            raise
        return created

    def target_unprepare(self, created: Iterable[str]) -> None:
        for path in reversed([path_check(path) for path in created]):
            if os.path.isdir(path) and not os.path.islink(path):
                with suppress(OSError):  # not empty: somebody uses it
                    os.rmdir(path)
            elif os.path.lexists(path):
                self._pool_folder(path)
                _refuse_locked(path)
                os.unlink(path)

    def remove_unowned(self, path: str) -> None:
        self._pool_folder(path_check(path))
        name = os.path.basename(path)
        if not (name.endswith(LEFT_SUFFIX) or VM_NUMBER.match(name)):
            raise Refused("The file was not made by Stowage; it was left as it is. Remove it on its host.", path)
        if _is_file(path):
            _refuse_locked(path)
            os.unlink(path)

    def quarantine(self, paths: Iterable[str]) -> list[str]:
        left = []
        for path in paths:
            self._pool_folder(path_check(path))
            if _is_file(path):
                _refuse_locked(path)
                aside = f"{path}.{int(time.time())}{LEFT_SUFFIX}"
                os.rename(path, aside)
                left.append(aside)
        return left

    def refuse_existing(self, path: str) -> None:
        self._pool_folder(path)
        if _is_file(path):
            raise Refused(f"There is already a file {path} on the destination. Move it away, then try again.")

    def _target_file(self, disk: DescribedDisk) -> list[str]:
        folder = self._pool_folder(disk.path)
        self.refuse_existing(disk.path)
        if disk.used_bytes + RESERVE_BYTES > self._room(folder):
            raise Refused(f"The destination has too little room for the disk {disk.target}.")
        _run([QEMU_IMG, "create", "-q", "-f", disk.format, "--", disk.path, str(disk.size_bytes)])
        os.chmod(disk.path, 0o600)
        return [disk.path]

    def _content_check(self, source: DescribedDisk) -> None:
        """Raises Refused unless the disk is one file of a pool, leans on no other, and no QEMU has it open."""
        self._pool_folder(source.path)
        if not _is_file(source.path):
            raise Refused("The disk's file is gone.", source.path)
        if source.format not in FORMATS:
            raise Refused(f"A disk of the format {source.format} is not copied.")
        _refuse_locked(source.path)
        if source.format == "qcow2":
            qcow2_size_judged(source.path)

    def _pool_folder(self, path: str) -> str:
        """The pool's directory that holds the file; raises Refused for any other place."""
        if self.pool_of(path_check(path)) is None or Path(path).name.startswith("."):
            raise Refused("The disk does not lie in one of this host's pools.", path)
        return os.path.dirname(path)

    def _refuse_without_room(self, disk: DiskSpec, folder: str, image_path: str | None, size_bytes: int) -> None:
        pool, _ = self.pool_of(disk.path) or ("", "")
        free_bytes = self._room(folder)
        # The whole virtual size, though qcow2 grows into it: a full pool pauses every guest on it (pitfalls M22).
        if size_bytes + RESERVE_BYTES > free_bytes:
            raise Refused(
                f"The pool {pool} has {free_bytes / GIB:.1f} GiB free, too little for a disk of {disk.size_gib:g} GiB."
                " Choose a smaller disk or another pool."
            )
        if image_path is not None and disk.image is not None:
            virtual_bytes = qcow2_size_judged(image_path)
            if virtual_bytes > size_bytes:
                raise Refused(
                    f"The image needs a disk of at least {virtual_bytes / GIB:.2f} GiB, not {disk.size_gib:g} GiB."
                )


def _is_file(path: str) -> bool:
    """Whether there is a plain file of one name at the path; anything else there is Refused."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise Refused("What lies at the disk's path is not a plain file.", path)
    return True


def _refuse_locked(path: str) -> None:
    """Refuses when some QEMU, here or on a host that shares the pool, holds its lock on the file.

    QEMU locks single bytes of its images (docs/system/qemu-block-drivers, "Disk image file locking"); a lock on
    the whole file conflicts with any of them.
    """
    if not _is_file(path):
        return
    with suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("The disk is in use by a running VM; it was left as it is.", path) from None
        finally:
            os.close(handle)


def _convert(
    source: str, source_format: str, target: str, target_format: str, running: Running | None, *options: str
) -> None:
    """A full copy of the image without its snapshots; no chain leads back to it."""
    formats = ("-f", source_format, "-O", target_format)
    wait_for([QEMU_IMG, "convert", *options, *formats, "--", source, target], running)


def _chained(chain: Sequence[str]) -> str:
    """The files of a chain, each leaning on the one before, as one image that is only read.

    Said to qemu-img from outside, for the files themselves name no other: none is changed, and none is followed.
    Source: QEMU's block driver options, "json:" file names.
    """
    node: dict[str, Any] | None = None
    for path in chain:
        node = {"driver": "qcow2", "file": {"driver": "file", "filename": path}, "backing": node}
    return "json:" + json.dumps(node)


def wait_for(command: list[str], running: Running | None) -> None:
    """Runs a command that makes a copy, and kills it when the step should stop."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            while process.returncode is None:
                if running is not None:
                    running.check()
                # Not wait(): with a timeout that looks only every 50 ms, and communicate() sees the end at once.
                with suppress(subprocess.TimeoutExpired):
                    _, error = process.communicate(timeout=_POLL_S)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise DriverError("The image could not be copied into the disk.", error.decode(errors="replace")[:1000])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise DriverError("The disk's file could not be made in time.", str(error)) from error
    if done.returncode != 0:
        raise DriverError("The disk's file could not be made.", done.stderr.decode(errors="replace")[:1000])
