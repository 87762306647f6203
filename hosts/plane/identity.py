"""Who this machine is, and since which boot."""

from __future__ import annotations

import uuid
from pathlib import Path

from hosts.plane.config import PlaneConfig

_BOOTS = uuid.UUID("2c5a7d57-5d0e-4a55-9b8b-3f3d0f4a6c1e")


def machine_id(config: PlaneConfig) -> str:
    """/etc/machine-id, else one of our own that stays in the state folder."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        if path.exists() and (text := path.read_text().strip()):
            return text
    own = Path(config.state_dir) / "machine-id"
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(uuid.uuid4().hex + "\n")
    return own.read_text().strip()


def boot_id(config: PlaneConfig) -> str:
    """An id that changes with each boot of this host.

    The hosts of a lab share the kernel's: theirs is made of it, their PID namespace and its first process.
    """
    kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if not config.cgroup and not config.declared:
        return kernel
    namespace = Path("/proc/self/ns/pid").readlink()
    started = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    return str(uuid.uuid5(_BOOTS, f"{kernel} {namespace} {started}"))
