"""What a host found in a folder of backups, judged: anybody who can write there may have written the manifests."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hosts.errors import Invalid
from hosts.models import Host
from hosts.models.place import NAME_PATTERN
from workloads.models import Backup

FILES_MOST = 26
SEED, SEED_TEXT_MOST = ("meta-data", "network-config"), 16384
_TARGET, _SUM = re.compile(r"vd[a-z]"), re.compile(r"[0-9a-f]{64}")
_BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_CPU_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_LARGEST = 2**53


def row_of(manifest: dict[str, Any], host: Host, folder: str) -> Backup:
    """The backup as its manifest tells of it; raises Invalid for what no backup of ours could say.

    Its checkpoint is not believed: the next backup of its VM is a full one.
    """
    try:
        return _row(manifest, host, folder)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise Invalid("The folder has a manifest that does not tell of a backup.", repr(error)[:200]) from error


def _row(manifest: dict[str, Any], host: Host, folder: str) -> Backup:
    name, kind, files = manifest["name"], Backup.Kind(manifest["kind"]), manifest["files"]
    parent = UUID(manifest["parent"]) if kind == Backup.Kind.INCREMENTAL else None
    if not re.fullmatch(NAME_PATTERN, name) or not 1 <= len(files) <= FILES_MOST:
        raise ValueError(name)
    spec = manifest["spec"]
    return Backup(
        uuid=UUID(manifest["backup"]),
        vm_uuid=UUID(manifest["vm"]),
        vm_name=name,
        host=host,
        host_name=host.name,
        folder=folder,
        taken_at=datetime.fromtimestamp(_number(manifest["taken_at_s"]), UTC),
        kind=kind,
        parent_id=parent,
        is_at_rest=manifest["is_at_rest"] is True,
        is_frozen=manifest.get("is_frozen") is True,
        files=[_file(file) for file in files],
        spec={
            "vcpus": min(256, max(1, int(_number(spec["vcpus"])))),
            "memory_mib": min(2**24, max(32, int(_number(spec["memory_mib"])))),
            "nics": [
                {"bridge": _matched(_BRIDGE, nic["bridge"]), "mac": _matched(_MAC, nic["mac"])}
                for nic in spec["nics"][:FILES_MOST]
            ],
            "disks": [
                {"target": _matched(_TARGET, disk["target"]), "size_gib": _number(disk["size_gib"])}
                for disk in spec["disks"][:FILES_MOST]
            ],
            **hardware_kept(spec),
            "seed": {name: str(text)[:SEED_TEXT_MOST] for name, text in dict(manifest["seed"]).items() if name in SEED},
        },
    )


def hardware_kept(spec: dict[str, Any]) -> dict[str, Any]:
    """What its disks start on: firmware, machine, CPU model and TPM, each what it is without one that could be."""
    cpu_model = str(spec.get("cpu_model") or "")
    return {
        "firmware": spec["firmware"] if spec.get("firmware") in ("uefi", "uefi-secure") else "bios",
        "machine": "pc" if spec.get("machine") == "pc" else "q35",
        "cpu_model": cpu_model if _CPU_MODEL.fullmatch(cpu_model) else "",
        "has_tpm": spec.get("has_tpm") is True,
    }


def _file(file: dict[str, Any]) -> dict[str, Any]:
    target = _matched(_TARGET, file["target"])
    return {
        "target": target,
        "file": f"{target}.qcow2",
        "size_bytes": int(_number(file["size_bytes"])),
        "virtual_bytes": int(_number(file["virtual_bytes"])),
        "sha256": _matched(_SUM, file["sha256"]),
    }


def _matched(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text[:50])
    return text


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no number")
    if not 0 <= value <= _LARGEST:
        raise ValueError("no believable number")
    return float(value)
