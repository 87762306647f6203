"""What lies in storage pools and whose it is: the page of storage, the API, and what may be removed ask here."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from hosts.inventory import is_silent
from hosts.models import Host, Pool, PoolFile, PoolMount
from workloads.models import VirtualMachine, Workload

LEFT_SUFFIX = ".stowage-left"
NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass(frozen=True)
class FileLine:
    """A file and whose it is. `what`: "disk", "first-boot disk", "set aside", "left over" or "other"."""

    file: PoolFile
    what: str
    owner: Workload | None
    sentence: str
    why_not: str | None  # why it cannot be removed from here


@dataclass(frozen=True)
class PoolView:
    """A pool with who mounts it. GiB; `promised_gib` is what its VMs' disks may grow to."""

    pool: Pool
    mounts: tuple[PoolMount, ...]
    capacity_gib: float
    free_gib: float
    promised_gib: float
    lines: tuple[FileLine, ...]

    @property
    def is_shared(self) -> bool:
        return len(self.mounts) > 1

    @property
    def used_percent(self) -> float:
        return 100 * (1 - self.free_gib / self.capacity_gib) if self.capacity_gib else 0.0

    @property
    def promised_percent(self) -> float:
        return 100 * self.promised_gib / self.capacity_gib if self.capacity_gib else 0.0

    @property
    def unowned(self) -> list[FileLine]:
        return [line for line in self.lines if line.why_not is None]

    @property
    def unowned_bytes(self) -> int:
        return sum(line.file.used_bytes for line in self.unowned)


def pools_viewed(now: datetime | None = None) -> list[PoolView]:
    """All pools that a host mounts, shared ones first. Four statements, however many there are."""
    mounts: dict[int, list[PoolMount]] = defaultdict(list)
    rows = PoolMount.objects.select_related("pool", "host__rack__site").order_by("host__name")
    for mount in rows:
        mounts[mount.pool_id].append(mount)
    files: dict[int, list[PoolFile]] = defaultdict(list)
    for file in PoolFile.objects.all():
        files[file.pool_id].append(file)
    owners = _owners()
    names = dict(Workload.objects.values_list("pk", "name"))
    promised, now = _promised_gib(owners), now or timezone.now()
    views = [_view(of, files[pool_id], owners, promised, names, now) for pool_id, of in mounts.items()]
    return sorted(views, key=lambda view: (not view.is_shared, view.pool.name, view.mounts[0].host.name))


def file_line(file: PoolFile, now: datetime | None = None) -> FileLine:
    """One file, judged as it stands now."""
    mounts = list(PoolMount.objects.filter(pool=file.pool).select_related("pool", "host__rack__site"))
    return _line(file, mounts, _owners(), dict(Workload.objects.values_list("pk", "name")), now or timezone.now())


Owners = dict[tuple[str, str], list[tuple[VirtualMachine, dict[str, Any]]]]  # (host, path) -> who has it as which disk


def _owners() -> Owners:
    found: Owners = defaultdict(list)
    for vm in VirtualMachine.objects.exclude(state=Workload.State.GONE).select_related("host"):
        for disk in vm.disks or []:
            found[(str(vm.host_id), str(disk.get("path", "")))].append((vm, disk))
    return found


def _view(
    mounts: list[PoolMount],
    files: list[PoolFile],
    owners: Owners,
    promised: dict[tuple[str, str], float],
    names: dict[UUID, str],
    now: datetime,
) -> PoolView:
    lines = tuple(_line(file, mounts, owners, names, now) for file in files)
    # A shared pool's figures are one file system's, seen by several hosts at moments of their own.
    return PoolView(
        mounts[0].pool,
        tuple(mounts),
        max(mount.capacity_gib for mount in mounts),
        min(mount.free_gib for mount in mounts),
        sum(promised.get((str(mount.host_id), mount.path.rstrip("/")), 0.0) for mount in mounts),
        lines,
    )


def _promised_gib(owners: Owners) -> dict[tuple[str, str], float]:
    """What disks may grow to, by host and folder."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for (host, path), having in owners.items():
        found[(host, path.rpartition("/")[0])] += sum(float(disk.get("size_gib") or 0) for _, disk in having)
    return found


def _line(file: PoolFile, mounts: list[PoolMount], owners: Owners, names: dict[UUID, str], now: datetime) -> FileLine:
    having = [(vm, disk) for mount in mounts for vm, disk in owners.get((str(mount.host_id), _path(mount, file)), ())]
    if having:
        vm, disk = having[0]
        what = "first-boot disk" if "seed" in file.name else "disk"
        return FileLine(file, what, vm, f"{disk.get('target', what)} of {vm.name}", f"It is a disk of {vm.name}.")
    number = NUMBER.match(file.name)
    if file.name.endswith(LEFT_SUFFIX):
        sentence = "Set aside in doubt; the VM it was of runs on another file, or is gone."
        return FileLine(file, "set aside", None, sentence, _why_not(mounts, now))
    if number and UUID(number[0]) in names:
        name = names[UUID(number[0])]
        return FileLine(file, "disk", None, f"made for {name}", f"It was made for {name}, which is still here.")
    if number:
        return FileLine(file, "left over", None, "Its VM is gone.", _why_not(mounts, now))
    return FileLine(
        file, "other", None, "Not made by Stowage.", "It was not made by Stowage. Remove it on its host, if at all."
    )


def _path(mount: PoolMount, file: PoolFile) -> str:
    return f"{mount.path.rstrip('/')}/{file.name}"


def host_for(mounts: list[PoolMount], now: datetime) -> Host | None:
    """A host that can remove a file of the pool now."""
    awake = [m.host for m in mounts if m.host.power != "off" and not is_silent(m.host, now)]
    return awake[0] if awake else None


def _why_not(mounts: list[PoolMount], now: datetime) -> str | None:
    """A host that does not answer may have started a VM on the file a moment ago."""
    silent = [m.host.name for m in mounts if m.host.power != "off" and is_silent(m.host, now)]
    if silent:
        return f"{silent[0]} reads this pool too and does not answer. Wait until it does."
    if host_for(mounts, now) is None:
        return "No host that reads this pool is on. Power one on first."
    return None
