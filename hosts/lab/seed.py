"""Puts the first workloads on the lab hosts through each host's own libvirt and Docker, as if always there.

It happens once in the life of a data directory. Each step makes sure of a result, so that a seeding which
was cut off is finished by the next start.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from hosts.errors import Rejected
from hosts.lab import seed_plan
from hosts.lab.container_image import REFERENCE
from hosts.lab.enter import run_inside
from hosts.lab.images import Images
from hosts.lab.lab_host import LabHost
from hosts.lab.layout import Layout
from hosts.lab.seed_plan import SeedContainer, SeedVm
from hosts.lab.switch import GUEST_BRIDGE

NAMESPACE = "https://stowage.invalid/1"
register_namespace("stowage", NAMESPACE)


def seed_lab(layout: Layout, hosts: list[LabHost], images: Images, say: Callable[[str], None]) -> None:
    """Makes every seed workload run on its host, unless an earlier run has done so. Raises Rejected."""
    if layout.seeded_file.exists():
        return
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=4) as pool:
        for done in [pool.submit(_seed_host, layout, host, len(hosts), images) for host in hosts]:
            done.result()
    layout.seeded_file.touch()
    count = len(seed_plan.VMS) + len(seed_plan.CONTAINERS)
    say(f"{count} workloads started on the hosts in {time.monotonic() - began:.1f} s")


def _seed_host(layout: Layout, host: LabHost, host_count: int, images: Images) -> None:
    def is_here(workload: SeedVm | SeedContainer) -> bool:
        return seed_plan.place_of(workload, host_count) == host.plan.number

    for vm in filter(is_here, seed_plan.VMS):
        vm_ensure(layout, host, vm, images)
    # Every host gets the image: the lab has no registry from which another one could pull it.
    if _run(host, ["docker", "image", "inspect", REFERENCE]) is None:
        _must(host, ["docker", "load", "-q", "-i", str(images.container.path)])
    for container in filter(is_here, seed_plan.CONTAINERS):
        container_ensure(host, container)


def vm_ensure(layout: Layout, host: LabHost, vm: SeedVm, images: Images) -> None:
    """Makes the VM be defined and running."""
    vm_uuid = layout.identity.get(f"seed.{vm.name}", lambda: uuid_with_load(vm.load_percent))
    outside = layout.shared_dir if vm.pool == "shared" else host.plan.root / "libvirt/images"
    disk = outside / f"{vm.name}.qcow2"
    if _run(host, ["virsh", "-q", "domstate", vm_uuid]) is None:
        if not disk.exists():
            _disk_make(host, images.guest.path, disk, vm)
        xml = domain_xml(vm, vm_uuid, cache_mode(outside))
        _must(host, ["virsh", "-q", "define", "/dev/stdin"], stdin=xml)
    if (_run(host, ["virsh", "-q", "domstate", vm_uuid]) or "").strip() != "running":
        _must(host, ["virsh", "-q", "start", vm_uuid])


def container_ensure(host: LabHost, container: SeedContainer) -> None:
    """Makes the container be there and running."""
    state = _run(host, ["docker", "inspect", "-f", "{{.State.Running}}", container.name])
    if state is None:
        _must(host, ["docker", *run_arguments(container)])
    elif state.strip() != "true":
        _must(host, ["docker", "start", container.name])


def run_arguments(container: SeedContainer) -> list[str]:
    """The arguments of `docker` that start a seed container."""
    arguments = ["run", "-d", "--name", container.name, "--hostname", container.name]
    arguments += ["--cpus", str(container.cpu_cores), "--memory", f"{container.memory_mib}m"]
    arguments += ["--restart", container.restart, "-e", f"LOAD_PERCENT={container.load_percent}"]
    for name, value in container.labels:
        arguments += ["--label", f"stowage.{name}={value}"]
    if container.published_port:
        arguments += ["-p", f"{container.published_port}:8080"]
    return [*arguments, REFERENCE]


def uuid_with_load(load_percent: int) -> str:
    """A random uuid by which the guest will load its CPU so much: its last byte modulo 16 is the percentage."""
    value = bytearray(uuid.uuid4().bytes)
    value[15] = (value[15] & 0xF0) | load_percent
    return str(uuid.UUID(bytes=bytes(value)))


def cache_mode(folder: Path) -> str:
    """ "none" where the file system can do without the page cache, which a migration wants; else "writeback"."""
    probe = folder / f".o-direct-{os.getpid()}"
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return "writeback"
    finally:
        probe.unlink(missing_ok=True)
    return "none"


def domain_xml(vm: SeedVm, vm_uuid: str, cache: str) -> str:
    """The domain as an administrator of such a host would have written it."""
    domain = Element("domain", type="qemu")
    _text(domain, "name", vm.name)
    _text(domain, "uuid", vm_uuid)
    if vm.labels:
        workload = SubElement(SubElement(domain, "metadata"), f"{{{NAMESPACE}}}workload")
        for name, value in vm.labels:
            # Both spellings: an attribute for who reads attributes, text for a person.
            label = SubElement(workload, f"{{{NAMESPACE}}}label", name=name, key=name, value=value)
            label.text = value
    _text(domain, "memory", str(vm.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(vm.vcpus))
    system = SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    SubElement(system, "boot", dev="hd")
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    cpu = SubElement(domain, "cpu", mode="custom", match="exact", check="none")
    _text(cpu, "model", "qemu64", fallback="forbid")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    _devices(domain, vm, vm_uuid, cache)
    indent(domain)
    return tostring(domain, encoding="unicode")


def _devices(domain: Element, vm: SeedVm, vm_uuid: str, cache: str) -> None:
    devices = SubElement(domain, "devices")
    disk = SubElement(devices, "disk", type="file", device="disk")
    SubElement(disk, "driver", name="qemu", type="qcow2", cache=cache, discard="unmap")
    SubElement(disk, "source", file=vm.disk_path())
    SubElement(disk, "target", dev="vda", bus="virtio")
    nic = SubElement(devices, "interface", type="bridge")
    SubElement(nic, "source", bridge=GUEST_BRIDGE)
    SubElement(nic, "model", type="virtio")
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="bind", path=f"/var/lib/libvirt/qemu/{vm_uuid}-serial.sock")
    # Without a client QEMU drops what the socket should get; the log is written always.
    SubElement(serial, "log", file=f"/var/log/libvirt/qemu/{vm_uuid}-serial.log", append="on")
    SubElement(serial, "target", port="0")
    graphics = SubElement(devices, "graphics", type="vnc")
    SubElement(graphics, "listen", type="socket")
    SubElement(SubElement(devices, "video"), "model", type="vga", vram="16384", heads="1", primary="yes")
    # No USB: its polling alone costs an idle guest some percent of a core when emulated.
    SubElement(devices, "controller", type="usb", model="none")
    SubElement(SubElement(devices, "memballoon", model="virtio"), "stats", period="5")


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, dict(attributes)).text = text


def _disk_make(host: LabHost, image: Path, disk: Path, vm: SeedVm) -> None:
    partial = disk.with_name(f".{disk.name}.{host.plan.name}")
    shutil.copyfile(image, partial)
    inside = str(Path(vm.disk_path()).with_name(partial.name))
    _must(host, ["qemu-img", "resize", "-q", "-f", "qcow2", inside, f"{vm.disk_gib}G"])
    partial.replace(disk)


def _run(host: LabHost, command: list[str], stdin: str | None = None) -> str | None:
    """What the command printed inside the host; None when it failed."""
    assert host.init_pid is not None
    done = run_inside(host.init_pid, command, stdin=stdin)
    return None if done.returncode else done.stdout


def _must(host: LabHost, command: list[str], stdin: str | None = None) -> None:
    assert host.init_pid is not None
    done = run_inside(host.init_pid, command, stdin=stdin)
    if done.returncode:
        raise Rejected(
            f"{host.plan.name} could not be given its first workloads: {' '.join(command[:3])} failed.",
            done.stderr.strip(),
        )
