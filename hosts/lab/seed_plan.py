"""The workloads a new lab starts with: sprawled over all hosts, as in data centers that grew.

For four hosts the story is this. lab-a1 cannot be freed, since nothing else holds the warehouse; lab-b1 cannot,
since its database is pinned; lab-a2 and lab-b2 can, if the two copies of the shop end on different hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SHARED = "/var/lib/stowage/shared"
LOCAL = "/var/lib/libvirt/images"


@dataclass(frozen=True)
class SeedVm:
    """A VM. `place` counts the hosts of a lab of up to 4, `wide_place` those of a larger one.

    `load_percent` (0 to 15) becomes the last digit of its uuid, from which the guest takes it.
    """

    name: str
    place: int
    wide_place: int
    vcpus: int
    memory_mib: int
    disk_gib: int
    pool: Literal["local", "shared"]
    load_percent: int
    labels: tuple[tuple[str, str], ...] = ()

    def disk_path(self) -> str:
        return f"{SHARED if self.pool == 'shared' else LOCAL}/{self.name}.qcow2"


@dataclass(frozen=True)
class SeedContainer:
    """A container of the image stowage/tiny:1."""

    name: str
    place: int
    wide_place: int
    cpu_cores: float
    memory_mib: int
    load_percent: int
    restart: str = "unless-stopped"
    published_port: int | None = None
    labels: tuple[tuple[str, str], ...] = ()


_SHOP = (("anti-affinity", "shop"),)

VMS = (
    SeedVm("web-1", 0, 0, 1, 256, 1, "shared", 3),
    SeedVm("database-1", 1, 1, 2, 512, 2, "local", 6, (("pinned", "true"),)),
    SeedVm("shop-1", 2, 2, 1, 512, 1, "shared", 2, _SHOP),
    SeedVm("batch-1", 2, 4, 1, 512, 1, "local", 8),
    SeedVm("shop-2", 3, 3, 1, 512, 1, "shared", 2, _SHOP),
    SeedVm("mail-1", 3, 5, 1, 256, 1, "shared", 1),
)

CONTAINERS = (
    SeedContainer("warehouse", 0, 0, 2.0, 5120, 5),
    SeedContainer("cache-1", 0, 2, 0.25, 128, 0),
    SeedContainer("proxy-1", 1, 1, 0.25, 128, 2, published_port=8080),
    SeedContainer("api-1", 2, 4, 0.5, 256, 3, published_port=8081),
    SeedContainer("queue-1", 3, 3, 0.25, 128, 1),
    SeedContainer("reports-1", 3, 5, 0.25, 128, 0, restart="no"),
)


def place_of(workload: SeedVm | SeedContainer, host_count: int) -> int:
    """The number of the host that a workload starts on."""
    place = workload.place if host_count <= 4 else workload.wide_place
    return place % host_count
