"""Where a VM's screen and serial line are to be found, as libvirt tells."""

from __future__ import annotations

import libvirt

from hosts.drivers.base import DomainConsoles
from hosts.drivers.domain_facts import parse
from hosts.drivers.libvirt_errors import is_code
from hosts.drivers.libvirt_host import LibvirtHost


class LibvirtConsoles:
    """The consoles of one host's VMs; raises our errors."""

    def __init__(self, host: LibvirtHost) -> None:
        self._host = host

    def find(self, uuid: str) -> DomainConsoles | None:
        with self._host.calls("find the VM's consoles") as connection:
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

    def graphics_open(self, uuid: str) -> int:
        with self._host.calls("open the VM's screen") as connection:
            return int(connection.lookupByUUIDString(uuid).openGraphicsFD(0, 0))
