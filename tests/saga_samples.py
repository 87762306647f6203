"""A sample of every saga: a small data center, the operation begun in it, and what must be true at its end.

`test_sagas.py` finds sagas in the registry and fails for one that has no sample here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from hosts import services as host_services
from hosts.drivers.fake import FakeContainer, FakeDataCenter, FakeDisk, FakeDomain, FakeFile, FakeSnapshot, FakeVolume
from hosts.models import Bmc, BmcProposal, Host, Lease, Operation, Pool, PoolFile, Wake
from hosts.operations.start import operation_start
from hosts.units import GIB
from tests.factories import (
    SHARED_POOL,
    container_make,
    host_make,
    image_make,
    pool_mount_make,
    rack_make,
    user_make,
    vm_make,
)
from tests.hosts.operations.harness import Harness
from workloads import services
from workloads.drivers.base import RegistryLogin
from workloads.first_boot import FirstBoot
from workloads.models import (
    Backup,
    Container,
    HostImage,
    Image,
    ImageArrival,
    Measurement,
    Snapshot,
    VirtualMachine,
    VmSeed,
    Workload,
)
from workloads.sagas.restart_elsewhere import vm_spec

IMAGES = "/var/lib/libvirt/images/"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1mHq3l0m8Yf3v0T0g8H5b8v7R6c2Q1q9J0s3n4k5Zx ann@here"
FACTS = {
    "machine_id": "0" * 31 + "1",
    "host_uuid": "11111111-2222-3333-4444-555555555555",
    "cpu_cores": 4,
    "memory_mib": 4096,
    "disk_gib": 100,
    "pools": [
        {"name": "local", "path": "/var/lib/libvirt/images", "pool_id": "p1", "capacity_gib": 100, "free_gib": 90}
    ],
}


@dataclass
class Sample:
    """One saga's trial. `is_done` is asked after success.

    `stays_changed` names what a failed operation may leave changed in the world, because its saga says so: a
    guest that was shut down is not booted again, a machine that was woken is not cut off.
    """

    harness: Harness
    operation: Operation
    is_done: Callable[[], bool]
    stays_changed: tuple[str, ...] = ()

    @property
    def world(self) -> FakeDataCenter:
        return self.harness.world


@dataclass
class Place:
    """Two hosts, in the database and in the world alike, that share a pool."""

    world: FakeDataCenter
    harness: Harness
    alpha: Host
    beta: Host
    user: User


def place_make() -> Place:
    world = FakeDataCenter("alpha", "beta")
    pool = world.pool_share("shared", SHARED_POOL, "alpha", "beta")
    shared = Pool.objects.create(pool_id=pool.pool_id, name="shared")
    hosts = []
    for name in ("alpha", "beta"):
        host = host_make(name, management_address=world.hosts[name].address)
        pool_mount_make(host, shared, SHARED_POOL)
        hosts.append(host)
    return Place(world, Harness(world), hosts[0], hosts[1], user_make("administrator"))


def vm_in(place: Place, *, shared: bool = False, state: str = "running") -> Workload:
    """A VM on alpha, in the database and in the world."""
    path = f"{SHARED_POOL}/%s.qcow2" if shared else "/var/lib/libvirt/images/%s-vda.qcow2"
    vm = vm_make(place.alpha, "web-1", state=state)
    path = path % vm.pk
    vm.disks[0]["path"] = path
    vm.save()
    domain = FakeDomain(str(vm.pk), vm.name, 1, 256, [FakeDisk("vda", path, "qcow2", GIB)], ["stw0"])
    domain.state = state  # type: ignore[assignment]
    domain.reason = f"{state} (booted)"
    domain.serial_log = f"/var/log/libvirt/qemu/{vm.pk}-serial.log"
    host = place.world.hosts["alpha"]
    host.domains[domain.uuid] = domain
    host.files_for(path)[path] = FakeFile("guest data", GIB)
    return Workload.objects.get(pk=vm.pk)


def container_in(place: Place, *, state: str = "running") -> Workload:
    """A container on alpha, in the database and in the world."""
    row = container_make(place.alpha, "cache-1", state=state)
    container = FakeContainer(str(row.pk), row.name, row.image_reference, state=state)  # type: ignore[arg-type]
    container.restart_policy = "always"
    container.cpu_cores, container.memory_mib = row.cpu_cores, row.memory_mib
    place.world.hosts["alpha"].containers[container.uuid] = container
    place.world.hosts["alpha"].images[row.image_reference] = "sha256:busybox"
    return Workload.objects.get(pk=row.pk)


def runs_only_on(place: Place, workload: Workload, name: str) -> bool:
    row = Workload.objects.get(pk=workload.pk)
    return place.world.places(str(workload.pk)) == {name: "running"} and row.host is not None and row.host.name == name


def _create_vm() -> Sample:
    place = place_make()
    image = image_make("tiny")
    operation = services.vm_create(
        place.user, name="web-9", image=image, cpu_cores=1, memory_mib=256, disk_gib=1, host=place.alpha
    )
    workload_id = operation.subject_id
    return Sample(place.harness, operation, lambda: place.world.places(workload_id) == {"alpha": "running"})


def _create_vm_with_seed() -> Sample:
    place = place_make()
    operation = services.vm_create(
        place.user,
        name="web-9",
        image=image_make("debian"),
        cpu_cores=1,
        memory_mib=256,
        disk_gib=1,
        host=place.alpha,
        first_boot=FirstBoot(user="ann", ssh_keys=(SSH_KEY,)),
    )
    workload_id = operation.subject_id

    def is_done() -> bool:
        seeds = [path for path in place.world.hosts["alpha"].files_for(IMAGES) if path.endswith("-seed.img")]
        return (
            place.world.places(workload_id) == {"alpha": "running"} and len(seeds) == 1 and not VmSeed.objects.exists()
        )

    return Sample(place.harness, operation, is_done)


def _resize(make: Callable[[Place], Workload], waits: bool) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        workload = make(place)
        operation = services.workload_resize(place.user, workload, cpu_cores=2, memory_mib=512)

        def is_done() -> bool:
            row = Workload.objects.get(pk=workload.pk)
            vm = VirtualMachine.objects.filter(pk=workload.pk).first()
            is_waiting = vm is not None and vm.next_size == {"cpu_cores": 2, "memory_mib": 512}
            return is_waiting == waits and (row.memory_mib == 512) != waits

        return Sample(place.harness, operation, is_done)

    return sample


def _grow_disk(state: str) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        pool_mount_make(place.alpha, Pool.objects.create(pool_id="p9", name="local"), IMAGES.rstrip("/"))
        vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state=state).pk)
        path = vm.disks[0]["path"]
        operation = services.disk_grow(place.user, vm, target="vda", size_gib=2)

        def is_done() -> bool:
            row = VirtualMachine.objects.get(pk=vm.pk)
            size = place.world.hosts["alpha"].files_for(path)[path].size_bytes
            return (size, row.disks[0]["size_gib"], row.disk_gib) == (2 * GIB, 2, 2)

        return Sample(place.harness, operation, is_done, ("size_bytes",))

    return sample


def _cdrom(verb: str, state: str = "running") -> Callable[[], Sample]:
    """An ISO put into a VM's drive, or taken out."""

    def sample() -> Sample:
        place = place_make()
        vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state=state).pk)
        domain = place.world.hosts["alpha"].domains[str(vm.pk)]
        old = f"/var/lib/stowage/images/{vm.pk}-0123456789abcdef.iso"
        if state == "running":
            domain.cdrom = vm.cdrom_path = old
            vm.has_cdrom = True
            vm.save()
        image = image_make("debian-iso", format="iso")
        if verb == "insert":
            operation = services.iso_insert(place.user, vm, image=image)
        else:
            operation = services.iso_eject(place.user, vm)

        def is_done() -> bool:
            row = VirtualMachine.objects.get(pk=vm.pk)
            inside = str(image.pk) in row.cdrom_path if verb == "insert" else row.cdrom_path == ""
            return inside and row.has_cdrom and domain.cdrom == row.cdrom_path

        return Sample(place.harness, operation, is_done)

    return sample


def _move_with_iso() -> Sample:
    place = place_make()
    vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, shared=True).pk)
    image = image_make("debian-iso", format="iso")
    path = f"/var/lib/stowage/images/{image.pk}-{image.sha256[:16]}.iso"
    place.world.hosts["alpha"].domains[str(vm.pk)].cdrom = path
    operation = services.workload_move(place.user, vm, target=place.beta)
    return Sample(place.harness, operation, lambda: runs_only_on(place, vm, "beta"))


def _create_vm_from_iso() -> Sample:
    place = place_make()
    place.alpha.facts = {"firmwares": ["bios", "efi"]}
    place.alpha.save()
    operation = services.vm_create(
        place.user,
        name="web-9",
        image=None,
        iso=image_make("debian-iso", format="iso"),
        firmware="uefi",
        cpu_cores=1,
        memory_mib=256,
        disk_gib=1,
        host=place.alpha,
    )
    uuid = operation.subject_id

    def is_done() -> bool:
        domain = place.world.hosts["alpha"].domains[uuid]
        return domain.state == "running" and (domain.cdrom or "").endswith(".iso")

    return Sample(place.harness, operation, is_done)


def _copied(verb: str, **values: object) -> Callable[[], Sample]:
    """A VM that is off, made into another one or into an image."""

    def sample() -> Sample:
        place = place_make()
        pool_mount_make(place.alpha, Pool.objects.create(pool_id="p9", name="local"), IMAGES.rstrip("/"))
        vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state="stopped").pk)
        VirtualMachine.objects.update(nics=[{"bridge": "stw0", "mac": "52:54:00:00:00:01"}])
        if verb == "image":
            operation = services.vm_save_image(place.user, vm, name="golden")
        else:
            operation = services.vm_clone(place.user, vm, name="web-2", **values)  # type: ignore[arg-type]

        def is_image() -> bool:
            image = Image.objects.get(name="golden")
            return image.path.is_file() and image.virtual_size_bytes == GIB

        def is_clone() -> bool:
            row = VirtualMachine.objects.get(name="web-2")
            state = "running" if values.get("start") else "stopped"
            files = place.world.hosts["alpha"].files_for(IMAGES)
            return (
                place.world.places(str(row.pk)) == {"alpha": state}
                and row.state == state
                and files[row.disks[0]["path"]].content == "guest data"
                and not VmSeed.objects.exists()
            )

        return Sample(place.harness, operation, is_image if verb == "image" else is_clone)

    return sample


def _measure(kind: str) -> Callable[[], Sample]:
    """One of the pair; the container's waits until the VM's is over, which it is."""

    def sample() -> Sample:
        place = place_make()
        place.world.hosts["alpha"].images["busybox:1"] = "sha256:busybox"
        vm, container = services.choice_measure(
            place.user, place.alpha, image=image_make("tiny"), container_image="busybox:1"
        )
        other, operation = (container, vm) if kind == "vm" else (vm, container)
        Workload.objects.filter(pk=other.subject_id).delete()
        Lease.objects.filter(operation=other).delete()
        Operation.objects.filter(pk=other.pk).update(state="done")

        def is_done() -> bool:
            row = Measurement.objects.get()
            return (
                (row.kind, row.promised_mib) == (kind, 256)
                and row.used_mib > 0
                and place.world.places(operation.subject_id) == {}
                and not Workload.objects.filter(pk=operation.subject_id).exists()
            )

        return Sample(place.harness, operation, is_done)

    return sample


def _device(verb: str, state: str = "running") -> Callable[[], Sample]:
    """A disk or network card given to a VM, or taken from it."""

    def sample() -> Sample:
        place = place_make()
        pool_mount_make(place.alpha, Pool.objects.create(pool_id="p9", name="local"), IMAGES.rstrip("/"))
        Host.objects.update(links=[{"name": "stw0", "kind": "bridge"}])
        vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state=state).pk)
        domain = place.world.hosts["alpha"].domains[str(vm.pk)]
        files = place.world.hosts["alpha"].files_for(IMAGES)
        path, mac = f"{IMAGES}{vm.pk}-vdb-1.qcow2", "52:54:00:00:00:09"
        if verb == "detach":
            vm.disks.append(vm.disks[0] | {"target": "vdb", "path": path})
            domain.disks.append(FakeDisk("vdb", path, "qcow2", GIB))
            files[path] = FakeFile("data", GIB)
        if verb == "nic_detach":
            vm.nics = [{"bridge": "stw0", "mac": mac}]
            domain.nics.append(mac)
        vm.save()
        operation = {
            "add": lambda: services.disk_add(place.user, vm, size_gib=1),
            "detach": lambda: services.disk_detach(place.user, vm, target="vdb", remove_file=True),
            "nic_add": lambda: services.nic_add(place.user, vm, bridge="stw0"),
            "nic_detach": lambda: services.nic_detach(place.user, vm, mac=mac),
        }[verb]()

        def is_done() -> bool:
            row = VirtualMachine.objects.get(pk=vm.pk)
            if verb.startswith("nic"):
                return [nic["mac"] for nic in row.nics] == domain.nics and len(domain.nics) == (verb == "nic_add")
            if verb == "detach":
                return len(row.disks) == len(domain.disks) == 1 and path not in files
            return [disk["path"] for disk in row.disks] == [disk.path for disk in domain.disks] and len(row.disks) == 2

        # what a guest has let go of it is asked to let go of no more
        return Sample(place.harness, operation, is_done)

    return sample


def _import_image() -> Sample:
    """An upload of a foreign format; it is there until its image is."""
    place = place_make()
    arrival = services.arrival_begin(place.user, name="golden", format="vmdk", size_bytes=4)
    services.arrival_write(place.user, arrival, 0, [b"KDMV"])
    operation = services.arrival_finish(place.user, arrival, host=place.alpha)
    assert isinstance(operation, Operation)

    def is_done() -> bool:
        image = Image.objects.get(name="golden")
        return image.path.is_file() and image.virtual_size_bytes == GIB and not ImageArrival.objects.exists()

    return Sample(place.harness, operation, is_done)


def _backed_up(place: Place, *, state: str = "running", times: int = 1) -> tuple[VirtualMachine, list[Backup]]:
    """A VM on alpha with that many backups, the first a full one; newest last."""
    pool_mount_make(place.alpha, Pool.objects.create(pool_id="p9", name="local"), IMAGES.rstrip("/"))
    vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state=state).pk)
    VirtualMachine.objects.update(nics=[{"bridge": "stw0", "mac": "52:54:00:00:00:01"}])
    for number in range(times):
        place.world.hosts["alpha"].files_for(IMAGES)[vm.disks[0]["path"]].content = f"guest data {number}"
        operation = place.harness.run(services.vm_back_up(place.user, vm))
        assert operation.state == "done", operation.message
        place.harness.now += timedelta(hours=1)
    return vm, list(Backup.objects.order_by("taken_at"))


def _back_up(state: str, kind: str, *, times: int, keep: int = 0) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        vm, before = _backed_up(place, state=state, times=times)
        operation = services.vm_back_up(place.user, vm, kind=kind, keep=keep)
        alpha = place.world.hosts["alpha"]

        def is_done() -> bool:
            row = Backup.objects.get(pk=operation.parameters["backup"])
            is_part = kind == "incremental" and times > 0 and state == "running"
            is_linked = row.parent_id == (before[-1].pk if is_part else None)
            kept = {row.pk} if keep else {row.pk, *(each.pk for each in before)}
            # What could not be removed now is marked, and its files are still there.
            marked = set(Backup.objects.filter(state="removing").values_list("pk", flat=True))
            folders = {path.split("/")[-2] for path in alpha.backups}
            checkpoints = alpha.domains[str(vm.pk)].checkpoints
            return (
                is_linked
                and row.kind == ("incremental" if is_part else "full")
                and folders == {str(pk) for pk in kept | marked}
                and set(Backup.objects.values_list("pk", flat=True)) == kept | marked
                and checkpoints[-1:] == ([f"stowage-{row.pk}"] if state == "running" else [])
            )

        return Sample(place.harness, operation, is_done)

    return sample


def _verify_backup() -> Sample:
    place = place_make()
    _, backups = _backed_up(place, times=2)
    operation = services.backup_verify(place.user, backups[-1])
    return Sample(place.harness, operation, lambda: Backup.objects.filter(verified_at=None).count() == 0 < len(backups))


def _delete_backup() -> Sample:
    place = place_make()
    _, backups = _backed_up(place, times=2)
    operation = services.backup_delete(place.user, backups[-1])
    alpha = place.world.hosts["alpha"]

    def is_done() -> bool:
        left = {path.split("/")[-2] for path in alpha.backups}
        return left == {str(backups[0].pk)} and list(Backup.objects.all()) == [backups[0]]

    return Sample(place.harness, operation, is_done, ("backups",))


def _find_backups() -> Sample:
    place = place_make()
    _, backups = _backed_up(place, times=3)
    kept = list(Backup.objects.order_by("taken_at"))
    for row in backups[::-1]:
        row.delete()
    operation = services.backups_find(place.user, place.alpha)

    def is_done() -> bool:
        found = list(Backup.objects.order_by("taken_at"))
        told = [(row.pk, row.parent_id, row.kind, row.vm_name, row.files) for row in found]
        return told == [(row.uuid, row.parent_id, row.kind, row.vm_name, row.files) for row in kept]

    return Sample(place.harness, operation, is_done)


def _restore_vm(seed: dict[str, str] | None = None) -> Sample:
    place = place_make()
    _, backups = _backed_up(place, times=2)
    Backup.objects.filter(pk=backups[-1].pk).update(spec=backups[-1].spec | {"seed": seed or {}})
    operation = services.backup_restore(place.user, backups[-1], name="web-2")

    def is_done() -> bool:
        row = VirtualMachine.objects.get(name="web-2")
        content = place.world.hosts["alpha"].files_for(IMAGES)[row.disks[0]["path"]].content
        is_there = place.world.places(str(row.pk)) == {"alpha": "stopped"} and row.state == "stopped"
        seeds = [path for path in place.world.hosts["alpha"].files_for(IMAGES) if path.endswith("-seed.img")]
        is_there = is_there and len(seeds) == bool(seed) and not VmSeed.objects.exists()
        return is_there and content == "guest data 1" and row.nics[0]["mac"] != "52:54:00:00:00:01"

    return Sample(place.harness, operation, is_done)


def _snapshot(verb: str, state: str = "running") -> Callable[[], Sample]:
    """Taken, gone back to or deleted; the one that is there was taken while the VM was off."""

    def sample() -> Sample:
        place = place_make()
        vm = VirtualMachine.objects.select_related("host").get(pk=vm_in(place, state=state).pk)
        domain = place.world.hosts["alpha"].domains[str(vm.pk)]
        if verb == "take":
            operation = services.snapshot_take(place.user, vm, name="before")
        else:
            domain.snapshots.append(FakeSnapshot("before", "", "stopped", "virsh"))
            row = Snapshot.objects.create(vm=vm, name="before", taken_at=timezone.now())
            Workload.objects.filter(pk=vm.pk).update(snapshot_count=1)
            VirtualMachine.objects.filter(pk=vm.pk).update(next_size={"cpu_cores": 2, "memory_mib": 512})
            act = {"revert": services.snapshot_revert, "delete": services.snapshot_delete}[verb]
            operation = act(place.user, row)

        def is_done() -> bool:
            row = Workload.objects.get(pk=vm.pk)
            names = [snapshot.name for snapshot in domain.snapshots]
            told = list(Snapshot.objects.values_list("name", flat=True))
            is_there = names == told == (["before"] if verb != "delete" else []) and row.snapshot_count == len(names)
            is_back = row.state == domain.state == "stopped" and domain.generation != 0
            is_small_again = VirtualMachine.objects.get(pk=vm.pk).next_size == {}
            return is_there and (verb != "revert" or (is_back and is_small_again))

        gone = {"revert": ("state", "reason", "generation", "operation"), "delete": ("snapshots",)}
        return Sample(place.harness, operation, is_done, gone.get(verb, ()))

    return sample


def _wipe_seed() -> Sample:
    place = place_make()
    vm = VirtualMachine.objects.get(pk=vm_in(place).pk)
    path = f"{IMAGES}{vm.pk}-seed.img"
    vm.disks.append({"target": "vdb", "path": path, "format": "raw", "size_gib": 1 / 1024})
    vm.has_seed = True
    vm.save()
    file = FakeFile("seed", 1024**2)
    host = place.world.hosts["alpha"]
    host.files_for(path)[path] = file
    host.domains[str(vm.pk)].disks.append(FakeDisk("vdb", path, "raw", 1024**2))
    operation = services.seed_wipe(place.user, vm)

    def is_done() -> bool:
        return file.content == "zeros" and not VirtualMachine.objects.get(pk=vm.pk).has_seed

    return Sample(place.harness, operation, is_done, ("content",))


def _create_container() -> Sample:
    place = place_make()
    image_make("busybox", format=Image.Format.ENGINE_ARCHIVE, reference="busybox:latest")
    operation = services.container_create(
        place.user, name="cache-9", image="busybox:latest", cpu_cores=0.5, memory_mib=64, host=place.alpha
    )
    workload_id = operation.subject_id
    return Sample(place.harness, operation, lambda: place.world.places(workload_id) == {"alpha": "running"})


def _create_container_behind_a_password() -> Sample:
    place = place_make()
    _registry_with_password(place)
    operation = services.container_create(
        place.user, name="cache-9", image=GUARDED, cpu_cores=0.5, memory_mib=64, host=place.alpha
    )
    workload_id = operation.subject_id
    return Sample(place.harness, operation, lambda: place.world.places(workload_id) == {"alpha": "running"})


GUARDED = "registry.example:5000/team/app:1"


def _registry_with_password(place: Place) -> None:
    login = {"address": "registry.example:5000", "username": "puller", "password": "bmc-password"}
    services.registry_add(place.user, **login)
    place.world.registry.add(GUARDED)
    place.world.registry_logins[GUARDED] = RegistryLogin(**login)


def _pull_image() -> Sample:
    place = place_make()
    _registry_with_password(place)
    operation = services.container_image_pull(place.user, place.alpha, image=GUARDED)
    return Sample(place.harness, operation, lambda: GUARDED in place.world.hosts["alpha"].images, ("images",))


def _remove_image() -> Sample:
    place = place_make()
    place.world.hosts["alpha"].images["old:1"] = "sha256:old"
    image = HostImage.objects.create(host=place.alpha, engine_id="sha256:old", names=["old:1"])
    operation = services.container_image_remove(place.user, image)
    return Sample(place.harness, operation, lambda: place.world.hosts["alpha"].images == {}, ("images",))


def _remove_pool_file() -> Sample:
    place = place_make()
    name = "11111111-1111-1111-1111-111111111111-vda.qcow2.1.stowage-left"
    files = place.world.hosts["alpha"].files_for(f"{SHARED_POOL}/{name}")
    files[f"{SHARED_POOL}/{name}"] = FakeFile("left", 1)
    file = PoolFile.objects.create(pool=Pool.objects.get(name="shared"), name=name, changed_at=timezone.now())
    operation = services.pool_file_remove(place.user, file)
    return Sample(place.harness, operation, lambda: not files and not PoolFile.objects.exists())


def _life(make: Callable[[Place], Workload], verb: str) -> Callable[[], Sample]:
    ends = {
        "start": {"alpha": "running"},
        "stop": {"alpha": "stopped"},
        "restart": {"alpha": "running"},
        "pause": {"alpha": "paused"},
        "resume": {"alpha": "running"},
        "reset": {"alpha": "running"},
        "save": {"alpha": "stopped"},
        "delete": {},
    }

    def sample() -> Sample:
        place = place_make()
        workload = make(place)
        operation = getattr(services, f"workload_{verb}")(place.user, workload)
        changed = ("state",) if verb == "stop" else ()
        return Sample(place.harness, operation, lambda: place.world.places(str(workload.pk)) == ends[verb], changed)

    return sample


def _rename(make: Callable[[Place], Workload]) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        workload = make(place)
        operation = services.workload_rename(place.user, workload, name="other-1")
        host = place.world.hosts["alpha"]

        def is_done() -> bool:
            thing = host.domains.get(str(workload.pk)) or host.containers[str(workload.pk)]
            return thing.name == Workload.objects.get(pk=workload.pk).name == "other-1"

        return Sample(place.harness, operation, is_done)

    return sample


def _recreate(image: str) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        place.world.registry.add("busybox:2")
        container = Container.objects.get(pk=container_in(place).pk)
        operation = services.container_recreate(place.user, container, image=image)
        containers = place.world.hosts["alpha"].containers

        def is_done() -> bool:
            row = Container.objects.get(pk=container.pk)
            made = containers[str(row.pk)]
            is_new = made.image == row.image_reference == (image or "busybox:latest")
            return is_new and len(containers) == 1 and made.generation == row.generation and made.state == "running"

        return Sample(place.harness, operation, is_done)

    return sample


def _migrate(*, shared: bool) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        vm = vm_in(place, shared=shared)
        operation = services.workload_move(place.user, vm, target=place.beta)
        return Sample(place.harness, operation, lambda: runs_only_on(place, vm, "beta"))

    return sample


def _relocate(*, image_in_registry: bool) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        if not image_in_registry:
            place.world.registry.clear()
        container = container_in(place)
        operation = services.workload_move(place.user, container, target=place.beta)
        return Sample(place.harness, operation, lambda: runs_only_on(place, container, "beta"))

    return sample


DATA = {"kind": "volume", "source": "data", "target": "/data", "is_read_only": False}


def _with_volume(place: Place, *, state: str = "running") -> Workload:
    """A container on alpha with a named volume that has something in it."""
    container = container_in(place, state=state)
    Container.objects.filter(pk=container.pk).update(volumes=[DATA])
    made = place.world.hosts["alpha"].containers[str(container.pk)]
    made.spec = {
        "uuid": made.uuid,
        "name": made.name,
        "image": made.image,
        "cpu_cores": made.cpu_cores,
        "memory_mib": made.memory_mib,
        "restart_policy": made.restart_policy,
        "volumes": [DATA],
    }
    place.world.hosts["alpha"].container_volumes["data"] = FakeVolume("what was written")
    return container


def _relocate_with_volume() -> Sample:
    place = place_make()
    container = _with_volume(place)
    operation = services.workload_move(place.user, container, target=place.beta)
    alpha, beta = place.world.hosts["alpha"], place.world.hosts["beta"]

    def is_done() -> bool:
        is_there = "data" in beta.container_volumes and beta.container_volumes["data"].content == "what was written"
        return runs_only_on(place, container, "beta") and is_there and not alpha.container_volumes

    return Sample(place.harness, operation, is_done)


def _create_container_with_volume() -> Sample:
    place = place_make()
    operation = services.container_create(
        place.user,
        name="cache-9",
        image="busybox:latest",
        cpu_cores=0.5,
        memory_mib=64,
        host=place.alpha,
        volumes=[{"source": "data", "target": "/data"}],
    )
    workload_id = operation.subject_id
    alpha = place.world.hosts["alpha"]

    def is_done() -> bool:
        return place.world.places(workload_id) == {"alpha": "running"} and list(alpha.container_volumes) == ["data"]

    return Sample(place.harness, operation, is_done)


def _delete_with_volume(is_wanted: bool) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        container = _with_volume(place, state="stopped")
        operation = services.workload_delete(place.user, container, with_volumes=is_wanted)
        alpha = place.world.hosts["alpha"]

        def is_done() -> bool:
            is_gone = place.world.places(str(container.pk)) == {}
            return is_gone and list(alpha.container_volumes) == ([] if is_wanted else ["data"])

        return Sample(place.harness, operation, is_done)

    return sample


def _enrol() -> Sample:
    place = place_make()
    place.world.host_add("gamma", bridges=set())
    place.harness.answers = {
        "host.discover": {"gamma": FACTS},
        "host.probe_accelerator": {"gamma": {"accelerator": "tcg", "sentence": "No KVM here.", "seconds": 1}},
    }
    enrolment = host_services.host_enrol(
        place.user,
        name="gamma",
        rack=rack_make(),
        management_address="10.77.0.99",
        bmc_url="http://10.77.0.1:8000",
        bmc_system="gamma",
        bmc_username="admin",
        bmc_password="secret",
    )

    def is_done() -> bool:
        host = Host.objects.get(pk=enrolment.host.pk)
        return host.lifecycle == "enrolled" and host.memory_mib == 4096 and "stw0" in place.world.hosts["gamma"].bridges

    return Sample(place.harness, enrolment.operation, is_done)


def _edit_bmc() -> Sample:
    place = place_make()
    operation = host_services.host_bmc_edit(
        place.user,
        place.beta,
        url="http://10.77.0.2:8000",
        system="beta",
        username="root",
        password="hunter2-hunter2",
    )

    def is_done() -> bool:
        return Bmc.objects.get(host=place.beta).username == "root" and not BmcProposal.objects.exists()

    return Sample(place.harness, operation, is_done)


def _power_off() -> Sample:
    place = place_make()
    operation = host_services.host_power_off(place.user, place.beta)

    def is_done() -> bool:
        host = Host.objects.get(pk=place.beta.pk)
        return not place.world.hosts["beta"].powered and host.power == "off" and host.is_cordoned

    return Sample(place.harness, operation, is_done)


def _power_off_by_lan() -> Sample:
    """Nobody can read the power: what counts is that its address is silent and its plane was not heard lately."""
    place = place_make()
    Bmc.objects.filter(host=place.beta).update(url="wol:02:6c:62:0a:0b:0c")
    heard = timezone.now() - timedelta(seconds=20)
    Host.objects.filter(pk=place.beta.pk).update(can_shut_down=True, last_seen_at=heard)
    place.harness.answers = {
        "host.shut_down": {"beta": {"asked": True}},
        "power.silence": {place.beta.rack.site.name: {"power": "off"}},
    }
    operation = host_services.host_power_off(place.user, place.beta)

    def is_done() -> bool:
        host = Host.objects.get(pk=place.beta.pk)
        cut = [effect for _, effect, _ in place.harness.effects if effect == "power.off"]
        return not cut and host.power == "off" and host.is_cordoned

    return Sample(place.harness, operation, is_done)


def _power_on() -> Sample:
    place = place_make()
    place.world.power_set("beta", False)
    Host.objects.filter(pk=place.beta.pk).update(power="off", desired_power="off", is_cordoned=True)
    place.beta.refresh_from_db()
    operation = host_services.host_power_on(place.user, place.beta)

    def is_done() -> bool:
        host = Host.objects.get(pk=place.beta.pk)
        return place.world.hosts["beta"].powered and host.power == "on" and not host.is_cordoned

    return Sample(place.harness, operation, is_done, ("powered",))


def _wake_drill() -> Sample:
    place = place_make()
    operation = host_services.host_wake_drill(place.user, place.beta)

    def is_done() -> bool:
        host = Host.objects.get(pk=place.beta.pk)
        wake = Wake.objects.get(host=host)
        is_back = place.world.hosts["beta"].powered and host.power == "on" and host.desired_power == "on"
        return is_back and not host.is_cordoned and wake.passed and wake.origin == "drill"

    return Sample(place.harness, operation, is_done, ("powered",))


def _lift_quarantine() -> Sample:
    place = place_make()
    Host.objects.filter(pk=place.beta.pk).update(quarantined_at=timezone.now(), quarantine_reason="It stayed dark.")
    operation = host_services.host_quarantine_lift(place.user, place.beta, reason="a new power supply")
    return Sample(place.harness, operation, lambda: Host.objects.get(pk=place.beta.pk).quarantined_at is None)


def _maintenance(*, on: bool) -> Callable[[], Sample]:
    def sample() -> Sample:
        place = place_make()
        Host.objects.filter(pk=place.beta.pk).update(is_in_maintenance=not on, is_cordoned=not on)
        place.beta.refresh_from_db()
        operation = host_services.host_maintain(place.user, place.beta, on=on)
        return Sample(place.harness, operation, lambda: Host.objects.get(pk=place.beta.pk).is_in_maintenance is on)

    return sample


LONG_AGO = timezone.now() - timedelta(minutes=5)


def _fence() -> Sample:
    place = place_make()
    Host.objects.filter(pk=place.beta.pk).update(last_seen_at=LONG_AGO)
    operation = operation_start(
        "host_fence",
        user=place.user,
        subject=("host", str(place.beta.pk), "beta"),
        parameters={"host": str(place.beta.pk), "lost_since": LONG_AGO.isoformat()},
        host=place.beta,
    )

    def is_done() -> bool:
        host = Host.objects.get(pk=place.beta.pk)
        return not place.world.hosts["beta"].powered and host.power == "off" and host.is_cordoned

    return Sample(place.harness, operation, is_done, ("powered",))


def _restart_elsewhere() -> Sample:
    place = place_make()
    vm = VirtualMachine.objects.get(pk=vm_in(place, shared=True).pk)
    place.world.power_set("alpha", False)
    Host.objects.filter(pk=place.alpha.pk).update(last_seen_at=LONG_AGO, power="off")
    operation = operation_start(
        "restart_elsewhere",
        user=place.user,
        subject=("vm", str(vm.pk), vm.name),
        parameters={
            "workload": str(vm.pk),
            "source": str(place.alpha.pk),
            "target": str(place.beta.pk),
            "lost_since": LONG_AGO.isoformat(),
            "spec": vm_spec(vm),
        },
        host=place.alpha,
        target_host=place.beta,
    )

    def is_done() -> bool:
        running = [name for name, state in place.world.places(str(vm.pk)).items() if state == "running"]
        return running == ["beta"] and Workload.objects.get(pk=vm.pk).host_id == place.beta.pk

    return Sample(place.harness, operation, is_done)


def _remove_stale() -> Sample:
    place = place_make()
    vm = vm_in(place, shared=True, state="stopped")
    Workload.objects.filter(pk=vm.pk).update(host=place.beta)
    path = f"{SHARED_POOL}/{vm.pk}.qcow2"
    other = FakeDomain("00000000-0000-4000-8000-000000000001", "owner", 1, 256, [FakeDisk("vda", path, "qcow2", GIB)])
    place.world.hosts["beta"].domains[other.uuid] = other  # stands for the copy that counts: the disk is in use
    operation = operation_start(
        "remove_stale",
        user=place.user,
        subject=("vm", str(vm.pk), vm.name),
        parameters={"workload": str(vm.pk), "source": str(place.alpha.pk)},
        host=place.alpha,
    )
    return Sample(place.harness, operation, lambda: place.world.places(str(vm.pk)) == {})


SAMPLES: dict[str, list[Callable[[], Sample]]] = {
    "create_vm": [_create_vm, _create_vm_with_seed, _create_vm_from_iso],
    "insert_iso": [_cdrom("insert"), _cdrom("insert", "stopped")],
    "eject_iso": [_cdrom("eject")],
    "clone_vm": [
        _copied("clone"),
        _copied("clone", start=True, first_boot=FirstBoot(user="ann", ssh_keys=(SSH_KEY,))),
    ],
    "save_image": [_copied("image")],
    "import_image": [_import_image],
    "add_disk": [_device("add"), _device("add", "stopped")],
    "detach_disk": [_device("detach")],
    "add_nic": [_device("nic_add")],
    "detach_nic": [_device("nic_detach")],
    "measure_vm": [_measure("vm")],
    "measure_container": [_measure("container")],
    "back_up_vm": [
        _back_up("running", "incremental", times=1),
        _back_up("running", "full", times=2, keep=1),
        _back_up("stopped", "incremental", times=0),
    ],
    "verify_backup": [_verify_backup],
    "delete_backup": [_delete_backup],
    "restore_vm": [_restore_vm, lambda: _restore_vm({"meta-data": "instance-id: x"})],
    "find_backups": [_find_backups],
    "wipe_seed": [_wipe_seed],
    "grow_disk": [_grow_disk("running"), _grow_disk("stopped")],
    "take_snapshot": [_snapshot("take"), _snapshot("take", "stopped")],
    "revert_snapshot": [_snapshot("revert")],
    "delete_snapshot": [_snapshot("delete")],
    "resize_workload": [
        _resize(vm_in, True),
        _resize(container_in, False),
        _resize(lambda place: vm_in(place, state="stopped"), False),
    ],
    "rename_workload": [_rename(container_in), _rename(lambda place: vm_in(place, state="stopped"))],
    "recreate_container": [_recreate("busybox:2"), _recreate("")],
    "create_container": [_create_container, _create_container_behind_a_password, _create_container_with_volume],
    "pull_image": [_pull_image],
    "remove_image": [_remove_image],
    "remove_pool_file": [_remove_pool_file],
    "start_workload": [
        _life(lambda place: vm_in(place, state="stopped"), "start"),
        _life(lambda place: container_in(place, state="stopped"), "start"),
    ],
    "stop_workload": [_life(vm_in, "stop"), _life(container_in, "stop")],
    "restart_workload": [_life(vm_in, "restart"), _life(container_in, "restart")],
    "pause_workload": [_life(vm_in, "pause"), _life(container_in, "pause")],
    "resume_workload": [
        _life(lambda place: vm_in(place, state="paused"), "resume"),
        _life(lambda place: container_in(place, state="paused"), "resume"),
    ],
    "reset_vm": [_life(vm_in, "reset")],
    "save_vm": [_life(vm_in, "save")],
    "delete_workload": [
        _life(lambda place: vm_in(place, state="stopped"), "delete"),
        _life(lambda place: container_in(place, state="stopped"), "delete"),
        _delete_with_volume(True),
        _delete_with_volume(False),
    ],
    "migrate_vm": [_move_with_iso, _migrate(shared=True), _migrate(shared=False)],
    "relocate_container": [
        _relocate_with_volume,
        _relocate(image_in_registry=True),
        _relocate(image_in_registry=False),
    ],
    "enrol_host": [_enrol],
    "host_bmc_edit": [_edit_bmc],
    "host_fence": [_fence],
    "restart_elsewhere": [_restart_elsewhere],
    "remove_stale": [_remove_stale],
    "host_power_off": [_power_off, _power_off_by_lan],
    "host_power_on": [_power_on],
    "host_wake_drill": [_wake_drill],
    "host_quarantine_lift": [_lift_quarantine],
    "host_maintenance_on": [_maintenance(on=True)],
    "host_maintenance_off": [_maintenance(on=False)],
}
