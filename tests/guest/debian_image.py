"""A Debian with cloud-init as a disk image that a PC's BIOS boots: what an operator would add as an image.

One FAT partition with syslinux, kernel and initramfs, one ext4 with the system; nothing is mounted to make it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "systemd-sysv",
    "udev",
    "dbus",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "cloud-init",
    "openssh-server",
    "ifupdown",
    "iproute2",
    "sudo",
    "qemu-guest-agent",
)
MIB, SECTOR = 1024**2, 512
BOOT_START, BOOT_MIB, ROOT_MIB = 1, 160, 1600
MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
SYSLINUX_CFG = """\
DEFAULT debian
PROMPT 0
TIMEOUT 0
LABEL debian
  LINUX /vmlinuz
  INITRD /initrd.img
  APPEND root=LABEL=root ro console=tty0 console=ttyS0,115200 no_timer_check
"""
FILES = {
    "etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    "etc/hostname": "unnamed\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/cloud/cloud.cfg.d/90_source.cfg": "datasource_list: [NoCloud, None]\nlocale: C.UTF-8\n",
}
# What a test need not wait for.
OFF = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer")


def recipe_hash() -> str:
    """Changes when the image must be built anew."""
    return hashlib.sha256(repr((SUITE, PACKAGES, SYSLINUX_CFG, FILES, OFF, BOOT_MIB, ROOT_MIB)).encode()).hexdigest()[
        :10
    ]


def debian_image(cache_dir: Path, say: Callable[[str], None]) -> Path:
    """The qcow2, from the cache or built in some minutes; older ones go."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    image = cache_dir / f"debian-{recipe_hash()}.qcow2"
    with (cache_dir / ".debian-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            say("building the Debian image with cloud-init, some minutes ...")
            with tempfile.TemporaryDirectory(prefix=".debian-building-", dir=cache_dir) as scratch:
                built = _build(Path(scratch))
                for older in cache_dir.glob("debian-*.qcow2"):
                    older.unlink()
                built.rename(image)
    return image


def _build(work: Path) -> Path:
    root = work / "root"
    # It mounts /proc and /sys in there: in namespaces of its own neither they nor a dpkg can outlive it.
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    mode = ("--quiet", "--variant=minbase", "--mode=root", "--format=directory", f"--include={','.join(PACKAGES)}")
    subprocess.run([*alone, "mmdebstrap", *mode, SUITE, str(root)], check=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "mask", *OFF], check=True)
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    for name, pattern in (("vmlinuz", "boot/vmlinuz-*"), ("initrd.img", "boot/initrd.img-*")):
        shutil.copyfile(next(root.glob(pattern)), work / name)
    (work / "syslinux.cfg").write_text(SYSLINUX_CFG)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    disk, target = work / "disk.raw", work / "disk.qcow2"
    _partitions_make(disk)
    _boot_fill(disk, [work / name for name in ("vmlinuz", "initrd.img", "syslinux.cfg")])
    offset = f"offset={(BOOT_START + BOOT_MIB) * MIB}"
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-L", "root", "-E", offset, "-d", str(root), str(disk), f"{ROOT_MIB}M"], check=True
    )
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", str(disk), str(target)], check=True)
    return target


def _partitions_make(disk: Path) -> None:
    with disk.open("wb") as opened:
        os.truncate(opened.fileno(), (BOOT_START + BOOT_MIB + ROOT_MIB + 1) * MIB)
    table = f"{BOOT_START}MiB,{BOOT_MIB}MiB,c,*\n{BOOT_START + BOOT_MIB}MiB,{ROOT_MIB}MiB,L\n"
    subprocess.run(["sfdisk", "-q", "--label", "dos", str(disk)], input=table, text=True, check=True)
    with disk.open("r+b") as opened:
        opened.write(MBR.read_bytes()[:440])


def _boot_fill(disk: Path, files: list[Path]) -> None:
    drive, sectors = f"{disk}@@{BOOT_START * MIB}", str(BOOT_MIB * MIB // SECTOR)
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    hidden = str(BOOT_START * MIB // SECTOR)
    subprocess.run(["mformat", "-i", drive, "-H", hidden, "-T", sectors, "-F", "::"], env=environment, check=True)
    subprocess.run(["mcopy", "-i", drive, *map(str, files), "::/"], env=environment, check=True)
    subprocess.run(["syslinux", "--offset", str(BOOT_START * MIB), "--install", str(disk)], check=True)
