"""Debian packages fetched and unpacked, never installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hosts.errors import DriverError, Unreachable

_TIMEOUT_S = 300.0
_KERNEL_META = "linux-image-cloud-amd64"


def candidate_versions(packages: list[str]) -> dict[str, str]:
    """The version that apt would fetch of each package; a package that apt does not know is left out.

    Asks apt's own lists, not the network: seconds after `apt-get update`, or on a train, it gives the same.
    """
    versions = {}
    name = ""
    for line in _run(["apt-cache", "policy", *packages]).splitlines():
        if line and not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and "(none)" not in line:
            versions[name] = line.split(":", 1)[1].strip()
    return versions


def cloud_kernel_package() -> str | None:
    """The package with the kernel that Debian's cloud image stands on now; None when apt does not know it."""
    try:
        depends = _run(["apt-cache", "depends", _KERNEL_META])
    except DriverError:
        return None
    names = [line.split(":", 1)[1].strip() for line in depends.splitlines() if "Depends:" in line]
    return next((name for name in names if name.startswith("linux-image-")), None)


def unpack(packages: list[str], target: Path) -> None:
    """Fetches the packages and unpacks them below `target`. Raises Unreachable when they cannot be had."""
    with tempfile.TemporaryDirectory(prefix="stowage-debs-") as folder:
        os.chmod(folder, 0o755)
        _run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages], cwd=folder)
        for archive in sorted(Path(folder).glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(target)])


def _run(command: list[str], cwd: str | None = None) -> str:
    try:
        environment = os.environ | {"LC_ALL": "C"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd=cwd,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"{command[0]} did not work: {error}.") from error
    if done.returncode:
        raise Unreachable(
            f"Debian packages could not be fetched. Run apt-get update and look at the network ({command[0]}).",
            done.stderr.strip(),
        )
    return done.stdout
