"""What of a VM's hardware not every host can give: UEFI, secure boot, a TPM. Each host said it when it was enrolled."""

from __future__ import annotations

from collections.abc import Collection

from hosts.errors import Refused
from hosts.models import Host
from workloads.models import VirtualMachine, Workload

UEFI, SECURE_BOOT, TPM = "UEFI firmware", "secure boot", "a TPM"
# by ability: the field of the form, what to choose instead, and Debian's packages that bring it
WAYS_OUT = {
    UEFI: ("firmware", "Choose BIOS", "ovmf"),
    SECURE_BOOT: ("firmware", "Choose UEFI without secure boot", "ovmf"),
    TPM: ("has_tpm", "Do without the TPM", "swtpm and swtpm-tools"),
}


def abilities_needed(firmware: str, has_tpm: bool) -> tuple[str, ...]:
    """What a VM with that hardware needs of its host."""
    needed = [] if firmware == VirtualMachine.Firmware.BIOS else [UEFI]
    if firmware == VirtualMachine.Firmware.SECURE:
        needed.append(SECURE_BOOT)
    return (*needed, TPM) if has_tpm else tuple(needed)


def abilities_of_vm(workload: Workload) -> tuple[str, ...]:
    """What the workload needs of its host; a container nothing. A query unless it is a VirtualMachine."""
    vm = workload if isinstance(workload, VirtualMachine) else VirtualMachine.objects.filter(pk=workload.pk).first()
    return abilities_needed(vm.firmware, vm.has_tpm) if vm else ()


def abilities_of_host(host: Host) -> tuple[str, ...]:
    """What the host can give its VMs."""
    firmwares = host.facts.get("firmwares") or ()
    able = {UEFI: "efi" in firmwares, SECURE_BOOT: "efi-secure" in firmwares, TPM: bool(host.facts.get("tpms"))}
    return tuple(ability for ability, is_there in able.items() if is_there)


def why_not_able(host: Host, needed: Collection[str]) -> str | None:
    """The sentence about the first thing that the host cannot give, or None."""
    lacks = next((ability for ability in needed if ability not in abilities_of_host(host)), None)
    if lacks is None:
        return None
    _, instead, packages = WAYS_OUT[lacks]
    return (
        f"{host.name} cannot give a VM {lacks}. {instead}, or another host; on Debian it comes with {packages}, after"
        " which the host is enrolled anew."
    )


def refuse_unable(host: Host, needed: Collection[str]) -> None:
    """Raises Refused, with the field, unless the host can give all of it."""
    if reason := why_not_able(host, needed):
        lacks = next(ability for ability in needed if ability not in abilities_of_host(host))
        raise Refused(reason, field=WAYS_OUT[lacks][0])
