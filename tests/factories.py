"""Rows for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

import itertools
import uuid as uuids
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from hosts.access import ROLES
from hosts.credentials import password_encrypt
from hosts.models import Bmc, Host, Pool, PoolFile, PoolMount, Rack, Site
from workloads.models import Backup, Container, Image, VirtualMachine, Workload

_numbers = itertools.count(1)
LOCAL_POOL = "/var/lib/libvirt/images"
SHARED_POOL = "/var/lib/stowage/shared"
LEFT_FILE = "11111111-1111-1111-1111-111111111111-vda.qcow2.1700000000.stowage-left"


def user_make(role: str | None = "operator", name: str | None = None) -> User:
    """A user of that role; None makes somebody without any."""
    user = User.objects.create_user(name or f"{role or 'stranger'}-{next(_numbers)}")
    if role is not None:
        assert role in ROLES
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def rack_make(site: str = "lab", name: str = "a") -> Rack:
    return Rack.objects.get_or_create(site=Site.objects.get_or_create(name=site)[0], name=name)[0]


def host_make(name: str | None = None, *, rack: Rack | None = None, with_bmc: bool = True, **values: Any) -> Host:
    """An enrolled host that is on and was heard just now, with one pool of its own."""
    number = next(_numbers)
    name = name or f"host-{number}"
    given: dict[str, Any] = {
        "rack": rack or rack_make(),
        "management_address": f"10.77.{number // 250}.{number % 250 + 1}",
        "lifecycle": Host.Lifecycle.ENROLLED,
        "enrolled_at": timezone.now(),
        "power": Host.Power.ON,
        "last_seen_at": timezone.now(),
        "cpu_cores": 4,
        "memory_mib": 4096,
        "disk_gib": 100,
        "machine_id": uuids.uuid4().hex,
        "hypervisor": "QEMU 7.2.22",
        "engine": "Docker 20.10.24",
        "console_address": "10.77.0.2",
        "console_port": 7777,
        "console_sha256": "0" * 64,
    }
    host = Host.objects.create(name=name, **(given | values))
    pool_mount_make(host)
    if with_bmc:
        password = password_encrypt("bmc-password")
        Bmc.objects.create(host=host, url="http://10.77.0.1:8000", system=name, password_encrypted=password)
    return host


def pool_mount_make(
    host: Host, pool: Pool | None = None, path: str = LOCAL_POOL, capacity_gib: float = 100
) -> PoolMount:
    pool = pool or Pool.objects.create(pool_id=str(uuids.uuid4()), name="local")
    return PoolMount.objects.create(host=host, pool=pool, path=path, capacity_gib=capacity_gib, free_gib=capacity_gib)


def pool_file_make(mount: PoolMount | None = None, name: str = LEFT_FILE, **values: Any) -> PoolFile:
    """A file in the mount's pool, or in one of a new host; unless named, one that was set aside."""
    mount = mount or host_make().pool_mounts.get()
    given: dict[str, Any] = {"size_bytes": 2048, "used_bytes": 1024, "changed_at": timezone.now()}
    return PoolFile.objects.create(pool=mount.pool, name=name, **(given | values))


def backup_make(vm: VirtualMachine, *, parent: Backup | None = None, **values: Any) -> Backup:
    """A backup of the VM's first disk, of now; with a parent an incremental one."""
    uuid = uuids.uuid4()
    file = {"target": "vda", "file": "vda.qcow2", "size_bytes": 15 * 2**20, "virtual_bytes": 2**30, "sha256": "0" * 64}
    given: dict[str, Any] = {
        "vm_uuid": vm.pk,
        "vm_name": vm.name,
        "host": vm.host,
        "host_name": vm.host.name if vm.host else "",
        "folder": "/var/backups/stowage",
        "taken_at": timezone.now(),
        "kind": "incremental" if parent else "full",
        "checkpoint": f"stowage-{uuid}",
        "spec": {"vcpus": 1, "memory_mib": 256, "disks": [], "nics": [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}]},
        "files": [file],
    }
    return Backup.objects.create(uuid=uuid, parent=parent, **(given | values))


def image_make(name: str | None = None, **values: Any) -> Image:
    given: dict[str, Any] = {
        "name": name or f"image-{next(_numbers)}",
        "format": Image.Format.QCOW2,
        "sha256": "a" * 64,
        "size_bytes": 1,
        "virtual_size_bytes": 1,
    }
    return Image.objects.create(**(given | values))


def vm_make(host: Host, name: str | None = None, *, disk_path: str | None = None, **values: Any) -> VirtualMachine:
    """A running VM with one disk."""
    uuid = values.pop("uuid", None) or uuids.uuid4()
    disk = {
        "target": "vda",
        "path": disk_path or f"{LOCAL_POOL}/{uuid}-vda.qcow2",
        "format": "qcow2",
        "size_gib": 1.0,
        "pool": "local",
        "shared_pool_id": None,
    }
    given: dict[str, Any] = {
        "uuid": uuid,
        "kind": Workload.Kind.VM,
        "name": name or f"vm-{next(_numbers)}",
        "host": host,
        "desired": Workload.Desired.RUNNING,
        "state": Workload.State.RUNNING,
        "cpu_cores": 1,
        "memory_mib": 256,
        "disk_gib": 1,
        "disks": [disk],
        "bridges": ["stw0"],
    }
    return VirtualMachine.objects.create(**(given | values))


def container_make(host: Host, name: str | None = None, **values: Any) -> Container:
    """A running container."""
    given: dict[str, Any] = {
        "kind": Workload.Kind.CONTAINER,
        "name": name or f"container-{next(_numbers)}",
        "host": host,
        "desired": Workload.Desired.RUNNING,
        "state": Workload.State.RUNNING,
        "cpu_cores": 0.5,
        "memory_mib": 128,
        "image_reference": "busybox:latest",
    }
    return Container.objects.create(**(given | values))
