"""What runs: the part that VMs and containers have in common, and where each was seen."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from hosts.models import Host
from hosts.models.place import name_validator


class Workload(models.Model):
    """A VM or a container. `host` owns it; sightings say where it was really seen."""

    class Kind(models.TextChoices):
        VM = "vm", "VM"
        CONTAINER = "container", "container"

    class Desired(models.TextChoices):
        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped"
        ANY = "any", "as found"  # adopted: nobody has said yet

    class Expiry(models.TextChoices):
        STOP = "stop", "it is stopped"
        DELETE = "delete", "it is stopped and deleted"

    class State(models.TextChoices):
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        STOPPED = "stopped", "stopped"
        CRASHED = "crashed", "crashed"
        MIGRATING = "migrating", "migrating"
        STARTING = "starting", "starting"
        UNKNOWN = "unknown", "unknown"
        GONE = "gone", "gone"  # its host answers and does not have it
        CREATING = "creating", "creating"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=9, choices=Kind)
    name = models.CharField(max_length=63, validators=[name_validator])
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.PROTECT, related_name="workloads")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    desired = models.CharField(max_length=7, choices=Desired, default=Desired.ANY)
    state = models.CharField(max_length=9, choices=State, default=State.UNKNOWN, db_index=True)
    state_reason = models.CharField(max_length=200, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveBigIntegerField(default=0)
    is_adopted = models.BooleanField(default=False)

    cpu_cores = models.FloatField(default=0)
    memory_mib = models.PositiveIntegerField(default=0)
    disk_gib = models.FloatField(default=0)

    # rules for the planner
    is_pinned = models.BooleanField(default=False)
    pin_reason = models.CharField(max_length=200, blank=True)
    anti_affinity_group = models.CharField(max_length=63, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    tie = models.CharField(max_length=300, blank=True)  # the sentence why it can't leave its host, as it is made up
    snapshot_count = models.PositiveIntegerField(default=0)  # with any libvirt moves no VM
    created_at = models.DateTimeField(auto_now_add=True)

    # lent for a while
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    expiry = models.CharField(max_length=6, choices=Expiry, default=Expiry.STOP)
    expiry_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    expiry_note = models.CharField(max_length=300, blank=True)  # why it could not be done when it was due

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["host", "state"])]

    def __str__(self) -> str:
        return self.name


class Sighting(models.Model):
    """A workload as one host last reported it; two running rows of one workload are an alarm."""

    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="sightings")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="sightings")
    state = models.CharField(max_length=9, choices=Workload.State)
    reason = models.CharField(max_length=200, blank=True)
    observed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workload", "host"], name="one_sighting_per_host")]

    def __str__(self) -> str:
        return f"{self.workload} on {self.host}: {self.state}"


class VirtualMachine(Workload):
    class Firmware(models.TextChoices):
        BIOS = "bios", "BIOS"
        UEFI = "uefi", "UEFI"
        SECURE = "uefi-secure", "UEFI with secure boot"

    class Machine(models.TextChoices):
        Q35 = "q35", "q35 (PCI Express)"
        PC = "pc", "pc (i440FX, for old guests)"

    disks = models.JSONField(default=list, blank=True)  # as in an ObservedWorkload
    bridges = models.JSONField(default=list, blank=True)
    nics = models.JSONField(default=list, blank=True)
    serial_log = models.CharField(max_length=300, blank=True)
    next_size = models.JSONField(default=dict, blank=True)  # cpu_cores and memory_mib from its next start on
    next_size_why = models.CharField(max_length=300, blank=True)  # why it does not have that yet
    firmware = models.CharField(max_length=11, choices=Firmware, default=Firmware.BIOS)
    machine = models.CharField(max_length=3, choices=Machine, default=Machine.Q35)
    cpu_model = models.CharField(max_length=63, blank=True)  # empty: what suits the host
    has_cdrom = models.BooleanField(default=False)
    cdrom_path = models.CharField(max_length=500, blank=True)  # on its host; empty: nothing is in the drive
    agent = models.CharField(max_length=10, blank=True)  # whether one in the guest can be asked, see hosts.guest
    guest = models.JSONField(default=dict, blank=True)  # what it said last, as hosts.guest.guest_judged gives it
    addresses = models.CharField(max_length=1000, blank=True)  # told there, to look for
    has_tpm = models.BooleanField(default=False)  # an emulated one, whose content is on its host
    has_seed = models.BooleanField(default=False)  # a disk with what it was told at its first boot
    image = models.ForeignKey("workloads.Image", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")


class Container(Workload):
    engine_id = models.CharField(max_length=64, blank=True)
    image_reference = models.CharField(max_length=300, blank=True)
    command = models.JSONField(default=list, blank=True)
    environment = models.JSONField(default=dict, blank=True)
    ports = models.JSONField(default=list, blank=True)
    volumes = models.JSONField(default=list, blank=True)  # {"kind", "source", "target", "is_read_only"}
    restart_policy = models.CharField(max_length=20, default="unless-stopped")
