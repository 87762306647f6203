"""Images on their way in, piece by piece."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from hosts.models.place import name_validator


class ImageArrival(models.Model):
    """An upload that may break off and go on: its bytes so far are `IMAGE_DIR/arrivals/<uuid>`.

    The row ends when its image is there, when somebody gives it up, or two days after the last piece.
    """

    class Format(models.TextChoices):
        QCOW2 = "qcow2", "disk image, qcow2"
        RAW = "raw", "disk image, raw"
        VMDK = "vmdk", "disk image of VMware, VMDK in one file"
        VHDX = "vhdx", "disk image of Hyper-V, VHDX"
        VDI = "vdi", "disk image of VirtualBox, VDI"
        ISO = "iso", "CD or DVD, ISO"
        OVA = "ova", "appliance with one disk, OVA"
        ROOT_ARCHIVE = "root-tar", "container root, tar (docker import)"
        ENGINE_ARCHIVE = "engine-tar", "container image, tar (docker save)"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, validators=[name_validator])
    format = models.CharField(max_length=10, choices=Format)
    reference = models.CharField(max_length=300, blank=True)
    size_bytes = models.PositiveBigIntegerField()  # of the whole file, as said before the first piece
    sha256 = models.CharField(max_length=64, blank=True)  # empty: nobody said
    owner_name = models.CharField(max_length=150)
    began_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        ordering = ["began_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Where its bytes so far are."""
        return Path(settings.IMAGE_DIR) / "arrivals" / str(self.pk)

    @property
    def received_bytes(self) -> int:
        """How many of them there are; the next piece begins here."""
        return self.path.stat().st_size if self.path.is_file() else 0
