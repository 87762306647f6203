"""The guest image "tiny": Debian's cloud kernel and a busybox, on a disk that a PC's BIOS boots.

The disk has one FAT partition with syslinux, the kernel and an initramfs; nothing is mounted to make it.
What the guest does is in `INIT`. It prints `STOWAGE tick <n>` once a second on its serial port, n being kept by
a running process, so that a number that goes on proves that the guest was not restarted. On its serial port and on
its screen root logs in. It works at 0 to 15 percent of a CPU: the last two hexadecimal digits of its product uuid,
modulo 16.
"""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
from pathlib import Path

from hosts.errors import Rejected
from hosts.lab import newc

PACKAGES = ("busybox-static", "syslinux", "syslinux-common", "mtools")
DISK_MIB = 512
_PARTITION_START = 2048  # sectors
_PARTITION_MIB = 48
_SECTOR = 512
_EPOCH = "1577836800"  # every file is of 2020-01-01, so that equal inputs give an equal disk

# What a guest needs; what they depend on comes by itself, and what this kernel has built in is skipped.
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_balloon", "button", "evdev")

INIT = """\
#!/bin/sh
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts && mount -t devpts none /dev/pts
echo 3 > /proc/sys/kernel/printk
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
hostname tiny
ip link set lo up
uuid=$(cat /sys/class/dmi/id/product_uuid 2>/dev/null)
uuid=${uuid:-00}
export LOAD=$(( 0x${uuid#${uuid%??}} % 16 ))
/bin/tick > /dev/ttyS0 &
/bin/load &
/bin/power-button &
( ip link set eth0 up && udhcpc -i eth0 -b -q -t 3 -s /bin/lease ) > /dev/null 2>&1 &
( while true; do setsid getty 38400 tty1 linux; sleep 1; done ) &
while true; do
    setsid getty -L 115200 ttyS0 vt100
    sleep 1
done
"""

TICK = """\
#!/bin/sh
n=0
while true; do
    n=$((n + 1))
    echo "STOWAGE tick $n"
    sleep 1
done
"""

# Works for LOAD hundredths of each second; /proc/uptime counts hundredths.
LOAD = """\
#!/bin/sh
hundredths() { read up rest < /proc/uptime; echo ${up%.*}${up#*.}; }
[ "${LOAD:-0}" -gt 0 ] || exit 0
while true; do
    end=$(( $(hundredths) + LOAD ))
    while [ $(hundredths) -lt $end ]; do i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; done
    usleep $(( (100 - LOAD) * 10000 ))
done
"""

# A press of the ACPI power button is the first thing that its input device says.
POWER_BUTTON = """\
#!/bin/sh
for device in /sys/class/input/event*; do
    case "$(cat $device/device/name)" in
        "Power Button") head -c 24 /dev/input/${device##*/} > /dev/null && poweroff -f ;;
    esac
done
"""

LEASE = """\
#!/bin/sh
[ "$1" = bound ] && ip addr replace $ip/$mask dev $interface
"""

# no_timer_check: on a busy machine an emulated timer misses the kernel's test at boot, and the guest hangs for ever.
SYSLINUX_CFG = """\
DEFAULT tiny
PROMPT 0
TIMEOUT 0
LABEL tiny
  LINUX /vmlinuz
  INITRD /initrd.gz
  APPEND console=tty0 console=ttyS0,115200 quiet panic=5 no_timer_check
"""


def recipe() -> str:
    """Everything that the image depends on apart from package versions."""
    return repr((PACKAGES, DISK_MIB, MODULES, INIT, TICK, LOAD, POWER_BUTTON, LEASE, SYSLINUX_CFG))


def guest_image_make(unpacked: Path, work: Path, target: Path) -> None:
    """Makes the qcow2 at `target` from the unpacked packages, with `work` as scratch space."""
    kernel = next((unpacked / "boot").glob("vmlinuz-*"))
    (work / "vmlinuz").write_bytes(kernel.read_bytes())
    (work / "initrd.gz").write_bytes(gzip.compress(initramfs(unpacked), 9, mtime=0))
    (work / "syslinux.cfg").write_text(SYSLINUX_CFG)
    raw = work / "disk.raw"
    _partition_write(raw, (unpacked / "usr/lib/syslinux/mbr/mbr.bin").read_bytes())
    offset = _PARTITION_START * _SECTOR
    drive = f"{raw}@@{offset}"
    tools = unpacked / "usr/bin"
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    environment |= {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": _EPOCH}
    sectors = str(_PARTITION_MIB * 2048)
    geometry = ["-H", str(_PARTITION_START), "-T", sectors, "-v", "TINY", "-N", "53544f57"]
    _run([tools / "mformat", "-i", drive, *geometry, "::"], environment)
    files = [work / name for name in ("vmlinuz", "initrd.gz", "syslinux.cfg")]
    _run([tools / "mcopy", "-i", drive, *files, "::/"], environment)
    _run([tools / "syslinux", "--offset", str(offset), "--install", raw], environment)
    _run(["qemu-img", "convert", "-q", "-f", "raw", "-m", "1", "-O", "qcow2", "-c", raw, target], environment)


def initramfs(unpacked: Path) -> bytes:
    """The guest's root, uncompressed."""
    busybox = next(path for path in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if path.exists())
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    folders = ("bin", "dev", "etc", "modules", "proc", "root", "sys", "tmp", "var", "var/run")
    entries = [newc.directory(folder) for folder in folders]
    entries += [newc.character_device("dev/console", 5, 1), newc.character_device("dev/null", 1, 3, 0o666)]
    entries.append(newc.file("bin/busybox", busybox.read_bytes(), 0o755))
    entries += [newc.symlink(f"bin/{name}", "busybox") for name in applets if name != "busybox"]
    scripts = {"init": INIT, "bin/tick": TICK, "bin/load": LOAD, "bin/power-button": POWER_BUTTON, "bin/lease": LEASE}
    entries += [newc.file(path, text.encode(), 0o755) for path, text in scripts.items()]
    # root has no password: who reaches this console has the hypervisor anyway.
    entries.append(newc.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n"))
    entries.append(newc.file("etc/group", b"root:x:0:\n"))
    entries.append(newc.file("etc/issue", b"Stowage tiny guest: log in as root\n"))
    modules = modules_in_order(unpacked / "lib/modules")
    entries += [newc.file(f"modules/{name}.ko", content) for name, content in modules.items()]
    entries.append(newc.file("modules/order", "\n".join(modules).encode()))
    return newc.archive(entries)


def modules_in_order(folder: Path) -> dict[str, bytes]:
    """The wanted kernel modules and those they depend on, each after what it needs. Source: modinfo(8)."""
    found = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered or name not in found:
            return
        content = found[name].read_bytes()
        listed = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in listed.group(1).decode().split(",") if listed else []:
            add(needed.replace("-", "_"))
        ordered[name] = content

    for name in MODULES:
        add(name)
    return ordered


def _partition_write(raw: Path, boot_code: bytes) -> None:
    """A sparse disk with a master boot record and one active FAT16 partition."""
    sectors = _PARTITION_MIB * 2048
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x0E, b"\xfe\xff\xff", _PARTITION_START, sectors)
    record = boot_code[:440].ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa"
    with raw.open("wb") as disk:
        disk.truncate(DISK_MIB << 20)
        disk.write(record)


def _run(command: list[object], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [str(word) for word in command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise Rejected(f"The guest image could not be made: {command[0]} failed.", done.stderr.strip())
