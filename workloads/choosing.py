"""VM or container: what a workload needs decides, by rules that hold, and the rest is weighed and said. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["vm", "container"]
Kernel = Literal["linux", "windows", "other"]


@dataclass(frozen=True)
class Wish:
    """What the workload needs. `kernel`: whose system calls its programs make."""

    kernel: Kernel = "linux"
    own_kernel: bool = False  # modules, settings or a version of its own
    strangers: bool = False  # neighbours must not reach it even through a flaw of the kernel
    no_break: bool = False  # it must not be interrupted when its host is emptied
    fixed_identity: bool = False  # a licence or software bound to a machine's identity
    many: bool = False  # many of them, or started and ended often
    keeps_data: bool = False  # data of its own on disk


@dataclass(frozen=True)
class Advice:
    """`must`: the other kind cannot do it, and `reasons` say why. `other` says what the other kind would cost."""

    kind: Kind
    must: bool
    reasons: tuple[str, ...]
    other: tuple[str, ...]


def advise(wish: Wish) -> Advice:
    """The kind to choose. A need that only a VM meets outweighs everything that speaks for a container."""
    if hard := _only_vm(wish):
        return Advice("vm", True, tuple(hard), ("A container is no choice here, however much lighter it would be.",))
    for_vm, for_container = _for_vm(wish), _for_container(wish)
    if len(for_vm) > len(for_container):
        cost = "A container would start in seconds and take megabytes, where a VM takes minutes and gigabytes."
        return Advice("vm", False, tuple(for_vm), (cost, *for_container))
    if not for_container:
        for_container = [
            "Nothing that it needs asks for a machine of its own, and a container takes less of everything."
        ]
    cost = "A VM would bring a kernel of its own, for minutes to start and gigabytes more of memory and disk."
    return Advice("container", False, tuple(for_container), (cost, *for_vm))


def _only_vm(wish: Wish) -> list[str]:
    reasons = []
    if wish.kernel == "windows":
        reasons.append("A Windows container cannot run on a Linux host: containers share their host's kernel.")
    if wish.kernel == "other":
        reasons.append("A container shares its host's Linux kernel, and this one's programs need another.")
    if wish.own_kernel:
        reasons.append("Kernel modules, settings and versions are the host's for a container; a VM brings its own.")
    return reasons


def _for_vm(wish: Wish) -> list[str]:
    reasons = []
    if wish.strangers:
        reasons.append("Between VMs stands the hypervisor; containers of one host are parted by its one kernel alone.")
    if wish.no_break:
        reasons.append("A VM moves to another host while it runs; a container is ended here and started anew there.")
    if wish.keeps_data:
        reasons.append(
            "A VM's disks move with it while it runs; a container stands still until its volumes are copied."
        )
    if wish.fixed_identity:
        reasons.append("A VM keeps one machine identity (UUID, hardware address) wherever it runs.")
    return reasons


def _for_container(wish: Wish) -> list[str]:
    reasons = []
    if wish.many:
        reasons.append("Containers start in seconds and share the kernel's memory: many more fit on a host.")
    return reasons
