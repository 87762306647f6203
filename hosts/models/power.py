"""How a host's power is switched."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host


class Bmc(models.Model):
    """How a host's power is switched; the password is kept encrypted and never shown again."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="bmc")
    url = models.URLField(max_length=300)
    system = models.CharField(max_length=100, blank=True)
    username = models.CharField(max_length=100, blank=True)
    password_encrypted = models.BinaryField(default=bytes, editable=False)

    def __str__(self) -> str:
        return f"BMC of {self.host}"
