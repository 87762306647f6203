"""What this machine lacks for a lab, in sentences. `missing()` changes nothing and needs no root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hosts.lab import cgroups

# program -> the Debian package that brings it
PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "libvirtd": "libvirt-daemon",
    "virtlogd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIBVIRT_QEMU_DRIVER = "libvirt_driver_qemu.so"
# kernel module -> what is not possible without it
MODULES = {"bridge": "bridges", "veth": "network cables between hosts", "overlay": "container images"}


def missing() -> list[str]:
    """A sentence for each thing that is missing; empty when a lab can run here."""
    return [*_missing_rights(), *_missing_programs(), *_missing_kernel_parts(), *_missing_controllers()]


def _missing_rights() -> list[str]:
    return [] if os.geteuid() == 0 else ["The lab makes namespaces: run it as root (sudo)."]


def _missing_programs() -> list[str]:
    said = [
        f"The program {name} is missing: install the Debian package {package}."
        for name, package in PROGRAMS.items()
        if not shutil.which(name, path=_SEARCH_PATH)
    ]
    if not any(Path("/usr/lib").glob(f"**/libvirt/connection-driver/{_LIBVIRT_QEMU_DRIVER}")):
        said.append("libvirt's QEMU driver is missing: install the Debian package libvirt-daemon-driver-qemu.")
    return said


def namespaces_needed(cgroup_version: int) -> list[str]:
    """Kinds as /proc/PID/ns names them; on cgroup v2 a lab host sees its own group as the root of the tree."""
    return ["mnt", "uts", "net", "pid", "ipc", *(["cgroup"] if cgroup_version == 2 else [])]


def _missing_kernel_parts() -> list[str]:
    said = [
        f"This kernel has no {kind} namespaces."
        for kind in namespaces_needed(cgroups.hierarchies().version)
        if not Path(f"/proc/self/ns/{kind}").exists()
    ]
    if not Path("/dev/net/tun").exists() and not _module_available("tun"):
        said.append("/dev/net/tun is missing: VMs could not be connected (modprobe tun).")
    said += [
        f"This kernel has no {name} module: {purpose} are not possible."
        for name, purpose in MODULES.items()
        if not _module_available(name)
    ]
    return said


def _missing_controllers() -> list[str]:
    trees = cgroups.hierarchies()
    if not trees.roots:
        return ["No cgroup tree is mounted under /sys/fs/cgroup: Docker cannot run."]
    needed = cgroups.V1_NEEDED if trees.version == 1 else ("cpu", "memory", "pids")
    if lacking := [name for name in needed if name not in trees.controllers]:
        return [f"cgroup v{trees.version} lacks the controllers {', '.join(lacking)}."]
    return []


def _module_available(name: str) -> bool:
    """Whether a kernel part is loaded, built in, or can be loaded."""
    if Path(f"/sys/module/{name}").exists():
        return True
    folder = Path("/lib/modules") / os.uname().release
    if not folder.exists():
        # A kernel without a module folder has everything built in or nothing: trying will tell.
        return True
    listed = [folder / "modules.builtin", folder / "modules.dep"]
    return any(f"/{name}.ko" in file.read_text() for file in listed if file.exists())
