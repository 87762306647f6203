"""The Debian packages Stowage stands on: which are missing, and installing them without side effects.

Installing starts no service and changes none that runs: a policy file refuses every start for the
duration (Debian Policy 9.3.3.1, invoke-rc.d), and units that came with the packages are disabled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# Needed to run the dashboard and its embedded parts.
BASE_PACKAGES = (
    "redis-server",
    "victoria-metrics",
    "python3-venv",
    "python3-dev",
    "gcc",
    "pkg-config",
    "libvirt-dev",
    "openssl",
)
# Needed by the lab: hypervisor, container engine, and what its guest images are built from.
LAB_PACKAGES = (
    "libvirt-daemon",
    "libvirt-clients",
    "libvirt-daemon-driver-qemu",
    "qemu-system-x86",
    "qemu-utils",
    "ovmf",
    "swtpm",
    "swtpm-tools",
    "docker.io",
    "busybox-static",
    "cpio",
    "zstd",
    "xz-utils",
    "e2fsprogs",
)
TEST_PACKAGES = ("chromium", "nginx-light", "caddy", "websockify", "docker-registry", "ipmitool", "openipmi")
# Only for the guests of `make test-v2` and `make test-guest`.
GUEST_PACKAGES = ("mmdebstrap", "e2fsprogs", "fdisk", "mtools", "syslinux", "syslinux-common", "openssh-client")
# Commands that a machine may have from elsewhere: the package counts as there when the command is.
BY_COMMAND = {"nodejs": "node", "npm": "npm", "chromium": "chromium", "nginx-light": "nginx", "caddy": "caddy"}

POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# Stowage's, for as long as it installs packages: start nothing.\nexit 101\n"


@dataclass(frozen=True)
class Root:
    """How root's commands are run: directly, or through sudo."""

    prefix: tuple[str, ...]

    def run(self, *command: str, stdin: str | None = None, output: TextIO | None = None) -> None:
        """Runs the command to its end; raises CalledProcessError when it fails.

        Both its outputs go to the terminal, or to the file `output`.
        """
        errors = None if output is None else subprocess.STDOUT
        subprocess.run([*self.prefix, *command], check=True, text=True, input=stdin, stdout=output, stderr=errors)


def root_or_none() -> Root | None:
    """A way to act as root, None where there is neither root nor sudo."""
    if os.geteuid() == 0:
        return Root(())
    return Root(("sudo",)) if shutil.which("sudo") else None


def packages_missing(wanted: tuple[str, ...]) -> list[str]:
    """Those of the wanted packages that this machine has not, in the given order."""
    listing = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n"], capture_output=True, text=True, check=True
    )
    return missing_in(listing.stdout, wanted, {name for name, command in BY_COMMAND.items() if shutil.which(command)})


def missing_in(listing: str, wanted: tuple[str, ...], present_by_command: set[str]) -> list[str]:
    """The wanted packages that neither the listing (`name status` lines) nor a command shows as installed."""
    rows = (line.partition(" ") for line in listing.splitlines())
    installed = {name for name, _, status in rows if status == "installed"}
    return [name for name in dict.fromkeys(wanted) if name not in installed | present_by_command]


def packages_install(names: list[str], root: Root, notes: Path) -> None:
    """Installs the packages; the folder `notes` holds apt's words and what an interrupted run must remember.

    Raises CalledProcessError when apt fails.
    """
    enabled_before = notes / "units-before"
    interrupted = enabled_before.exists()
    if not interrupted:
        enabled_before.write_text("\n".join(units_enabled()))
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
    apt = (*quiet, "apt-get", "-q", "-y", "-o=Dpkg::Use-Pty=0", "-o=DPkg::Lock::Timeout=300")
    with services_held(root), apt_log(notes).open("w") as log:
        if interrupted:
            root.run(*quiet, "dpkg", "--configure", "-a", output=log)
        root.run(*apt, "update", output=log)
        root.run(*apt, "install", "--no-install-recommends", "--no-upgrade", *names, output=log)
    new = sorted(set(units_enabled()) - set(enabled_before.read_text().split()))
    if new:
        print(f"  not started at boot either: {', '.join(new)}")
        root.run("systemctl", "--quiet", "disable", *new)
    enabled_before.unlink()


def apt_log(notes: Path) -> Path:
    """Where the words of the last installation are."""
    return notes / "packages.log"


def units_enabled() -> list[str]:
    """Unit files that systemd starts at boot; empty where systemd does not run this machine."""
    if not Path("/run/systemd/system").exists():
        return []
    listing = subprocess.run(
        ["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain", "--no-pager"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split()[0] for line in listing.stdout.splitlines() if line.strip()]


@contextmanager
def services_held(root: Root, policy: Path = POLICY) -> Iterator[None]:
    """For its duration no package may start a service; afterwards the machine's own policy is back.

    A run killed in between leaves our policy behind: the next one sees by its text whose it is.
    """
    kept = policy.with_name(policy.name + ".kept-by-stowage")
    policy_restore(root, policy, kept)
    if policy.exists():
        root.run("mv", str(policy), str(kept))
    try:
        root.run("sh", "-c", 'cat > "$0" && chmod 755 "$0"', str(policy), stdin=_POLICY_TEXT)
        yield
    finally:
        policy_restore(root, policy, kept)


def policy_restore(root: Root, policy: Path, kept: Path) -> None:
    """Removes our policy file, wherever a run left it, and puts the machine's own back."""
    if policy.exists() and policy.read_text() == _POLICY_TEXT:
        root.run("rm", "-f", str(policy))
    if kept.exists() and not policy.exists():
        root.run("mv", str(kept), str(policy))
