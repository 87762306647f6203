"""Hosts that cannot give a VM its firmware or TPM."""

from __future__ import annotations

from datacenter.planner.compatibility import requirements, why_incompatible
from datacenter.planner.model import Host, Resources, Workload

VM = Workload("web", "vm", Resources(1, 1024), abilities=("UEFI firmware", "a TPM"))


def test_a_vm_is_planned_only_where_its_hardware_is():
    plain = Host("alpha", Resources(8, 8192), abilities=("UEFI firmware",))
    able = Host("beta", Resources(8, 8192), abilities=("UEFI firmware", "a TPM"))

    assert why_incompatible(VM, plain) == "alpha cannot give web a TPM"
    assert why_incompatible(VM, able) is None
    assert requirements(VM) != requirements(Workload("web", "vm", Resources(1, 1024)))
