"""What a domain's XML says, read into values: text in, dataclasses out, whoever made the domain.

Source: libvirt formatdomain.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hosts.guest import AWAY, CHANNEL, CONNECTED, NO_CHANNEL

NAMESPACE = "https://stowage.invalid/1"
SOCKET_FOLDER = "/var/lib/libvirt/qemu"  # every libvirt host has it, so nothing is missing after a move


@dataclass(frozen=True)
class DiskFacts:
    """A disk in the XML; `path` is None when it is not a plain file."""

    target: str
    path: str | None
    format: str
    cache: str | None
    read_only: bool
    device: str
    has_backing_file: bool


@dataclass(frozen=True)
class DomainFacts:
    """What a domain's XML says."""

    uuid: str
    name: str
    vcpus: int
    memory_mib: int
    machine: str
    accelerator: str
    disks: tuple[DiskFacts, ...]
    bridges: tuple[str, ...]
    serial_log: str | None
    socket_folders: tuple[str, ...]
    boot_files: tuple[str, ...]
    cpu_xml: str | None
    vnc_socket: str | None
    serial_socket: str | None
    generation: int | None
    operation: str
    obstacles: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)
    has_vnc: bool = False
    serial_pty: str | None = None
    cdrom: str | None = None  # the file in its drive, empty for none; None without a drive
    agent: str = ""  # see hosts.guest; of a VM that is off only whether it has no channel
    nvram: str | None = None  # where UEFI keeps its settings
    vcpus_most: int = 1  # that can be plugged in while it runs
    memory_most_mib: int = 0  # that its balloon can lend it while it runs
    memory_granted_mib: int = 0  # as Stowage noted it; 0: not noted, all of it
    has_tpm: bool = False

    @property
    def managed(self) -> bool:
        """Whether Stowage made the domain."""
        return self.generation is not None

    def granted(self, memory_mib: int) -> DomainFacts:
        """The same with another grant of memory."""
        return replace(self, memory_granted_mib=memory_mib)


def parse(xml: str) -> DomainFacts:
    """The facts in a domain's XML, made by Stowage or not."""
    domain = ElementTree.fromstring(xml)
    devices = domain.find("devices")
    devices = Element("devices") if devices is None else devices
    generation, operation, labels = _metadata_read(domain)
    vcpu, memory_most_mib = domain.find("vcpu"), _memory_mib(domain)
    vcpus_most = int((vcpu.text if vcpu is not None else None) or 1)
    granted_mib = _granted_mib(domain, memory_most_mib)
    boot_files = [domain.findtext(f"os/{tag}") for tag in ("kernel", "initrd", "dtb", "loader")]
    serial = devices.find("serial[@type='unix']/source")
    cpu = domain.find("cpu")
    return DomainFacts(
        uuid=(domain.findtext("uuid") or "").strip(),
        name=domain.findtext("name") or "",
        vcpus=int((vcpu.get("current") if vcpu is not None else None) or vcpus_most),
        # The grant, never what the guest's balloon claims: a guest could shrink it, be overcommitted, and take it back.
        memory_mib=granted_mib or memory_most_mib,
        machine=_attribute(domain, "os/type", "machine") or "",
        accelerator="kvm" if domain.get("type") == "kvm" else "tcg",
        disks=tuple(_disk_read(disk) for disk in devices.findall("disk")),
        bridges=tuple(_bridges(devices)),
        serial_log=_attribute(devices, "serial/log", "file"),
        socket_folders=tuple(_socket_folders(devices)),
        boot_files=tuple(path for path in boot_files if path),
        cpu_xml=ElementTree.tostring(cpu, encoding="unicode").strip() if cpu is not None else None,
        vnc_socket=_attribute(devices, "graphics[@type='vnc']/listen[@type='socket']", "socket"),
        serial_socket=serial.get("path") if serial is not None else None,
        generation=generation,
        operation=operation,
        obstacles=tuple(_obstacles(domain, devices)),
        labels=labels,
        has_vnc=devices.find("graphics[@type='vnc']") is not None,
        serial_pty=_attribute(devices, "serial[@type='pty']/source", "path"),
        cdrom=_cdrom(devices),
        agent=_agent(devices),
        nvram=(domain.findtext("os/nvram") or "").strip() or None,
        vcpus_most=vcpus_most,
        memory_most_mib=memory_most_mib,
        memory_granted_mib=granted_mib,
        has_tpm=devices.find("tpm") is not None,
    )


def stamp_read(xml: str) -> tuple[int | None, str]:
    """Generation and operation in Stowage's own metadata element, as `virDomainGetMetadata` gives it."""
    element = ElementTree.fromstring(xml)
    text = element.get("generation", "")
    return (int(text) if text.isdigit() else None), element.get("operation", "")


def _attribute(parent: Element, path: str, name: str) -> str | None:
    element = parent.find(path)
    return element.get(name) if element is not None else None


def _memory_mib(domain: Element) -> int:
    element = domain.find("memory")
    if element is None or not element.text:
        return 0
    unit = element.get("unit", "KiB")
    powers = {"b": 0, "bytes": 0, "KiB": 1, "k": 1, "MiB": 2, "M": 2, "GiB": 3, "G": 3, "TiB": 4, "T": 4}
    return -(-int(element.text) * 1024 ** powers.get(unit, 1) // 1024**2)


def _granted_mib(domain: Element, most_mib: int) -> int:
    text = _attribute(domain, f"metadata/{{{NAMESPACE}}}workload", "memory_mib") or ""
    return int(text) if text.isdecimal() and len(text) < 10 and 0 < int(text) <= most_mib else 0


def _metadata_read(domain: Element) -> tuple[int | None, str, dict[str, str]]:
    element = domain.find(f"metadata/{{{NAMESPACE}}}workload")
    if element is None:
        return None, "", {}
    labels = {label.get("key", ""): label.get("value", "") for label in element.findall(f"{{{NAMESPACE}}}label")}
    text = element.get("generation", "")
    return int(text) if text.isdigit() else None, element.get("operation", ""), labels


def _disk_read(disk: Element) -> DiskFacts:
    driver, source, backing = disk.find("driver"), disk.find("source"), disk.find("backingStore")
    return DiskFacts(
        target=_attribute(disk, "target", "dev") or "",
        path=source.get("file") if source is not None else None,
        format=(driver.get("type") if driver is not None else None) or "raw",
        cache=driver.get("cache") if driver is not None else None,
        read_only=disk.find("readonly") is not None,
        device=disk.get("device", "disk"),
        has_backing_file=backing is not None and backing.find("source") is not None,
    )


def _cdrom(devices: Element) -> str | None:
    drive = devices.find("disk[@device='cdrom']")
    return None if drive is None else _attribute(drive, "source", "file") or ""


def _agent(devices: Element) -> str:
    for target in devices.findall("channel/target[@type='virtio']"):
        if target.get("name") == CHANNEL:
            return {"connected": CONNECTED, "disconnected": AWAY}.get(target.get("state", ""), "")
    return NO_CHANNEL


def _bridges(devices: Element) -> list[str]:
    sources = (interface.find("source") for interface in devices.findall("interface"))
    names = (source.get("bridge") for source in sources if source is not None)
    return sorted({name for name in names if name})


def _socket_folders(devices: Element) -> list[str]:
    """Folders that must exist for the character devices' sockets, but not libvirt's own, which it makes."""
    paths = (source.get("path") for source in devices.findall("serial[@type='unix']/source[@mode='bind']"))
    return sorted({posixpath.dirname(path) for path in paths if path} - {SOCKET_FOLDER})


def _obstacles(domain: Element, devices: Element) -> list[str]:
    """Sentences on what ties the domain to its host."""
    found = []
    if devices.find("hostdev") is not None:
        found.append("It uses a device of its host directly.")
    if devices.find("filesystem") is not None:
        found.append("It shares a folder with its host.")
    if any(not source.get("file") for source in devices.findall("disk/source")):
        found.append("One of its disks is not a plain file.")
    if any(interface.get("type") != "bridge" for interface in devices.findall("interface")):
        found.append("One of its network cards hangs on something other than a bridge.")
    if domain.find("{http://libvirt.org/schemas/domain/qemu/1.0}commandline") is not None:
        found.append("It passes arguments of its own to QEMU.")
    return found
