"""The folders of backups of one fake host. A file's checksum is that of the word that stands for its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from hosts.drivers.fake import FakeDataCenter, FakeFile
from hosts.errors import Refused
from workloads.drivers.base import DescribedDisk, Running

FOLDER = "/var/backups/stowage"


class FakeBackupFolders:
    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self.world = world
        self.host = world.hosts[host]

    def folder(self, asked: str) -> str:
        if asked and not asked.startswith(FOLDER):
            raise Refused(f"The folder {asked} may not be used for backups: it is not within the host's list.")
        return asked or FOLDER

    def begin(self, folder: str, vm: str, backup: str, need_bytes: int) -> str:
        with self.world.call(self.host, "backup.begin"):
            part = f"{self.folder(folder)}/{vm}/{backup}.part"
            self._forget(part)
            return part

    def copy_at_rest(self, disk: DescribedDisk, path: str, running: Running | None = None) -> None:
        with self.world.call(self.host, "backup.copy_at_rest"):
            file = self.host.files_for(disk.path)[disk.path]
            self.host.backups[path] = FakeFile(file.content, file.size_bytes)

    def seal(
        self, folder: str, vm: str, backup: str, manifest: dict[str, Any], running: Running | None = None
    ) -> dict[str, Any]:
        with self.world.call(self.host, "backup.seal"):
            place, files = f"{folder}/{vm}/{backup}", []
            for entry in manifest["files"]:
                file = self.host.backups.pop(f"{place}.part/{entry['file']}")
                self.host.backups[f"{place}/{entry['file']}"] = file
                sizes = {"size_bytes": file.size_bytes, "virtual_bytes": file.size_bytes}
                files.append({**entry, **sizes, "sha256": _sum(file)})
            whole = {**manifest, "files": files}
            self.host.backups[f"{place}/manifest.json"] = FakeFile(json.dumps(whole), 1)
            return whole

    def manifest(self, folder: str, vm: str, backup: str) -> dict[str, Any] | None:
        file = self.host.backups.get(f"{folder}/{vm}/{backup}/manifest.json")
        return json.loads(file.content) if file else None

    def check(
        self, folder: str, vm: str, backup: str, files: Sequence[dict[str, Any]], running: Running | None = None
    ) -> None:
        with self.world.call(self.host, "backup.check"):
            for entry in files:
                file = self.host.backups.get(self.file(folder, vm, backup, entry["file"]))
                if file is None:
                    raise Refused(f"{entry['file']} is gone, or cannot be read.")
                if _sum(file) != entry["sha256"]:
                    raise Refused(f"{entry['file']} is not what was written: its checksum differs.")

    def found(self, folder: str) -> list[dict[str, Any]]:
        with self.world.call(self.host, "backup.found"):
            files = [file for path, file in sorted(self.host.backups.items()) if path.endswith("/manifest.json")]
            return [json.loads(file.content) for file in files]

    def file(self, folder: str, vm: str, backup: str, name: str) -> str:
        return f"{folder}/{vm}/{backup}/{name}"

    def remove(self, folder: str, vm: str, backup: str) -> None:
        with self.world.call(self.host, "backup.remove"):
            for path in (f"{folder}/{vm}/{backup}", f"{folder}/{vm}/{backup}.part"):
                self._forget(path)

    def _forget(self, folder: str) -> None:
        for path in [path for path in self.host.backups if path.startswith(f"{folder}/")]:
            del self.host.backups[path]


def _sum(file: FakeFile) -> str:
    return hashlib.sha256(file.content.encode()).hexdigest()
