"""What the kernel counts of a host's disks, network cards, waiting and sensors. All of it is optional.

Source: the kernel's admin-guide/iostats.rst, accounting/psi.rst, hwmon/sysfs-interface.rst, power/powercap.rst.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hosts.plane.cgroup import DiskUse

SECTOR_BYTES = 512  # of /proc/diskstats, whatever the disk's own sectors are
# Copies of what other disks and cards count already, and what guests and containers hang on.
_NO_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd")
_NO_CARDS = ("lo", "veth", "vnet", "tap", "tun", "docker", "br-", "virbr", "ifb", "vxlan", "dummy")
PARTS_MOST = 64

Parts = dict[str, dict[str, float]]  # metric key -> device, sensor or package -> value


def disks_parse(diskstats: str, names: Iterable[str]) -> dict[str, tuple[DiskUse, float]]:
    """Use and busy seconds of the named disks, from /proc/diskstats."""
    wanted, found = set(names), {}
    for line in diskstats.splitlines():
        fields = line.split()
        if len(fields) < 14 or fields[2] not in wanted:
            continue
        reads, sectors_read, writes, sectors_written, busy_ms = (int(fields[n]) for n in (3, 5, 7, 9, 12))
        use = DiskUse(sectors_read * SECTOR_BYTES, sectors_written * SECTOR_BYTES, reads, writes)
        found[fields[2]] = (use, busy_ms / 1000)
    return found


def disk_names(sys_block: Path) -> list[str]:
    """The machine's own whole disks."""
    try:
        names = sorted(path.name for path in sys_block.iterdir())
    except OSError:
        return []
    return [name for name in names if not name.startswith(_NO_DISKS)][:PARTS_MOST]


def device_names(sys_dev_block: Path, devices: Iterable[str]) -> dict[str, str]:
    """Names of block devices by number: {"8:0": "sda"}; a device without a name keeps its number."""
    names = {}
    for device in devices:
        try:
            names[device] = (sys_dev_block / device).resolve(strict=True).name
        except OSError:
            names[device] = device
    return names


_CARD_COLUMNS = {  # of /proc/net/dev
    "network_received_bytes_total": 0,
    "network_received_packets_total": 1,
    "network_received_errors_total": 2,
    "network_received_dropped_total": 3,
    "network_sent_bytes_total": 8,
    "network_sent_packets_total": 9,
    "network_sent_errors_total": 10,
    "network_sent_dropped_total": 11,
}


def cards_parse(net_dev: str) -> dict[str, dict[str, int]]:
    """Counters of every network card in /proc/net/dev but the loopback."""
    found = {}
    for line in net_dev.splitlines():
        name, colon, rest = line.partition(":")
        columns = rest.split()
        if colon and len(columns) >= 12 and name.strip() != "lo":
            found[name.strip()] = {key: int(columns[n]) for key, n in _CARD_COLUMNS.items()}
    return found


def cards_sum(cards: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """All cards together; empty where there are none."""
    return {key: sum(card[key] for card in cards.values()) for key in _CARD_COLUMNS} if cards else {}


def is_uplink(name: str, sys_net: Path) -> bool:
    """Whether a network card carries the host's own traffic to the outside: no bridge, bond or guest's end of a cable.

    What goes through a bridge or a bond is counted at its cards already.
    """
    folder = sys_net / name
    is_made_of_others = (folder / "bridge").is_dir() or (folder / "bonding").is_dir()
    return not name.startswith(_NO_CARDS) and not is_made_of_others


def pressure_parse(text: str, resource: str) -> dict[str, float]:
    """Seconds of waiting from a PSI file: {"cpu_pressure_some_seconds_total": ...}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in ("some", "full") and words[-1].startswith("total="):
            found[f"{resource}_pressure_{words[0]}_seconds_total"] = int(words[-1].removeprefix("total=")) / 1e6
    return found


def pressure_read(folder: Path, ending: str = "") -> dict[str, float]:
    """Waiting for CPU, memory and disks: /proc/pressure/cpu, or cpu.pressure of a control group."""
    found: dict[str, float] = {}
    for resource in ("cpu", "memory", "io"):
        text = text_of(folder / (resource + ending))
        found |= pressure_parse(text, resource)
    # "full" of CPU has no meaning for a whole machine and is always 0 there
    found.pop("cpu_pressure_full_seconds_total", None)
    return found


def temperatures_read(hwmon: Path) -> dict[str, float]:
    """Degrees by sensor ("coretemp Package id 0"), from /sys/class/hwmon."""
    found: dict[str, float] = {}
    for entry in sorted(hwmon.glob("hwmon*/temp*_input"))[:PARTS_MOST]:
        text = text_of(entry).strip()
        if not text.lstrip("-").isdigit():
            continue
        chip = text_of(entry.parent / "name").strip() or entry.parent.name
        label = text_of(entry.with_name(entry.name.replace("_input", "_label"))).strip()
        found[f"{chip} {label or entry.name.removesuffix('_input')}"] = int(text) / 1000
    return found


def energy_read(powercap: Path) -> dict[str, float]:
    """Joules by CPU package, from RAPL under /sys/class/powercap; only root may read them."""
    found: dict[str, float] = {}
    for entry in sorted(powercap.glob("intel-rapl:*/energy_uj"))[:PARTS_MOST]:
        text, name = text_of(entry).strip(), text_of(entry.parent / "name").strip()
        if text.isdigit() and name.startswith("package"):
            found[name] = int(text) / 1e6
    return found


def text_of(path: Path) -> str:
    """The file's text; empty where it is absent or the kernel gives an error for it."""
    try:
        return path.read_text()
    except OSError:
        return ""
