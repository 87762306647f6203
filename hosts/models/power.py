"""How a host's power is switched."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host
from hosts.models.operation import Operation


class BmcAddress(models.Model):
    """Where a controller is and who we are to it; the password is kept encrypted and never shown again."""

    url = models.CharField(max_length=300)  # https://... for Redfish, ipmi://... for IPMI
    system = models.CharField(max_length=100, blank=True)
    username = models.CharField(max_length=100, blank=True)
    password_encrypted = models.BinaryField(default=bytes, editable=False)

    class Meta:
        abstract = True


class Bmc(BmcAddress):
    """The controller of a host."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="bmc")

    def __str__(self) -> str:
        return f"BMC of {self.host}"


class BmcProposal(BmcAddress):
    """A controller that an operation is trying: it becomes the host's, or goes, when the operation ends."""

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="bmc_proposal")

    def __str__(self) -> str:
        return f"BMC proposed for {self.operation.subject_name}"
