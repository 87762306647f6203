"""Host planes of a data center in memory, asked directly."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hosts.drivers.fake import FakeDataCenter, FakeFile
from hosts.errors import error_from_data
from hosts.plane.config import PlaneConfig, PoolPlace
from hosts.plane.context import context_for_trial
from hosts.plane.effects import effects_load, execute
from workloads.drivers.fake import FakeVolumes, fake_drivers

effects_load(["workloads.effects.vm", "workloads.effects.container"])

UUID = str(uuid.UUID(int=21))
OPERATION = str(uuid.UUID(int=22))
IMAGE = {"image": str(uuid.UUID(int=23)), "sha256": "0" * 64, "size_bytes": 5, "format": "qcow2"}
LOCAL = "/var/lib/libvirt/images"


class MemoryControl:
    """The control plane's bytes by path or image uuid; `fetched` counts what was asked for."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def secret(self, path: str) -> str:
        raise LookupError(path)

    def image_fetch(self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Any = None) -> None:
        self.fetched.append(image)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(self.held[image])

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Any = None) -> None:
        self.held[path] = b"".join(chunks)

    def blob_fetch(self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Any = None) -> None:
        assert hashlib.sha256(self.held[path]).hexdigest() == sha256
        self.image_fetch(path, sha256, size_bytes, target)


class TrialVolumes(FakeVolumes):
    """Fake volumes whose image cache is a real folder, as `workloads.effects.image` renames real files."""

    cache: Path

    def image_path(self, source: Any) -> str:
        return f"{self.cache}/{source.image}.{source.format}"

    def image_inspect(self, path: str, image_format: str) -> int:
        self.host.files[path] = FakeFile(Path(path).read_text(), 5)
        self.host.files[path.removesuffix(".unjudged")] = self.host.files[path]
        return super().image_inspect(path, image_format)


class Planes:
    """Two host planes over one world."""

    def __init__(self, folder: Path) -> None:
        self.world = FakeDataCenter("host-1", "host-2")
        self.shared = self.world.pool_share("shared", "/shared", "host-1", "host-2")
        self.control = MemoryControl()
        self.control.held[str(IMAGE["image"])] = b"image"
        self.contexts = {}
        for name, host in self.world.hosts.items():
            volumes = TrialVolumes(self.world, name)
            volumes.cache = folder / name / "images"
            pools = tuple(PoolPlace(pool.name, pool.path) for pool in host.pools)
            config = PlaneConfig(name, str(folder / name), pools=pools, image_cache=str(folder / name / "images"))
            self.contexts[name] = context_for_trial(
                name,
                directory=folder / name,
                drivers=fake_drivers(self.world, name) | {"volumes": volumes},
                control=self.control,
                config=config,
            )

    def run(self, host: str, effect: str, direction: str = "do", **arguments: Any) -> dict[str, Any]:
        """The effect's output; raises the error that it reported."""
        command = {
            "operation": str(uuid.uuid4()),
            "step": effect,
            "direction": direction,
            "attempt": 1,
            "generation": 0,
            "effect": effect,
            "subject": None,
            "arguments": arguments,
            "deadline_at": time.time() + 60,
            "timeout_s": 60,
            "sent_at": time.time(),
        }
        report = execute(self.contexts[host], command)
        assert report is not None
        if report["error"]:
            raise error_from_data(report["error"])
        return dict(report["output"])


def vm_spec(folder: str = "/shared", **changes: Any) -> dict[str, Any]:
    path = f"{folder}/{UUID}-vda.qcow2"
    base = {
        "uuid": UUID,
        "name": "web-1",
        "vcpus": 1,
        "memory_mib": 128,
        "disks": [{"target": "vda", "pool": "shared", "path": path, "size_gib": 1, "format": "qcow2", "image": IMAGE}],
        "nics": [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}],
        "generation": 1,
        "operation": OPERATION,
        "labels": {},
    }
    return base | changes


def container_spec(**changes: Any) -> dict[str, Any]:
    base = {"uuid": UUID, "name": "web-1", "image": "busybox:latest", "cpu_cores": 1, "memory_mib": 64}
    return base | {"restart_policy": "always", "operation": OPERATION, "generation": 1} | changes
