"""Physical hosts: what an operator declared, what their host plane discovered, what was last observed."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models.place import Rack, name_validator


class Host(models.Model):
    class Lifecycle(models.TextChoices):
        ENROLLING = "enrolling", "enrolling"
        ENROLLED = "enrolled", "enrolled"
        FAILED = "failed", "enrolment failed"

    class Power(models.TextChoices):
        ON = "on", "on"
        OFF = "off", "off"
        UNKNOWN = "unknown", "unknown"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    rack = models.ForeignKey(Rack, on_delete=models.PROTECT, related_name="hosts")
    management_address = models.GenericIPAddressField()
    bridge = models.CharField(max_length=15, default="stw0", validators=[name_validator])
    lifecycle = models.CharField(max_length=12, choices=Lifecycle, default=Lifecycle.ENROLLING)
    lifecycle_reason = models.TextField(blank=True)

    # desired by operators or the autopilot
    is_in_maintenance = models.BooleanField(default=False)
    is_cordoned = models.BooleanField(default=False)  # takes no new workloads
    desired_power = models.CharField(max_length=7, choices=Power, default=Power.ON)
    quarantined_at = models.DateTimeField(null=True, blank=True)  # it did not wake: nobody counts on it
    quarantine_reason = models.TextField(blank=True)

    # observed
    power = models.CharField(max_length=7, choices=Power, default=Power.UNKNOWN)
    power_read_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    observed_sequence = models.BigIntegerField(default=0)
    boot_id = models.CharField(max_length=64, blank=True)
    hypervisor_sentence = models.CharField(max_length=300, blank=True)  # empty: it answers
    engine_sentence = models.CharField(max_length=300, blank=True)
    links = models.JSONField(default=list, blank=True)
    console_address = models.CharField(max_length=45, blank=True)  # of its console gateway; empty: it has none
    console_port = models.PositiveIntegerField(default=0)
    console_sha256 = models.CharField(max_length=64, blank=True)  # of the gateway's certificate
    is_shell_enabled = models.BooleanField(default=False)
    can_shut_down = models.BooleanField(default=False)  # its plane may end its operating system

    # discovered
    machine_id = models.CharField(max_length=64, blank=True)
    cpu_cores = models.FloatField(default=0)
    memory_mib = models.PositiveIntegerField(default=0)
    disk_gib = models.FloatField(default=0)
    architecture = models.CharField(max_length=20, blank=True)
    cpu_model = models.CharField(max_length=120, blank=True)
    os_name = models.CharField(max_length=120, blank=True)
    kernel = models.CharField(max_length=120, blank=True)
    hypervisor = models.CharField(max_length=60, blank=True)
    engine = models.CharField(max_length=60, blank=True)
    accelerator = models.CharField(max_length=10, blank=True)
    accelerator_sentence = models.CharField(max_length=300, blank=True)
    facts = models.JSONField(default=dict, blank=True)  # the rest of what host.discover gave

    # power model: linear from idle to peak with CPU use
    idle_watts = models.FloatField(default=120)
    peak_watts = models.FloatField(default=300)
    rack_units = models.PositiveSmallIntegerField(default=1)

    enrolled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["rack__site__name", "rack__name", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["machine_id"], condition=~models.Q(machine_id=""), name="host_machine_enrolled_once"
            )
        ]

    def __str__(self) -> str:
        return self.name
