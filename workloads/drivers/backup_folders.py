"""Where backups lie on a host: `folder`/VM/backup, each with its disks' files and a manifest beside them.

Only folders within the host's list (backup_paths) are used. What is in them may have been changed by anybody who
can write there, so names are made here, and each file is judged before a tool opens it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import DriverError, Refused, TimedOut
from hosts.units import GIB
from workloads.drivers.base import DescribedDisk, Running, Volumes
from workloads.drivers.images import QEMU_IMG, qcow2_header_read, qcow2_size_judged
from workloads.drivers.specs import path_check, uuid_check
from workloads.drivers.volumes import wait_for

MANIFEST = "manifest.json"
MANIFEST_BYTES_MOST = 1024**2
RESERVE_BYTES = 256 * 1024**2  # tables of the images, and what a full file system would cost everybody
CHUNK_BYTES = 4 * 1024**2
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILE_NAME = re.compile(r"vd[a-z]\.qcow2")


def folder_check(asked: str, allowed: Iterable[str]) -> str:
    """The folder, or without one the first that is allowed; raises Refused for one outside of the list."""
    roots = [os.path.normpath(root) for root in allowed if root not in ("", "/")]
    if not roots:
        raise Refused("This host has no folder for backups: set backup_paths in its hostd configuration.")
    folder = path_check(asked) if asked else roots[0]
    if not any(folder == root or folder.startswith(f"{root}/") for root in roots):
        raise Refused(f"The folder {folder} may not be used for backups: it is not within the host's list.")
    real = os.path.realpath(folder)
    if not any(real == root or real.startswith(f"{root}/") for root in map(os.path.realpath, roots)):
        raise Refused(f"The folder {folder} leads to another place, outside of the host's list.", real)
    return folder


class HostBackupFolders:
    """The backups of one host, in the folders that its configuration allows."""

    def __init__(self, allowed: Iterable[str], volumes: Volumes) -> None:
        self._allowed = tuple(allowed)
        self._volumes = volumes

    def folder(self, asked: str) -> str:
        folder = folder_check(asked, self._allowed)
        try:
            os.makedirs(folder, mode=0o711, exist_ok=True)
        except OSError as error:
            raise Refused(f"The folder {folder} cannot be used: {error.strerror}.") from error
        return folder

    def begin(self, folder: str, vm: str, backup: str, need_bytes: int) -> str:
        folder = self.folder(folder)
        free_bytes = shutil.disk_usage(folder).free
        if need_bytes + RESERVE_BYTES > free_bytes:
            raise Refused(
                f"The folder {folder} has {free_bytes / GIB:.1f} GiB free, less than the {need_bytes / GIB:.1f} GiB"
                " that this backup may take. Remove older ones, or choose another folder."
            )
        part = f"{self._place(folder, vm, backup)}.part"
        _tree_remove(part)
        # The hypervisor's user must get through to files that are its own.
        os.makedirs(part, mode=0o711)
        return part

    def copy_at_rest(self, disk: DescribedDisk, path: str, running: Running | None = None) -> None:
        self._volumes.flatten(disk, Path(path), running)

    def seal(
        self, folder: str, vm: str, backup: str, manifest: dict[str, Any], running: Running | None = None
    ) -> dict[str, Any]:
        place = self._place(self.folder(folder), vm, backup)
        part, files = f"{place}.part", []
        for entry in manifest["files"]:
            path = f"{part}/{_name_check(entry['file'])}"
            _stand_alone(path)
            virtual_bytes = qcow2_size_judged(path)
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                os.fchown(handle, 0, 0) if os.geteuid() == 0 else None
                os.fchmod(handle, 0o600)
                os.fsync(handle)
                size_bytes = os.fstat(handle).st_size
                sha256 = _summed(file, size_bytes, f"adding up {entry['file']}", running)
            told = {"size_bytes": size_bytes, "virtual_bytes": virtual_bytes, "sha256": sha256}
            files.append({**entry, **told})
        whole = {**manifest, "files": files}
        _write_durably(f"{part}/{MANIFEST}", json.dumps(whole, indent=1).encode())
        _folder_sync(part)
        os.rename(part, place)
        _folder_sync(os.path.dirname(place))
        return whole

    def manifest(self, folder: str, vm: str, backup: str) -> dict[str, Any] | None:
        return manifest_read(f"{self._place(self.folder(folder), vm, backup)}/{MANIFEST}")

    def check(
        self, folder: str, vm: str, backup: str, files: Sequence[dict[str, Any]], running: Running | None = None
    ) -> None:
        for entry in files:
            name = str(entry["file"])
            path = self.file(folder, vm, backup, name)
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError as error:
                raise Refused(f"{name} is gone, or cannot be read.", f"{path}: {error}") from error
            with os.fdopen(handle, "rb") as file:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode) or status.st_size != int(entry["size_bytes"]):
                    raise Refused(f"{name} has not the size that it was written with.", path)
                if _summed(file, status.st_size, f"adding up {name}", running) != entry["sha256"]:
                    raise Refused(f"{name} is not what was written: its checksum differs.", path)
            qcow2_size_judged(path)
            _image_check(path, name, running)

    def found(self, folder: str) -> list[dict[str, Any]]:
        folder, manifests = self.folder(folder), []
        for vm in _uuids_in(folder):
            for backup in _uuids_in(f"{folder}/{vm}"):
                manifest = manifest_read(f"{folder}/{vm}/{backup}/{MANIFEST}")
                # One that was copied here under another name would be looked for where it is not.
                if manifest is not None and (manifest.get("vm"), manifest.get("backup")) == (vm, backup):
                    manifests.append(manifest)
        return manifests

    def file(self, folder: str, vm: str, backup: str, name: str) -> str:
        return f"{self._place(self.folder(folder), vm, backup)}/{_name_check(name)}"

    def remove(self, folder: str, vm: str, backup: str) -> None:
        place = self._place(self.folder(folder), vm, backup)
        gone = f"{place}.gone"
        with suppress(FileNotFoundError):
            os.rename(place, gone)  # never half there under its own name
        for path in (gone, f"{place}.part"):
            _tree_remove(path)
        with suppress(OSError):  # other backups of the VM are there
            os.rmdir(os.path.dirname(place))

    @staticmethod
    def _place(folder: str, vm: str, backup: str) -> str:
        return f"{folder}/{uuid_check(vm)}/{uuid_check(backup)}"


def _uuids_in(folder: str) -> list[str]:
    try:
        return sorted(
            entry.name for entry in os.scandir(folder) if UUID.fullmatch(entry.name) and not entry.is_symlink()
        )
    except OSError:  # it went meanwhile
        return []


def manifest_read(path: str) -> dict[str, Any] | None:
    """The manifest in that file; None when there is none that can be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            data = json.loads(file.read(MANIFEST_BYTES_MOST))
        except ValueError:
            return None
    return data if isinstance(data, dict) else None


def _name_check(name: object) -> str:
    if not FILE_NAME.fullmatch(str(name)):
        raise Refused("The backup has a file whose name is not that of a disk.", repr(name)[:100])
    return str(name)


def _summed(file: Any, size_bytes: int, doing: str, running: Running | None) -> str:
    digest, done = hashlib.sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        done += len(chunk)
        if running is not None:
            running.check()
            running.update(doing, 100.0 * done / max(1, size_bytes))
    return digest.hexdigest()


def _image_check(path: str, name: str, running: Running | None) -> None:
    try:
        wait_for([QEMU_IMG, "check", "-q", "-f", "qcow2", "--", path], running)
    except (Refused, TimedOut):  # the step shall end
        raise
    except DriverError as error:
        raise Refused(f"{name} is damaged inside, as qemu-img finds.", error.detail) from error


def _stand_alone(path: str) -> None:
    """Takes out of the header that the file leans on the VM's disk, as libvirt writes it into incremental ones.

    What it rests on is the backup before it, and that is told to qemu-img when it is read.
    """
    with open(path, "rb") as file:
        header = qcow2_header_read(file)
    if header is not None and header.names_other_files:
        wait_for([QEMU_IMG, "rebase", "-u", "-f", "qcow2", "-b", "", "--", path], None)


def _tree_remove(path: str) -> None:
    """Removes a folder of ours with the files in it; never through a link."""
    if os.path.islink(path):
        raise Refused("What lies at the backup's path is a link, so it was left as it is.", path)
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def _write_durably(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def _folder_sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
