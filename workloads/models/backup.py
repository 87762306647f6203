"""What a VM's disks were at a time, kept in files of a host, from which another VM can be made."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models import Host


class Backup(models.Model):
    """A backup, whole or what changed since its parent. It outlives its VM, and its files tell the same without us."""

    class Kind(models.TextChoices):
        FULL = "full", "full"
        INCREMENTAL = "incremental", "incremental"

    class State(models.TextChoices):
        READY = "ready", "ready"
        DAMAGED = "damaged", "damaged"  # a check found it changed or gone
        REMOVING = "removing", "being removed"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm_uuid = models.UUIDField(db_index=True)
    vm_name = models.CharField(max_length=63)
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="backups")
    host_name = models.CharField(max_length=63)
    folder = models.CharField(max_length=300)
    taken_at = models.DateTimeField()
    kind = models.CharField(max_length=11, choices=Kind)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    checkpoint = models.CharField(max_length=60, blank=True)  # from when on its host noted what changes
    is_at_rest = models.BooleanField(default=False)  # the VM was off
    is_frozen = models.BooleanField(default=False)  # the guest's file systems stood still when it began
    not_frozen = models.CharField(max_length=200, blank=True)  # why they did not
    spec = models.JSONField(default=dict)  # of the VM: cpu, memory, disks, network cards
    files = models.JSONField(default=list)  # {"target", "file", "size_bytes", "virtual_bytes", "sha256"}
    state = models.CharField(max_length=8, choices=State, default=State.READY)
    sentence = models.CharField(max_length=500, blank=True)  # why it is a full one, or what is wrong with it
    verified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-taken_at"]

    def __str__(self) -> str:
        return f"{self.vm_name} of {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def size_bytes(self) -> int:
        return sum(int(file["size_bytes"]) for file in self.files)

    @property
    def virtual_bytes(self) -> int:
        """What its disks have room for."""
        return sum(int(file["virtual_bytes"]) for file in self.files)


class BackupFolder(models.Model):
    """The folder that the backups of a host's VMs go to; without one, the first that the host allows."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="backup_folder")
    path = models.CharField(max_length=300)

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"
