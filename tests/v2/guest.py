"""The guest's disks: a Debian with systemd, and one with this checkout and the lab's images."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datacenter.run.packages import LAB_PACKAGES
from hosts.lab.images import images_build

CHECKOUT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
PACKAGES = (
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "apparmor",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "iproute2",
    "ca-certificates",
    "python3",
    "redis-server",
    "victoria-metrics",
    *LAB_PACKAGES,
)
# Where the guest has the second disk, and on it this checkout: at one place whatever checkout it is, so that
# all of them share one built system.
CARRIED = Path("/mnt/carried")
CARRIED_CHECKOUT = Path("/srv/stowage")
# Left out of the checkout: what runs elsewhere, and the tests' own tools, which nothing that runs there needs.
NOT_CARRIED = (".git", ".stowage", ".mypy_cache", ".ruff_cache", ".pytest_cache", "playwright", "mypy", "ruff")
_SYSTEM_BYTES = 6 * 1024**3
_CARRIED_BYTES = 3 * 1024**3

_UNIT = f"""[Unit]
Description=Stowage's lab proves itself
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory={CARRIED_CHECKOUT}
ExecStart={CARRIED_CHECKOUT}/.venv/bin/python -m tests.v2.proof /dev/ttyS1
ExecStopPost=/usr/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
"""
_FSTAB = f"""LABEL=root / ext4 defaults 0 0
LABEL=carried {CARRIED} ext4 defaults 0 0
{CARRIED}/checkout {CARRIED_CHECKOUT} none bind,x-systemd.requires-mounts-for={CARRIED} 0 0
"""
# The set-up of a person's machine leaves these off (datacenter/run/packages.py); so does the guest.
_NOT_AT_BOOT = (
    "docker.service",
    "docker.socket",
    "containerd.service",
    "libvirtd.service",
    "libvirtd.socket",
    "virtlogd.socket",
    "virtlogd.service",
    "redis-server.service",
    "victoria-metrics.service",
)


@dataclass(frozen=True)
class Guest:
    """What QEMU boots from."""

    kernel: Path
    initrd: Path
    root: Path
    carried: Path


@contextmanager
def guest_made(cache_dir: Path, say: Callable[[str], None]) -> Iterator[Guest]:
    """The guest's files: the system from the cache (built in about 4 minutes), the carried disk for this run alone."""
    folder = cache_dir / f"v2-{recipe_hash()}"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / ".v2-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "root.ext4").exists():
            say("building the Debian guest, about 4 minutes ...")
            _system_build(cache_dir, folder)
    with tempfile.TemporaryDirectory(prefix=".v2-carried-", dir=cache_dir) as scratch:
        say("copying the checkout and the lab's images onto the second disk ...")
        carried = Path(scratch, "carried.ext4")
        _carried_build(cache_dir, carried, say)
        yield Guest(folder / "vmlinuz", folder / "initrd.img", folder / "root.ext4", carried)


def recipe_hash() -> str:
    """Changes when the guest must be built anew."""
    return hashlib.sha256(repr((SUITE, PACKAGES, _UNIT, _FSTAB, _NOT_AT_BOOT)).encode()).hexdigest()[:10]


def _system_build(cache_dir: Path, folder: Path) -> None:
    """Puts a system in place of all older ones."""
    with tempfile.TemporaryDirectory(prefix=".v2-building-", dir=cache_dir) as scratch:
        root, out = Path(scratch, "root"), Path(scratch, "out")
        out.mkdir()
        packages = f"--include={','.join(dict.fromkeys(PACKAGES))}"
        mode = ("--quiet", "--variant=minbase", "--mode=root", "--format=directory")
        # It mounts /proc and /sys in there: in namespaces of its own neither they nor a dpkg can outlive it.
        alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        subprocess.run([*alone, "mmdebstrap", *mode, packages, SUITE, str(root)], check=True)
        _system_configure(root)
        for name, pattern in (("vmlinuz", "boot/vmlinuz-*"), ("initrd.img", "boot/initrd.img-*")):
            shutil.copyfile(next(root.glob(pattern)), out / name)
        _disk_make(out / "root.ext4", "root", root, _SYSTEM_BYTES)
        for older in cache_dir.glob("v2-*"):
            shutil.rmtree(older)
        out.rename(folder)


def _system_configure(root: Path) -> None:
    for mount_point in (CARRIED, CARRIED_CHECKOUT):
        root.joinpath(*mount_point.parts[1:]).mkdir(parents=True, exist_ok=True)
    (root / "etc/fstab").write_text(_FSTAB)
    (root / "etc/systemd/system/stowage-proof.service").write_text(_UNIT)
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    for unit in _NOT_AT_BOOT:
        # A unit that this Debian does not have is as good as one that is off.
        subprocess.run(["systemctl", f"--root={root}", "--quiet", "disable", unit], check=False, capture_output=True)
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", "stowage-proof.service"], check=True)


def _disk_make(disk: Path, label: str, content: Path, size_bytes: int) -> None:
    """A file with an ext4 that holds the folder's content; nothing is mounted for it."""
    disk.unlink(missing_ok=True)
    with disk.open("wb") as opened:
        os.truncate(opened.fileno(), size_bytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", label, "-d", str(content), str(disk)], check=True)


def _carried_build(cache_dir: Path, disk: Path, say: Callable[[str], None]) -> None:
    images = images_build(cache_dir, say)
    content = disk.with_name("content")
    content.mkdir(mode=0o755)  # becomes the disk's root, which the service user must enter
    checkout_copy(CHECKOUT, content / "checkout")
    built = images.kernel.parent
    shutil.copytree(built, content / "cache" / built.name)
    _disk_make(disk, "carried", content, _CARRIED_BYTES)
    shutil.rmtree(content)


def checkout_copy(checkout: Path, target: Path) -> None:
    """Copies a checkout with its environments; one that is a link to a shared folder becomes a folder of its own."""
    environments = [checkout / name for name in (".venv", "node_modules")]

    def left_out(folder: str, names: list[str]) -> set[str]:
        here = {path.name for path in environments if path.parent == Path(folder)}
        return here | set(shutil.ignore_patterns(*NOT_CARRIED)(folder, names))

    for source, copy in [(checkout, target), *((path.resolve(), target / path.name) for path in environments)]:
        # Links stay links within: `.venv/bin/python` is one to Debian's python3, and the guest has the same.
        shutil.copytree(source, copy, symlinks=True, ignore=left_out, copy_function=_copy_or_pass)


def _copy_or_pass(source: str, target: str) -> None:
    """Copies one file; one that vanished meanwhile (a cache, an editor's copy) is passed over."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return
