"""ISOs in the CD-ROM drives of VMs."""

from __future__ import annotations

from hosts.errors import Invalid, Refused
from hosts.models import Operation
from hosts.services.doors import User, refuse_if
from workloads.models import Image, VirtualMachine
from workloads.services.operating import operate


def iso_insert(user: User, vm: VirtualMachine, *, image: Image, idempotency_key: str | None = None) -> Operation:
    """Begins to put the ISO into the VM's CD-ROM drive, in place of what is there; a VM that is off gets a drive.

    From then on it starts from a CD-ROM that one can start from, until that is ejected. Raises Invalid for an image
    that is no ISO, Refused where the VM is on and has no drive.
    """
    if image.format != Image.Format.ISO:
        raise Invalid(f"{image.name} is not an ISO. Choose one.", field="image")
    vm = VirtualMachine.objects.get(pk=vm.pk)
    if not vm.has_cdrom and vm.state in (vm.State.RUNNING, vm.State.PAUSED):
        raise Refused(f"{vm.name} has no CD-ROM drive, and gets none while it is on. Stop it, and insert the ISO then.")
    was = vm.cdrom_path if vm.has_cdrom else None
    parameters = {"iso": image.source(), "was": was}
    return operate(user, vm, "cdrom", "insert_iso", idempotency_key, parameters)


def iso_eject(user: User, vm: VirtualMachine, *, idempotency_key: str | None = None) -> Operation:
    """Begins to empty the VM's CD-ROM drive; a tray that its guest holds shut is opened."""
    vm = VirtualMachine.objects.get(pk=vm.pk)
    refuse_if(None if vm.cdrom_path else f"There is nothing in a CD-ROM drive of {vm.name}.")
    return operate(user, vm, "cdrom", "eject_iso", idempotency_key, {"was": vm.cdrom_path})
