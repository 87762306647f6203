"""What lies in a VM's CD-ROM drive, through libvirt: changed at once while the VM is on, and in its definition."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import libvirt

from hosts.errors import Refused
from workloads.drivers.domain_xml import boot_order, cdrom_element


def cdrom_set(domain: libvirt.virDomain, path: str | None) -> None:
    """Ensures the drive with that file in it; "" for an empty one, None for no drive.

    A drive cannot be added to a VM that is on, nor to one whose memory is saved: it would wake with another machine.
    """
    if domain.isActive():
        live = domain.XMLDesc(0)
        if path is not None and _drive(ElementTree.fromstring(live)) is None:
            raise Refused(
                f"The VM {domain.name()} has no CD-ROM drive, and gets none while it is on. Stop it, and insert then."
            )
        _change(domain, live, path or "", libvirt.VIR_DOMAIN_AFFECT_LIVE)
        if domain.isPersistent():
            config = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            _change(domain, config, path or "", libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        return
    if domain.hasManagedSaveImage():
        raise Refused(f"The VM {domain.name()} is saved to disk. Start it first, or stop it, and then insert.")
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    known = domain.XMLDesc(flags)
    changed = redefined(known, path)
    if changed != known:
        domain.connect().defineXMLFlags(changed, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def redefined(xml: str, path: str | None) -> str:
    """The definition with that in its drive: pure text to text; the very same text when it says so already."""
    root = ElementTree.fromstring(xml)
    devices, drive = root.find("devices"), _drive(root)
    assert devices is not None  # every domain has some
    if _content(drive) == path:
        return xml
    if drive is not None and path is not None:
        _put(drive, path)
    elif drive is not None:
        devices.remove(drive)
    else:
        kind = root.find("os/type")
        devices.append(cdrom_element(path or "", kind.get("machine", "") if kind is not None else ""))
    system = root.find("os")
    if system is not None and system.find("boot") is not None:
        for boot in system.findall("boot"):
            system.remove(boot)
        for device in boot_order(has_cdrom=path is not None):
            ElementTree.SubElement(system, "boot", dev=device)
    return ElementTree.tostring(root, encoding="unicode")


def _change(domain: libvirt.virDomain, xml: str, path: str, flag: int) -> None:
    drive = _drive(ElementTree.fromstring(xml))
    if drive is None or _content(drive) == path:
        return
    _put(drive, path)
    # FORCE opens a tray that the guest holds shut: what it reads cannot be harmed by it.
    flags = flag | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    domain.updateDeviceFlags(ElementTree.tostring(drive, encoding="unicode"), flags)


def _drive(root: Element) -> Element | None:
    return root.find("devices/disk[@device='cdrom']")


def _content(drive: Element | None) -> str | None:
    if drive is None:
        return None
    source = drive.find("source")
    return source.get("file", "") if source is not None else ""


def _put(drive: Element, path: str) -> None:
    for name in ("source", "backingStore"):
        if (old := drive.find(name)) is not None:
            drive.remove(old)
    if path:
        drive.append(Element("source", file=path))
