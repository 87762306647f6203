"""Named volumes of the local driver: made, counted, packed, unpacked and compared as trees of files.

GNU tar reads and writes the folders themselves, as root: its listed-incremental form makes a second copy of only what
changed since the first, with what was deleted. Where hostd is not on the host there is no such folder, and a sentence.
Source: GNU tar manual 5.2 "Using tar to Perform Incremental Dumps".
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker

from hosts.drivers.base import container_uuid
from hosts.drivers.docker_errors import ENGINE_ERRORS, status_of
from hosts.drivers.docker_host import DockerHost
from hosts.errors import DriverError, Refused
from hosts.units import MIB
from workloads.drivers.base import VolumeFound

OPERATION_LABEL = "stowage.operation"
CHUNK_BYTES = 1024 * 1024
MARGIN_BYTES = 64 * MIB
_SOME_CHANGED = 1  # tar's status when a file changed while it was read
_AS_IT_IS = ("--numeric-owner", "--xattrs", "--acls")


class DockerVolumes:
    """The named volumes of one host."""

    def __init__(self, host: DockerHost) -> None:
        self._host = host

    def found(self, uuid: str, names: Iterable[str]) -> list[VolumeFound]:
        with self._host.calls("describe the volumes") as client:
            return [self._found(client, uuid, name) for name in names]

    def _found(self, client: docker.APIClient, uuid: str, name: str) -> VolumeFound:
        volume = client.inspect_volume(name)
        if volume.get("Driver") != "local" or volume.get("Options"):
            raise Refused(f"The volume {name} lies elsewhere than on its host's disk; Stowage does not move it.")
        for row in client.containers(all=True, filters={"volume": name}):
            if container_uuid(row["Id"], row.get("Labels") or {}) != uuid:
                other = (row.get("Names") or ["?"])[0].lstrip("/")
                raise Refused(f"The volume {name} is also used by {other}, which would lose it. It is not moved.")
        folder = self._folder(volume)
        size_bytes = sum(entry.stat(follow_symlinks=False).st_size for entry in _walk(folder))
        return VolumeFound(name, size_bytes)

    def create(self, names: Iterable[str], operation: str, need_bytes: int = 0) -> None:
        with self._host.calls("make the volumes") as client:
            for name in names:
                known = _inspect(client, name)
                if known is not None and (known.get("Labels") or {}).get(OPERATION_LABEL) != operation:
                    raise Refused(f"The host already has a volume named {name}. Rename or remove it first.")
                made = known or client.create_volume(name, labels={OPERATION_LABEL: operation})
                free = shutil.disk_usage(self._folder(made)).free
                if need_bytes + MARGIN_BYTES > free:
                    raise Refused(
                        f"The volumes have {need_bytes // MIB} MiB, the host's disk for volumes {free // MIB} MiB free."
                    )

    def remove(self, names: Iterable[str], operation: str = "") -> list[str]:
        kept = []
        with self._host.calls("remove the volumes") as client:
            for name in names:
                known = _inspect(client, name)
                if known is None:
                    continue
                if operation and (known.get("Labels") or {}).get(OPERATION_LABEL) != operation:
                    continue
                try:
                    client.remove_volume(name)
                except ENGINE_ERRORS as error:
                    if status_of(error) == 409:
                        kept.append(name)  # another container uses it
                    elif status_of(error) != 404:
                        raise
        return kept

    def pack(self, names: Iterable[str], index: Path, *, is_rest: bool) -> Iterator[bytes]:
        names = list(names)
        root = self._root(names)
        index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        used = index
        if is_rest:  # tar writes into its index: a repeat begins from the first copy's again
            used = index.with_suffix(".rest")
            shutil.copyfile(index, used)
        else:
            index.unlink(missing_ok=True)
        command = ["tar", "--create", "--format=posix", "--sparse", *_AS_IT_IS]
        command += [f"--listed-incremental={used}", "--no-check-device", "-C", str(root), *_members(names)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert process.stdout is not None and process.stderr is not None
        try:
            os.set_blocking(process.stderr.fileno(), False)
            said = b""
            while chunk := process.stdout.read(CHUNK_BYTES):
                said = (said + (process.stderr.read() or b""))[-2000:]
                yield chunk
            status = process.wait(60)
            said = (said + (process.stderr.read() or b""))[-2000:]
            if status > (0 if is_rest else _SOME_CHANGED):
                raise DriverError("The volumes could not be read whole.", said.decode(errors="replace"))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
            if is_rest:
                used.unlink(missing_ok=True)

    def unpack(self, names: Iterable[str], archive: Path) -> None:
        names = list(names)
        command = ["tar", "--extract", "--same-owner", "--same-permissions", *_AS_IT_IS]
        command += ["--listed-incremental=/dev/null", "-C", str(self._root(names)), "-f", str(archive)]
        done = subprocess.run([*command, *_members(names)], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise DriverError("The volumes could not be written.", done.stderr[-2000:].decode(errors="replace"))

    def sums(self, names: Iterable[str]) -> dict[str, str]:
        with self._host.calls("compare the volumes") as client:
            folders = {name: self._folder(client.inspect_volume(name)) for name in names}
        return {name: tree_sum(folder) for name, folder in folders.items()}

    def _root(self, names: Iterable[str]) -> Path:
        """The folder that has each volume's own in it."""
        with self._host.calls("find the volumes") as client:
            roots = {self._folder(client.inspect_volume(name)).parent.parent for name in names}
        if len(roots) != 1:
            raise Refused("The host keeps its volumes in a way that Stowage does not know.")
        return roots.pop()

    def _folder(self, volume: dict[str, Any]) -> Path:
        folder = Path(str(volume["Mountpoint"]))
        is_usual = folder.name == "_data" and folder.parent.name == volume["Name"]
        if not self._host.is_local or not is_usual or not folder.is_dir():
            raise Refused("Volumes are moved only between hosts on which hostd itself runs, with their usual folders.")
        return folder


def tree_sum(folder: Path) -> str:
    """One sum over names, kinds, modes, owners, sizes, link targets and contents.

    Sockets do not count: none is copied.
    """
    digest = hashlib.sha256()
    below = [(entry.path.removeprefix(f"{folder}/"), entry.path) for entry in _walk(folder)]
    entries = sorted([("", str(folder)), *below])
    for name, path in entries:
        found = os.lstat(path)
        if stat.S_ISSOCK(found.st_mode):
            continue
        says: list[object] = [name, found.st_mode, found.st_uid, found.st_gid]
        if stat.S_ISLNK(found.st_mode):
            says.append(os.readlink(path))
        elif stat.S_ISREG(found.st_mode):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                says += [found.st_size, hashlib.file_digest(file, "sha256").hexdigest()]
        digest.update(repr(says).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below; what goes away meanwhile is passed over."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue


def _members(names: Iterable[str]) -> list[str]:
    return [f"./{name}/_data" for name in names]


def _inspect(client: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        return dict(client.inspect_volume(name))
    except ENGINE_ERRORS as error:
        if status_of(error) == 404:
            return None
        raise
