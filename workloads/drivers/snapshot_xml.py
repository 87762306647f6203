"""Snapshots as libvirt's XML: pure text to text."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from hosts.errors import Rejected
from workloads.drivers.base import DescribedSnapshot


def build(name: str, operation: str) -> str:
    """An internal snapshot of every disk. Source: https://libvirt.org/formatsnapshot.html"""
    root = Xml.Element("domainsnapshot")
    Xml.SubElement(root, "name").text = name
    Xml.SubElement(root, "description").text = operation
    return Xml.tostring(root, encoding="unicode")


def parse(xml: str, *, is_current: bool) -> DescribedSnapshot:
    """What a hypervisor says of one snapshot; raises Rejected for what is no snapshot."""
    try:
        root = Xml.fromstring(xml)
        taken_at_s = int(root.findtext("creationTime") or 0)
    except (Xml.ParseError, ValueError) as error:
        raise Rejected("The hypervisor described a snapshot in a way that could not be read.", xml[:200]) from error
    memory = root.find("memory")
    return DescribedSnapshot(
        name=root.findtext("name") or "",
        parent=root.findtext("parent/name") or "",
        taken_at_s=taken_at_s,
        has_memory=memory is not None and memory.get("snapshot") in ("internal", "external"),
        is_current=is_current,
        operation=root.findtext("description") or "",
    )
