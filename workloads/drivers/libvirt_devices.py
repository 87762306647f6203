"""Disks and network cards of a VM given and taken through libvirt, in its definition and, while it is on, at once.

A guest takes a card out of its slot by itself: libvirt asks it, and nothing says when it has done so but the running
definition, which is looked at until it is gone. Source: libvirt, virDomainDetachDeviceFlags.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import libvirt

from hosts.drivers.libvirt_errors import is_code
from hosts.errors import Refused, TimedOut
from workloads.drivers import domain_xml
from workloads.drivers.specs import DiskSpec, NicSpec

GONE_WITHIN_S = 15.0
LOOK_EVERY_S = 0.2
Sleep = Callable[[float], None]
Clock = Callable[[], float]


def disk_attach(domain: libvirt.virDomain, disk: DiskSpec, cache: str) -> None:
    """Ensures the disk at its target; Refused where another one is there."""
    _attach(domain, domain_xml.disk_xml(disk, cache), lambda xml: _disk_there(xml, disk))


def disk_detach(domain: libvirt.virDomain, disk: DiskSpec, clock: Clock, sleep: Sleep) -> None:
    """Ensures that the VM does not have the disk; another one at its target stays."""
    _detach(domain, lambda xml: _disk_element(xml, disk), f"the disk {disk.target}", clock, sleep)


def nic_attach(domain: libvirt.virDomain, nic: NicSpec) -> None:
    """Ensures a network card of that address."""
    _attach(domain, domain_xml.nic_xml(nic), lambda xml: _nic_element(xml, nic) is not None)


def nic_detach(domain: libvirt.virDomain, nic: NicSpec, clock: Clock, sleep: Sleep) -> None:
    """Ensures that the VM has no network card of that address."""
    _detach(domain, lambda xml: _nic_element(xml, nic), f"the network card {nic.mac}", clock, sleep)


def disk_paths(domain: libvirt.virDomain) -> set[str]:
    """The files of its disks, as it runs and as it is defined."""
    return {
        str(source.get("file"))
        for flag in _flags(domain)
        for source in ElementTree.fromstring(_xml(domain, flag)).iterfind("devices/disk/source")
        if source.get("file")
    }


def _attach(domain: libvirt.virDomain, device: str, is_there: Callable[[str], bool]) -> None:
    for flag in _flags(domain):
        if is_there(_xml(domain, flag)):
            continue
        try:
            domain.attachDeviceFlags(device, flag)
        except libvirt.libvirtError as error:
            if "No more available PCI" in str(error):
                raise Refused(
                    f"The VM {domain.name()} has no free slot while it runs. Stop it, and give it then.", str(error)
                ) from error
            if is_code(error, libvirt.VIR_ERR_OPERATION_INVALID) and is_there(_xml(domain, flag)):
                continue
            raise


def _detach(
    domain: libvirt.virDomain, find: Callable[[str], Element | None], what: str, clock: Clock, sleep: Sleep
) -> None:
    for flag in reversed(_flags(domain)):  # what runs first: a guest that keeps it keeps it defined too
        element = find(_xml(domain, flag))
        if element is None:
            continue
        domain.detachDeviceFlags(ElementTree.tostring(element, encoding="unicode"), flag)
        ends_at = clock() + GONE_WITHIN_S
        while find(_xml(domain, flag)) is not None:
            if clock() > ends_at:
                raise TimedOut(
                    f"The guest of {domain.name()} did not let go of {what} within {GONE_WITHIN_S:.0f} s. Free it"
                    " inside, or stop the VM, and try again."
                )
            sleep(LOOK_EVERY_S)


def _flags(domain: libvirt.virDomain) -> list[int]:
    flags = [libvirt.VIR_DOMAIN_AFFECT_CONFIG] if domain.isPersistent() else []
    return flags + ([libvirt.VIR_DOMAIN_AFFECT_LIVE] if domain.isActive() else [])


def _xml(domain: libvirt.virDomain, flag: int) -> str:
    return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if flag == libvirt.VIR_DOMAIN_AFFECT_CONFIG else 0)


def _disk_there(xml: str, disk: DiskSpec) -> bool:
    for element in ElementTree.fromstring(xml).iterfind("devices/disk"):
        target, source = element.find("target"), element.find("source")
        if target is not None and target.get("dev") == disk.target:
            if source is not None and source.get("file") == disk.path:
                return True
            raise Refused(f"The VM has another disk at {disk.target} already. Look at its disks again.")
    return False


def _disk_element(xml: str, disk: DiskSpec) -> Element | None:
    for element in ElementTree.fromstring(xml).iterfind("devices/disk"):
        source = element.find("source")
        if source is not None and source.get("file") == disk.path:
            return element
    return None


def _nic_element(xml: str, nic: NicSpec) -> Element | None:
    for element in ElementTree.fromstring(xml).iterfind("devices/interface"):
        mac = element.find("mac")
        if mac is not None and str(mac.get("address")).lower() == nic.mac:
            return element
    return None
