"""A small data center in the test database, and what its host planes would say."""

from __future__ import annotations

import itertools
import uuid as uuids
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from hosts.models import Bmc, Host, Rack, Site
from workloads.models import Container, VirtualMachine, Workload

_addresses = itertools.count(1)


def a_user(role: str = "operator") -> User:
    user = User.objects.create_user(f"{role}-{User.objects.count()}")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def a_site(name: str = "berlin") -> Site:
    return Site.objects.get_or_create(name=name)[0]


def a_host(name: str, *, site: str = "berlin", bmc: bool = True, **fields: Any) -> Host:
    """An enrolled host of 8 cores and 8 GiB that was heard just now."""
    rack, _ = Rack.objects.get_or_create(site=a_site(site), name="r1")
    defaults: dict[str, Any] = {
        "rack": rack,
        "management_address": f"10.0.0.{next(_addresses) % 250 + 1}",
        "lifecycle": Host.Lifecycle.ENROLLED,
        "power": Host.Power.ON,
        "power_read_at": timezone.now() - timedelta(hours=1),
        "last_seen_at": timezone.now(),
        "cpu_cores": 8.0,
        "memory_mib": 8192,
        "disk_gib": 100.0,
        "architecture": "x86_64",
        "hypervisor": "QEMU 7.2",
        "engine": "Docker 20.10",
        "links": [{"name": "stw0", "kind": "bridge"}],
        "idle_watts": 100.0,
        "peak_watts": 200.0,
    }
    host = Host.objects.create(name=name, **(defaults | fields))
    if bmc:
        Bmc.objects.create(host=host, url="http://10.0.0.254:8000")
    return host


def a_vm(name: str, host: Host | None, **fields: Any) -> Workload:
    defaults = {"state": Workload.State.RUNNING, "cpu_cores": 1.0, "memory_mib": 1024, "bridges": ["stw0"]}
    vm = VirtualMachine.objects.create(name=name, kind="vm", host=host, **(defaults | fields))
    return Workload.objects.get(pk=vm.pk)


def a_container(name: str, host: Host | None, **fields: Any) -> Workload:
    defaults = {"state": Workload.State.RUNNING, "cpu_cores": 0.5, "memory_mib": 256}
    row = Container.objects.create(name=name, kind="container", host=host, **(defaults | fields))
    return Workload.objects.get(pk=row.pk)


_sequence = itertools.count(1)


def observed_vm(workload: Workload | None = None, **fields: Any) -> dict[str, Any]:
    """A VM as a host plane lists it; of the workload, or of one that nobody knows."""
    row = {
        "kind": "vm",
        "uuid": str(workload.pk if workload else uuids.uuid4()),
        "name": workload.name if workload else "stranger",
        "state": "running",
        "reason": "running (booted)",
        "vcpus": workload.cpu_cores if workload else 1.0,
        "memory_mib": workload.memory_mib if workload else 512,
        "disk_gib": workload.disk_gib if workload else 1.0,
        "disks": [],
        "bridges": ["stw0"],
        "labels": {},
        "managed": workload is not None,
    }
    return row | fields


def observation(host: Host, *workloads: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the host's plane would send now."""
    message = {
        "host": host.name,
        "at": timezone.now().timestamp(),
        "sequence": host.observed_sequence + next(_sequence),
        "boot_id": "boot-1",
        "machine_id": "m",
        "hypervisor": {"ok": True, "sentence": ""},
        "engine": {"ok": True, "sentence": ""},
        "workloads": list(workloads),
        "links": [{"name": "stw0", "kind": "bridge", "mac": "", "mtu": 1500, "up": True, "carrier": True}],
        "pools": [],
    }
    return message | fields
