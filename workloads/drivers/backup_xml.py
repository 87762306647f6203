"""What libvirt is told to write a VM's disks to other files, and to remember from when on they change. Pure functions.

Source: libvirt's "Backup XML format" and "Checkpoint XML format".
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from workloads.drivers.base import BackupDisk


def backup_build(disks: Iterable[BackupDisk], left_out: Iterable[str], since: str) -> str:
    """The disks' backup, each into its own new qcow2 file; with `since` only what changed after that checkpoint.

    Without "backup='no'" libvirt would copy the disks that are left out too, into files of its own naming.
    """
    root = ElementTree.Element("domainbackup", mode="push")
    if since:
        ElementTree.SubElement(root, "incremental").text = since
    listed = ElementTree.SubElement(root, "disks")
    for disk in disks:
        is_part = bool(since) and disk.is_tracked
        values = {"name": disk.target, "backup": "yes", "type": "file"}
        values |= {"backupmode": "incremental", "incremental": since} if is_part else {"backupmode": "full"}
        each = ElementTree.SubElement(listed, "disk", values)
        ElementTree.SubElement(each, "driver", type="qcow2")
        ElementTree.SubElement(each, "target", file=disk.path)
    for target in left_out:
        ElementTree.SubElement(listed, "disk", name=target, backup="no")
    return ElementTree.tostring(root, encoding="unicode")


def checkpoint_build(name: str, tracked: Iterable[str], left_out: Iterable[str]) -> str:
    """A checkpoint that remembers what changes on the tracked disks from now on."""
    root = ElementTree.Element("domaincheckpoint")
    ElementTree.SubElement(root, "name").text = name
    listed = ElementTree.SubElement(root, "disks")
    for target in tracked:
        ElementTree.SubElement(listed, "disk", name=target, checkpoint="bitmap")
    for target in left_out:
        ElementTree.SubElement(listed, "disk", name=target, checkpoint="no")
    return ElementTree.tostring(root, encoding="unicode")


def backup_files(xml: str) -> list[str]:
    """The files that a running backup writes to."""
    root = ElementTree.fromstring(xml)
    return [target.get("file", "") for target in root.findall("disks/disk/target")]
