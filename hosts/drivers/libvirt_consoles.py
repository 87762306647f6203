"""Where a VM's screen and serial line are to be found on its host."""

from __future__ import annotations

from dataclasses import dataclass

import libvirt

from hosts.drivers.domain_facts import parse
from hosts.drivers.libvirt_errors import is_code
from hosts.drivers.libvirt_host import LibvirtHost


@dataclass(frozen=True)
class DomainConsoles:
    """The consoles of a VM that runs; each None where it has none of that sort. `generation` None: adopted."""

    name: str
    generation: int | None
    vnc_socket: str | None
    has_vnc: bool
    serial_socket: str | None
    serial_pty: str | None
    serial_log: str | None


def consoles_of(host: LibvirtHost, uuid: str) -> DomainConsoles | None:
    """The consoles of a VM as it runs now, None when it does not. Blocks; raises our errors."""
    with host.calls("find the VM's consoles") as connection:
        try:
            domain = connection.lookupByUUIDString(uuid)
            if not domain.isActive():
                return None
            facts = parse(domain.XMLDesc(0))
        except libvirt.libvirtError as error:
            if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise
    return DomainConsoles(
        facts.name,
        facts.generation,
        facts.vnc_socket,
        facts.has_vnc,
        facts.serial_socket,
        facts.serial_pty,
        facts.serial_log,
    )


def graphics_open(host: LibvirtHost, uuid: str) -> int:
    """A socket that is connected to the VM's first screen, however that listens; the caller closes it. Blocks."""
    with host.calls("open the VM's screen") as connection:
        return int(connection.lookupByUUIDString(uuid).openGraphicsFD(0, 0))
