"""Libvirt's domain XML, made from a spec. Pure functions; it is read again by `hosts.drivers.domain_facts`.

XML is built from elements, never from strings: a name or label with markup in it stays a name or label
(pitfalls M43). Names and paths are judged before, in `workloads.drivers.specs`.
Source: libvirt formatdomain.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from hosts.drivers.domain_facts import NAMESPACE, SOCKET_FOLDER
from workloads.drivers.specs import DiskSpec, NicSpec, VmSpec

PREFIX = "stowage"
TCG_CPU = "qemu64"
BALLOON_PERIOD_S = 5
# Room to grow while it runs. It costs a Linux guest 64 bytes for each 4 KiB that it is not lent.
VCPUS_LEAST_MOST, VCPUS_MOST = 8, 240
MEMORY_MORE_MIB = 16 * 1024
SLOTS = 12  # each virtio device takes one of them; what is over stays free

ElementTree.register_namespace(PREFIX, NAMESPACE)


def serial_socket_path(uuid: str) -> str:
    """The unix socket of the VM's serial line on its host."""
    return f"{SOCKET_FOLDER}/stowage-{uuid}-serial.sock"


def nvram_path(uuid: str) -> str:
    """Where UEFI keeps its settings on the VM's host; by the uuid, which no rename changes."""
    return f"{SOCKET_FOLDER}/nvram/stowage-{uuid}.fd"


def build(spec: VmSpec, accelerator: str, caches: dict[str, str] | None = None) -> str:
    """The domain XML of a spec.

    Args:
        accelerator: "kvm" or "tcg", as the host was probed.
        caches: cache mode by disk target where "none" is impossible (a file system without O_DIRECT).
    """
    domain = Element("domain", type="kvm" if accelerator == "kvm" else "qemu")
    _text(domain, "name", spec.name)
    _text(domain, "uuid", spec.uuid)
    metadata = SubElement(domain, "metadata")
    metadata.append(_metadata(spec.generation, spec.operation, spec.labels, spec.memory_mib))
    vcpus_most, memory_most_mib = most(spec.vcpus, spec.memory_mib)
    _text(domain, "memory", str(memory_most_mib), unit="MiB")
    _text(domain, "currentMemory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(vcpus_most), placement="static", current=str(spec.vcpus))
    _os(domain, spec)
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    if spec.firmware == "uefi-secure":
        # Without it the guest could write the keys that secure boot rests on. Source: OVMF README, SMM_REQUIRE.
        SubElement(features, "smm", state="on")
    _cpu(domain, spec, accelerator)
    SubElement(domain, "clock", offset="utc")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", spec.on_crash)
    devices = SubElement(domain, "devices")
    for disk in spec.disks:
        _disk(devices, disk, (caches or {}).get(disk.target, "none"))
    if spec.cdrom is not None:
        devices.append(cdrom_element(spec.cdrom, spec.machine))
    for nic in spec.nics:
        _nic(devices, nic)
    if spec.has_tpm:
        tpm = SubElement(devices, "tpm", model="tpm-crb")
        SubElement(tpm, "backend", type="emulator", version="2.0")
    _consoles(devices, spec)
    _small_devices(devices, spec.machine)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode")


def most(vcpus: int, memory_mib: int) -> tuple[int, int]:
    """The virtual CPUs and MiB that a VM of that size can be given while it runs: twice what it has, within bounds."""
    vcpus_most = max(vcpus, min(VCPUS_MOST, max(VCPUS_LEAST_MOST, 2 * vcpus)))
    return vcpus_most, memory_mib + min(memory_mib, MEMORY_MORE_MIB)


def metadata_xml(generation: int, operation: str, labels: dict[str, str], memory_mib: int = 0) -> str:
    """The metadata element alone, as `virDomainSetMetadata` wants it: without a prefix of its own."""
    element = Element("workload", generation=str(generation), operation=operation)
    if memory_mib:
        element.set("memory_mib", str(memory_mib))
    for key, value in sorted(labels.items()):
        SubElement(element, "label", key=key, value=value)
    return ElementTree.tostring(element, encoding="unicode")


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def _metadata(generation: int, operation: str, labels: dict[str, str], memory_mib: int) -> Element:
    element = Element(f"{{{NAMESPACE}}}workload", generation=str(generation), operation=operation)
    element.set("memory_mib", str(memory_mib))
    for key, value in sorted(labels.items()):
        SubElement(element, f"{{{NAMESPACE}}}label", key=key, value=value)
    return element


def _os(domain: Element, spec: VmSpec) -> None:
    is_uefi, is_secure = spec.firmware != "bios", spec.firmware == "uefi-secure"
    os = SubElement(domain, "os", {"firmware": "efi"} if is_uefi else {})
    _text(os, "type", "hvm", arch="x86_64", machine=spec.machine)
    if is_uefi:
        # libvirt finds the file among those that the host has described. Source: formatdomain, "firmware".
        firmware = SubElement(os, "firmware")
        for feature in ("enrolled-keys", "secure-boot") if is_secure else ("secure-boot",):
            SubElement(firmware, "feature", enabled="yes" if is_secure else "no", name=feature)
        if is_secure:
            SubElement(os, "loader", secure="yes")
        _text(os, "nvram", nvram_path(spec.uuid))
    for tag, value in (("kernel", spec.kernel), ("initrd", spec.initrd), ("cmdline", spec.kernel_arguments)):
        if value:
            _text(os, tag, value)
    if not spec.kernel:
        for device in boot_order(has_cdrom=spec.cdrom is not None):
            SubElement(os, "boot", dev=device)


def _cpu(domain: Element, spec: VmSpec, accelerator: str) -> None:
    if accelerator != "kvm" or spec.cpu_model:
        # A named model is the same on every host: what the guest saw before a move it sees after it.
        cpu = SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", spec.cpu_model or TCG_CPU, fallback="forbid")
    else:
        SubElement(domain, "cpu", mode="host-model", check="partial")


def disk_xml(disk: DiskSpec, cache: str) -> str:
    """The element of one disk, to be given to a VM that is there."""
    return ElementTree.tostring(_disk(Element("devices"), disk, cache), encoding="unicode")


def nic_xml(nic: NicSpec) -> str:
    """The element of one network card."""
    return ElementTree.tostring(_nic(Element("devices"), nic), encoding="unicode")


def _disk(devices: Element, disk: DiskSpec, cache: str) -> Element:
    element = SubElement(devices, "disk", type="file", device="disk")
    SubElement(element, "driver", name="qemu", type=disk.format, cache=cache, discard="unmap", detect_zeroes="unmap")
    SubElement(element, "source", file=disk.path)
    SubElement(element, "target", dev=disk.target, bus="virtio")
    return element


def boot_order(*, has_cdrom: bool) -> tuple[str, ...]:
    """What it starts from: an empty drive is passed over."""
    return ("cdrom", "hd") if has_cdrom else ("hd",)


def cdrom_element(path: str, machine: str) -> Element:
    """A CD-ROM drive with that file in it; empty: with none."""
    element = Element("disk", type="file", device="cdrom")
    SubElement(element, "driver", name="qemu", type="raw")
    if path:
        SubElement(element, "source", file=path)
    is_ide = machine.startswith(("pc-i440fx", "pc-0", "pc-1")) or machine == "pc"
    SubElement(element, "target", dev="hda" if is_ide else "sda", bus="ide" if is_ide else "sata")
    SubElement(element, "readonly")
    return element


def _nic(devices: Element, nic: NicSpec) -> Element:
    element = SubElement(devices, "interface", type="bridge")
    SubElement(element, "mac", address=nic.mac)
    SubElement(element, "source", bridge=nic.bridge)
    SubElement(element, "model", type="virtio")
    return element


def _consoles(devices: Element, spec: VmSpec) -> None:
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="bind", path=serial_socket_path(spec.uuid))
    SubElement(serial, "log", file=spec.serial_log, append="on")
    SubElement(SubElement(serial, "target", type="isa-serial", port="0"), "model", name="isa-serial")
    console = SubElement(devices, "console", type="unix")
    SubElement(console, "source", mode="bind", path=serial_socket_path(spec.uuid))
    SubElement(console, "log", file=spec.serial_log, append="on")
    SubElement(console, "target", type="serial", port="0")
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    graphics = SubElement(devices, "graphics", type="vnc")
    SubElement(graphics, "listen", type="socket")
    video = SubElement(devices, "video")
    SubElement(video, "model", type="vga", vram="16384", heads="1", primary="yes")


def _small_devices(devices: Element, machine: str) -> None:
    # Slots for what it is given while it runs; pc has them on its bus.
    if machine == "q35":
        SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
        for number in range(1, SLOTS + 1):
            SubElement(devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    # No USB: its polling alone costs an idle guest some percent of a core under TCG, on every host.
    SubElement(devices, "controller", type="usb", model="none")
    balloon = SubElement(devices, "memballoon", model="virtio")
    SubElement(balloon, "stats", period=str(BALLOON_PERIOD_S))
    rng = SubElement(devices, "rng", model="virtio")
    SubElement(rng, "backend", model="random").text = "/dev/urandom"
