"""The seam between Stowage and what runs on a host: the verbs of VMs, containers and their files.

Every verb is an "ensure": done twice it equals done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from hosts.drivers.base import WorkloadState
from workloads.drivers.specs import ContainerSpec, DiskSpec, ImageSource, NicSpec, VmSpec


@dataclass(frozen=True)
class Location:
    """Whether a host has a workload, in which state and why; the plane's answer to "is it with you?"."""

    present: bool
    state: WorkloadState = "unknown"
    reason: str = ""
    persistent: bool = False
    generation: int | None = None
    operation: str = ""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class DescribedDisk:
    """A disk of a defined VM with its two sizes: what the guest sees and what the file takes."""

    target: str
    path: str
    format: str
    size_bytes: int
    used_bytes: int
    read_only: bool = False
    cache: str | None = None
    pool: str | None = None
    pool_id: str | None = None


@dataclass(frozen=True)
class DescribedSnapshot:
    """A snapshot as its host keeps it. `taken_at_s` counts from 1970, `operation` took it (empty: somebody else)."""

    name: str
    parent: str = ""
    taken_at_s: int = 0
    has_memory: bool = False
    is_current: bool = False
    operation: str = ""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class VmDescription:
    """All that is needed to judge whether another host can take a VM."""

    uuid: str
    name: str
    xml: str
    vcpus: int
    memory_mib: int
    machine: str
    accelerator: str
    disks: tuple[DescribedDisk, ...]
    bridges: tuple[str, ...]
    serial_log: str | None
    socket_folders: tuple[str, ...] = ()
    boot_files: tuple[str, ...] = ()
    snapshots: int = 0
    generation: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    obstacles: tuple[str, ...] = ()
    cpu_xml: str | None = None
    nvram: str | None = None
    has_tpm: bool = False

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> VmDescription:
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["disks"] = tuple(DescribedDisk(**disk) for disk in data.get("disks") or ())
        for key in ("bridges", "socket_folders", "boot_files", "obstacles"):
            known[key] = tuple(data.get(key) or ())
        return cls(**known)


@dataclass(frozen=True)
class Resized:
    """What a VM has after a resize; a sentence for each part that comes only with its next start, and why."""

    vcpus: int
    memory_mib: int
    vcpus_why: str = ""
    memory_why: str = ""


@dataclass(frozen=True)
class MigrationOrder:
    """What the source needs to know to send a VM; `copied_targets` are the disks whose bytes go too."""

    uuid: str
    destination_uri: str
    migration_uri: str
    copied_targets: tuple[str, ...] = ()
    bandwidth_mib_s: int = 0
    timeout_s: float = 600.0
    generation: int = 0
    auto_converge: bool = True  # slow the guest down where it writes faster than its memory is sent


@dataclass(frozen=True)
class MigrationProgress:
    """One second of a running migration. Bytes count memory and copied disks together."""

    elapsed_s: float
    data_total_bytes: int
    data_processed_bytes: int
    data_remaining_bytes: int
    dirty_rate_bytes_s: int = 0
    iteration: int = 0
    expected_downtime_ms: int = 0
    throttle_percent: int = 0  # how much auto-converge slows the guest's CPUs down

    @property
    def percent(self) -> float | None:
        if self.data_total_bytes <= 0:
            return None
        return max(0.0, min(100.0, 100.0 * (1 - self.data_remaining_bytes / self.data_total_bytes)))


@dataclass(frozen=True)
class MigrationResult:
    """A migration that the source reports as complete; the destination is paused now."""

    seconds: float
    data_mib: float
    downtime_ms: int | None


STEADY = "It runs; it has no health check."  # what `wait_healthy` says of a container that nobody can ask


@dataclass(frozen=True)
class BackupDisk:
    """A disk to be backed up into the new file `path`. Of a tracked one its changes are remembered, as qcow2 can."""

    target: str
    path: str
    is_tracked: bool = True


@dataclass(frozen=True)
class BackupOrder:
    """What a running VM's host is to copy, and the checkpoint to make meanwhile (empty: none).

    With `since`, the name of an earlier checkpoint, only what changed after it is copied of the tracked disks.
    """

    uuid: str
    disks: tuple[BackupDisk, ...]
    checkpoint: str = ""
    since: str = ""


@dataclass(frozen=True)
class BackupProgress:
    """How far a running backup has come."""

    done_bytes: int
    total_bytes: int

    @property
    def percent(self) -> float | None:
        return min(100.0, 100.0 * self.done_bytes / self.total_bytes) if self.total_bytes > 0 else None


@dataclass(frozen=True)
class RegistryLogin:
    """Who a host is to the registry of that address."""

    address: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class VolumeFound:
    """A named volume of a container, and the bytes of what is in it."""

    name: str
    size_bytes: int


class Running(Protocol):
    """What a long verb tells about itself and asks of its caller (the plane's Progress is one)."""

    def update(
        self,
        text: str,
        percent: float | None = None,
        data: dict[str, Any] | None = None,
        *,
        at_once: bool = False,
    ) -> None: ...

    def check(self) -> None:
        """Raises when the caller wants an end."""


class VirtualMachines(Protocol):
    """The verbs of VMs on one host."""

    def locate(self, uuid: str) -> Location: ...

    def describe(self, uuid: str) -> VmDescription: ...

    def define(self, spec: VmSpec, accelerator: str) -> None:
        """Ensures the definition; a name or uuid that belongs to something else is Refused."""

    def undefine(self, uuid: str) -> None:
        """Ensures that no definition is left; a running VM is Refused."""

    def start(self, uuid: str) -> None: ...

    def stop(self, uuid: str, *, force: bool, timeout_s: float) -> str:
        """Asks the guest to shut down, its agent first; when the time is up: off by force, or TimedOut without `force`.

        Who brought it down: "agent", "ACPI" or "force"; empty for one that was off.
        """

    def destroy(self, uuid: str) -> None:
        """Ensures that the VM is off, at once."""

    def resume(self, uuid: str, generation: int) -> None:
        """Lets a paused VM run, if `generation` is at least the one it is stamped with."""

    def pause(self, uuid: str) -> None: ...

    def reset(self, uuid: str) -> None:
        """Presses the reset button: the guest boots anew at once, whatever it was doing."""

    def off_check(self, uuid: str) -> VmDescription:
        """What the VM is; raises Refused unless it is off, with none of its memory kept for its next start."""

    def rename(self, uuid: str, name: str) -> None:
        """Ensures the name of a VM that is off; one that another VM has is Refused, and so is one with snapshots."""

    def save(self, uuid: str) -> None:
        """Ensures that the VM is off with its memory on the host's disk, from where `start` brings it back."""

    def resize(self, uuid: str, vcpus: int, memory_mib: int) -> Resized:
        """Ensures the definition's size, and that of a VM that is on as far as it has room and its guest follows."""

    def next_size(self, uuid: str) -> tuple[int, int]:
        """The virtual CPUs and MiB of memory of its definition, which count from its next start on."""

    def disk_paths(self, uuid: str) -> set[str]:
        """The files of its disks, as it runs and as it is defined."""

    def disk_attach(self, uuid: str, disk: DiskSpec) -> None:
        """Ensures that it has the disk, at once and from its next start on; another one at its target is Refused."""

    def disk_detach(self, uuid: str, disk: DiskSpec) -> None:
        """Ensures that it has no disk of that file; TimedOut when its guest does not let go of it."""

    def nic_attach(self, uuid: str, nic: NicSpec) -> None:
        """Ensures that it has a network card of that address."""

    def nic_detach(self, uuid: str, nic: NicSpec) -> None:
        """Ensures that it has none of that address; TimedOut when its guest does not let go of it."""

    def cdrom_set(self, uuid: str, path: str | None) -> None:
        """Ensures a CD-ROM drive with that file (empty: with none), now and from its next start on; None: no drive.

        Refused where a VM that is on has no drive, for one cannot be added then.
        """

    def nvram_forget(self, uuid: str) -> None:
        """Removes what UEFI kept for a VM that is no longer on this host."""

    def has_said(self, uuid: str, text: str) -> bool:
        """Whether the VM's serial line said that text since it was made; looks at the last 256 KiB."""

    def memory_used_mib(self, uuid: str) -> float:
        """The host's memory that the running VM takes, its hypervisor included."""

    def disk_grow(self, uuid: str, path: str, size_bytes: int) -> bool:
        """Ensures that the guest sees a disk of that size; False, and nothing done, when the VM is off."""

    def snapshots(self, uuid: str) -> tuple[DescribedSnapshot, ...]:
        """Those that its host keeps, oldest first."""

    def snapshot_take(self, uuid: str, name: str, operation: str) -> None:
        """Ensures the operation's snapshot, with memory when the VM is on; a name that is taken is Refused."""

    def snapshot_revert(self, uuid: str, name: str) -> None:
        """Brings the VM back to that snapshot, on or off as it was then; what it was meanwhile is lost."""

    def snapshot_delete(self, uuid: str, name: str, operation: str = "") -> None:
        """Ensures that the snapshot is gone; with `operation` only if that operation took it."""

    def backup(
        self, order: BackupOrder, on_progress: Callable[[BackupProgress], None], is_aborted: Callable[[], bool]
    ) -> str:
        """Copies the disks of a VM that is on, as they are at one moment; blocks until all is in the files.

        At that moment the guest's file systems stand still, where its agent does that; the sentence why they did not.

        Raises NotFound when its host does not know, or no longer well, what changed since `order.since`; nothing
        was begun then. After any failure no checkpoint and no job of the order is left.
        """

    def backup_end(self, uuid: str, folder: str, checkpoint: str = "") -> None:
        """Ensures that no job writes into the folder, nor is there such a checkpoint; also of a VM that is gone.

        A guest whose file systems stand still from a backup that was cut short goes on.
        """

    def checkpoints_drop(self, uuid: str, keep: str = "") -> None:
        """Ensures that of the checkpoints that Stowage made only `keep` is left; the backup after that is a full one.

        libvirt neither moves nor renames a VM with checkpoints, and lets it have no snapshots beside them.
        """

    def stamp(self, uuid: str, generation: int, operation: str = "") -> None: ...

    def migrate_check(self, vm: VmDescription, *, copied_targets: Iterable[str], bridges: Iterable[str]) -> None:
        """On the destination: raises Refused with every reason why `vm` could not come here."""

    def migrate(
        self,
        order: MigrationOrder,
        on_progress: Callable[[MigrationProgress], None],
        is_aborted: Callable[[], bool],
    ) -> MigrationResult:
        """On the source: sends the VM and leaves it paused on the destination.

        An error here says nothing about where the VM is: ask both sides by `locate`.
        """


class Volumes(Protocol):
    """The files of VMs on one host."""

    def ensure(self, disk: DiskSpec, vm_uuid: str, image_path: str | None, running: Running | None = None) -> bool:
        """Ensures the disk's file, a full copy of the cached image grown to size; whether this call made it."""

    def copy(self, disk: DiskSpec, vm_uuid: str, source: DescribedDisk, running: Running | None = None) -> bool:
        """As `ensure`, a full copy of another VM's disk, without its snapshots; one in use is Refused."""

    def flatten(self, source: DescribedDisk, target: Path, running: Running | None = None) -> None:
        """Writes the disk's content to `target` as one compressed qcow2 file; a disk in use is Refused."""

    def restore(self, disk: DiskSpec, vm_uuid: str, chain: Sequence[str], running: Running | None = None) -> bool:
        """As `ensure`, from the files of a backup, the full one first and then what changed; none is written to."""

    def room_check(self, path: str, more_bytes: int) -> None:
        """Raises Refused when the file's pool has not that much room left, or when it lies in no pool."""

    def grow(self, path: str, image_format: str, size_bytes: int) -> None:
        """Ensures that the disk of a VM that is off has that size; one in use is Refused."""

    def seed_read(self, path: str, vm_uuid: str) -> bytes:
        """The bytes of the seed disk; raises Refused when there is none."""

    def seed_write(self, path: str, vm_uuid: str, image: bytes) -> None:
        """Overwrites the seed disk that stands there; raises Refused when there is none of the image's size."""

    def remove(self, path: str, vm_uuid: str) -> None:
        """Ensures that the disk is gone: deleted when Stowage made it, set aside when not."""

    def pool_of(self, path: str) -> tuple[str, str] | None: ...

    def refuse_existing(self, path: str) -> None:
        """Raises Refused when there is a file at the path, or when it lies in no pool."""

    def target_prepare(self, disks: Iterable[DescribedDisk], folders: Iterable[str]) -> list[str]:
        """Ensures empty files for disks to be copied here, and the folders; the paths that this call made."""

    def target_unprepare(self, created: Iterable[str]) -> None: ...

    def remove_unowned(self, path: str) -> None:
        """Removes a file that was set aside, or that carries a VM's uuid; Refused for any other, and while in use."""

    def quarantine(self, paths: Iterable[str]) -> list[str]:
        """Renames the files to `*.stowage-left`; the new paths."""

    def image_path(self, source: ImageSource) -> str:
        """Where the image cache keeps that image."""

    def iso_path(self, source: ImageSource) -> str:
        """Where the image cache keeps that ISO, as it is."""

    def is_iso(self, path: str) -> bool:
        """Whether that is the path of an ISO of the image cache."""

    def image_inspect(self, path: str, image_format: str) -> int:
        """The virtual size in bytes of an image that is safe to use; raises Refused when it is not one."""

    def image_accept(self, file: Path, image_format: str, made: Path, running: Running) -> Path:
        """The file itself where it is a qcow2 image that is safe to keep, else `made`, which is written from it.

        Raises Refused for what is cut off, damaged, too large, or leans on other files.
        """

    def image_unpack(self, path: str, image_format: str, target: str, running: Running | None = None) -> None:
        """Makes what the cache keeps from an inspected image: qcow2, uncompressed, so that a disk is a plain copy."""


class BackupFolders(Protocol):
    """The folders of one host that backups lie in: `folder`/VM/backup, there as a whole or not at all.

    A backup is written in a place of its own ("*.part") and gets its name when all of it is on the disk.
    """

    def folder(self, asked: str) -> str:
        """The folder, made where it is missing; the host's first where none is asked for. Refused unless allowed."""

    def begin(self, folder: str, vm: str, backup: str, need_bytes: int) -> str:
        """An empty place to write to, with that much room; its path."""

    def copy_at_rest(self, disk: DescribedDisk, path: str, running: Running | None = None) -> None:
        """Copies the disk of a VM that is off; one in use is Refused."""

    def seal(
        self, folder: str, vm: str, backup: str, manifest: dict[str, Any], running: Running | None = None
    ) -> dict[str, Any]:
        """Adds sizes and checksums to the manifest's files, keeps it beside them, and gives the backup its name."""

    def manifest(self, folder: str, vm: str, backup: str) -> dict[str, Any] | None:
        """What `seal` kept; None when there is no such backup."""

    def check(
        self, folder: str, vm: str, backup: str, files: Sequence[dict[str, Any]], running: Running | None = None
    ) -> None:
        """Raises Refused unless each file is there, has its checksum, and is sound as an image."""

    def found(self, folder: str) -> list[dict[str, Any]]:
        """The manifests of all backups that lie in the folder, finished ones only."""

    def file(self, folder: str, vm: str, backup: str, name: str) -> str:
        """The path of one of its files."""

    def remove(self, folder: str, vm: str, backup: str) -> None:
        """Ensures that nothing is left of the backup, finished or not."""


class Containers(Protocol):
    """The verbs of containers on one host."""

    def locate(self, uuid: str) -> Location: ...

    def create(self, spec: ContainerSpec) -> str:
        """Ensures the container, not started; its engine id. Another container of that name is Refused."""

    def start(self, uuid: str) -> None: ...

    def stop(self, uuid: str, timeout_s: float) -> None: ...

    def kill(self, uuid: str) -> None:
        """Ensures that it is off, without asking it first."""

    def rename(self, uuid: str, name: str) -> None:
        """Ensures the name; one that another container has is Refused."""

    def set_aside(self, uuid: str) -> None:
        """Ensures that the stopped container makes room for a successor with its uuid and name."""

    def take_back(self, uuid: str, name: str) -> None:
        """Undoes `set_aside`, once the successor is gone."""

    def drop_aside(self, uuid: str) -> None:
        """Ensures that what was set aside for that uuid is removed."""

    def image_used(self, uuid: str) -> str:
        """The engine's id of the image that the container runs from."""

    def pause(self, uuid: str) -> None: ...

    def unpause(self, uuid: str) -> None: ...

    def resize(self, uuid: str, cpu_cores: float, memory_mib: int) -> None:
        """Ensures the limits, at once; Refused where the container uses more memory than that."""

    def remove(self, uuid: str) -> None:
        """Ensures that it is gone; a running one is Refused."""

    def fence(self, uuid: str) -> str:
        """Ensures that it stays down: restart policy "no" first, then stopped. The policy that it had."""

    def restore_policy(self, uuid: str, restart_policy: str) -> None:
        """Undoes the policy part of `fence`."""

    def wait_healthy(self, uuid: str, timeout_s: float) -> str:
        """Waits until it runs and its health check, if any, passes; a sentence on how that was seen."""

    def footprint_mib(self, uuid: str) -> tuple[float, float]:
        """MiB of the host's memory that it takes now, and of its disk with the image."""

    def describe(self, uuid: str) -> ContainerSpec:
        """A spec that makes the same container elsewhere; Refused with a sentence when none can."""

    def image_id(self, reference: str) -> str | None:
        """The engine's id of the image, or None when the engine does not have it."""

    def image_pull(
        self,
        reference: str,
        running: Running,
        login: RegistryLogin | None = None,
        stall_timeout_s: float = 60.0,
    ) -> list[dict[str, Any]]:
        """Ensures the image as its registry has it now; its layers as {"layer", "status", "done_bytes", "total_bytes"}.

        Raises NotFound or Rejected with what the registry said, or when it sent nothing for that long.
        """

    def image_remove(self, engine_id: str) -> None:
        """Ensures that the image and all its names are gone; Refused while a container uses it."""

    def image_load(self, file: BinaryIO, reference: str) -> None:
        """Ensures `reference` from an archive: a saved image, or a bare root file system to import."""

    def image_save(self, reference: str) -> Iterable[bytes]:
        """The image as a saved archive, in chunks."""


class ContainerVolumes(Protocol):
    """The named volumes of the containers of one host."""

    def found(self, uuid: str, names: Iterable[str]) -> list[VolumeFound]:
        """Those of the container; Refused where another one uses one too, or one is more than a folder here."""

    def create(self, names: Iterable[str], operation: str, need_bytes: int = 0) -> None:
        """Ensures empty ones of that operation; Refused where one exists already, or without that much room."""

    def remove(self, names: Iterable[str], operation: str = "") -> list[str]:
        """Ensures that they are gone, with `operation` only those that it made; those still used, which stay."""

    def pack(self, names: Iterable[str], index: Path, *, is_rest: bool) -> Iterator[bytes]:
        """All of them as one archive, in chunks; with `is_rest` what changed since `index` was written.

        `index` is a file that the first copy writes. A first copy may be of files that change meanwhile.
        """

    def unpack(self, names: Iterable[str], archive: Path) -> None:
        """Brings them to the state that the archive tells, deletions too; nothing else is written."""

    def sums(self, names: Iterable[str]) -> dict[str, str]:
        """For each one sum over names, modes, owners, sizes and contents of all that is in it."""
