"""Named volumes of containers over the data center in memory; a word stands for all that is in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hosts.drivers.fake import FakeDataCenter, FakeVolume
from hosts.errors import NotFound, Refused
from workloads.drivers.base import VolumeFound
from workloads.drivers.volume_spec import volumes_from


class FakeContainerVolumes:
    """The `ContainerVolumes` of one fake host. What it packs is in the world's `sent`, as the harness drops bytes."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self.world = world
        self.host = world.hosts[host]

    def found(self, uuid: str, names: Iterable[str]) -> list[VolumeFound]:
        with self.world.call(self.host, "container_volumes.found"):
            for name in names:
                for other in self.host.containers.values():
                    if other.uuid != uuid and name in [v.source for v in volumes_from(other.spec.get("volumes"))]:
                        raise Refused(f"The volume {name} is also used by {other.name}, which would lose it.")
            return [VolumeFound(name, len(self._volume(name).content)) for name in names]

    def create(self, names: Iterable[str], operation: str, need_bytes: int = 0) -> None:
        with self.world.call(self.host, "container_volumes.create"):
            for name in names:
                known = self.host.container_volumes.setdefault(name, FakeVolume("", operation))
                if known.operation != operation:
                    raise Refused(f"The host already has a volume named {name}. Rename or remove it first.")

    def remove(self, names: Iterable[str], operation: str = "") -> list[str]:
        with self.world.call(self.host, "container_volumes.remove"):
            kept = []
            for name in names:
                known = self.host.container_volumes.get(name)
                if known is None or (operation and known.operation != operation):
                    continue
                if any(
                    name in [v.source for v in volumes_from(c.spec.get("volumes"))]
                    for c in self.host.containers.values()
                ):
                    kept.append(name)
                else:
                    del self.host.container_volumes[name]
            return kept

    def pack(self, names: Iterable[str], index: Path, *, is_rest: bool) -> Iterator[bytes]:
        with self.world.call(self.host, "container_volumes.pack"):
            for name in names:
                self.world.sent_volumes[name] = self._volume(name).content
            return iter([b"packed"])

    def unpack(self, names: Iterable[str], archive: Path) -> None:
        with self.world.call(self.host, "container_volumes.unpack"):
            for name in names:
                self._volume(name).content = self.world.sent_volumes[name]

    def sums(self, names: Iterable[str]) -> dict[str, str]:
        with self.world.call(self.host, "container_volumes.sums"):
            return {name: self._volume(name).content for name in names}

    def _volume(self, name: str) -> FakeVolume:
        try:
            return self.host.container_volumes[name]
        except KeyError:
            raise NotFound(f"The host {self.host.name} has no volume {name}.") from None
