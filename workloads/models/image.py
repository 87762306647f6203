"""Images that workloads are made from."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from hosts.models.place import name_validator


class Image(models.Model):
    """A disk image for VMs, or an archive of a container image; its bytes are `IMAGE_DIR/<uuid>`."""

    class Format(models.TextChoices):
        QCOW2 = "qcow2", "disk image, qcow2"
        RAW = "raw", "disk image, raw"
        ISO = "iso", "CD or DVD, ISO"
        ROOT_ARCHIVE = "root-tar", "container root, tar (docker import)"
        ENGINE_ARCHIVE = "engine-tar", "container image, tar (docker save)"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    format = models.CharField(max_length=10, choices=Format)
    reference = models.CharField(max_length=300, blank=True)  # containers: name:tag under which it is known
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    virtual_size_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Where its bytes are."""
        return Path(settings.IMAGE_DIR) / str(self.pk)

    def source(self) -> dict[str, object]:
        """As an effect wants it."""
        return {
            "image": str(self.pk),
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "format": self.format,
        }
