"""Patterns of workloads: templates with versions, and sizes that have names."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models.place import name_validator
from workloads.models.workload import Workload


class Template(models.Model):
    """One version of a template: all that a new workload is asked for, save its name, host and first boot.

    A version never changes; what is made anew under the name is the next one.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, validators=[name_validator])
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=Workload.Kind)
    wish = models.JSONField(default=dict)  # the arguments of vm_create or container_create, the image as its UUID
    note = models.CharField(max_length=200, blank=True)
    made_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="one_template_per_version")]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Flavour(models.Model):
    """A size of a VM under a name."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    cpu_cores = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    disk_gib = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["cpu_cores", "memory_mib", "name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.cpu_cores} CPU, {self.memory_mib} MiB, {self.disk_gib:g} GiB"
