"""What a VM shall be told at its first boot, from the wish until it stands on the VM's seed disk."""

from __future__ import annotations

from django.db import models


class VmSeed(models.Model):
    """cloud-init's files under encryption. The row ends with the operation that made the VM: nothing reads it back."""

    vm = models.OneToOneField(
        "workloads.VirtualMachine", on_delete=models.CASCADE, primary_key=True, related_name="seed"
    )
    files_encrypted = models.BinaryField()

    def __str__(self) -> str:
        return f"seed of {self.vm_id}"
