"""Snapshots of a VM through libvirt, inside its own qcow2 files; with its memory when it is on.

A host keeps the truth about them: whoever changed them by `virsh` did so here too.
"""

from __future__ import annotations

import libvirt

from hosts.drivers.domain_facts import parse as domain_parse
from hosts.drivers.libvirt_errors import is_code
from hosts.errors import NotFound, Refused
from workloads.drivers import snapshot_xml
from workloads.drivers.base import DescribedSnapshot


def listed(domain: libvirt.virDomain) -> tuple[DescribedSnapshot, ...]:
    """All of them, oldest first."""
    found = [
        snapshot_xml.parse(each.getXMLDesc(), is_current=bool(each.isCurrent())) for each in domain.listAllSnapshots(0)
    ]
    return tuple(sorted(found, key=lambda snapshot: (snapshot.taken_at_s, snapshot.name)))


def take(domain: libvirt.virDomain, name: str, operation: str) -> None:
    """Ensures the snapshot that this operation is to take; one of that name by somebody else is Refused."""
    if (known := _lookup(domain, name)) is not None:
        if snapshot_xml.parse(known.getXMLDesc(), is_current=False).operation == operation:
            return
        raise Refused(f"The VM {domain.name()} has a snapshot {name} already. Choose another name.")
    facts = domain_parse(domain.XMLDesc(0))
    if facts.has_tpm:
        raise Refused(f"The VM {domain.name()} has a TPM, which no snapshot would bring back with the disks.")
    if facts.nvram:
        # Source: libvirt, "internal snapshots of a VM with pflash based firmware are not supported"
        raise Refused(f"The VM {domain.name()} starts by UEFI, of which libvirt keeps no snapshot inside its disks.")
    disks = [disk for disk in facts.disks if disk.path and not disk.read_only]
    unfit = [disk.target for disk in disks if disk.format != "qcow2"]
    if not disks:
        raise Refused(f"The VM {domain.name()} has no disk, so there is nothing that could hold a snapshot.")
    if unfit:
        # libvirt takes no internal snapshot that leaves a writable disk out, on or off (seen with 9.0).
        raise Refused(
            f"The VM {domain.name()} can have no snapshot: each of its disks must be qcow2, and"
            f" {', '.join(unfit)} is not."
        )
    domain.snapshotCreateXML(snapshot_xml.build(name, operation), 0)


def revert(domain: libvirt.virDomain, name: str) -> None:
    """Brings the VM back to the snapshot: off when it was off then, on with its memory when it was on."""
    if (snapshot := _lookup(domain, name)) is None:
        raise NotFound(f"The VM {domain.name()} has no snapshot {name} on its host.")
    # FORCE lets libvirt begin a new QEMU where the old one cannot become what it was; consoles reconnect.
    domain.revertToSnapshot(snapshot, libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)


def delete(domain: libvirt.virDomain, name: str, operation: str = "") -> None:
    """Ensures that it is gone; those taken after it stay. With `operation` only what that operation took."""
    snapshot = _lookup(domain, name)
    if snapshot is None:
        return
    if operation and snapshot_xml.parse(snapshot.getXMLDesc(), is_current=False).operation != operation:
        return
    snapshot.delete(0)


def _lookup(domain: libvirt.virDomain, name: str) -> libvirt.virDomainSnapshot | None:
    try:
        return domain.snapshotLookupByName(name, 0)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
            return None
        raise
