"""lab.json: what the lab tells the rest of Stowage about itself, as an administrator would tell it."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

from hosts.lab.bmc import USERNAME, BmcService
from hosts.lab.lab_host import LabHost
from hosts.lab.layout import SITE, Layout, write_atomically
from hosts.lab.switch import GUEST_BRIDGE, Subnet


def lab_describe(
    layout: Layout,
    subnet: Subnet,
    hosts: list[LabHost],
    bmc: BmcService | None,
    images: dict[str, Any],
    *,
    ready: bool,
    control_url_port: int,
) -> dict[str, Any]:
    """The content of lab.json. `ready` is true once every host's libvirtd and dockerd answered."""
    return {
        "site": SITE,
        "racks": sorted({host.plan.rack for host in hosts}),
        "ready": ready,
        "supervisor_pid": os.getpid(),
        "key": layout.key,
        "subnet": subnet.cidr,
        "switch_address": subnet.switch_address,
        "control_url": f"http://{subnet.switch_address}:{control_url_port}",
        "guest_bridge": GUEST_BRIDGE,
        "site_plane": {
            "name": SITE,
            "config_file": str(layout.data_dir / "site.json"),
            "token_file": str(layout.token_dir / f"site-{SITE}"),
        },
        "hosts": [_host_describe(host, subnet, bmc) for host in sorted(hosts, key=lambda h: h.plan.name)],
        "images": images,
    }


def _host_describe(host: LabHost, subnet: Subnet, bmc: BmcService | None) -> dict[str, Any]:
    plan = host.plan
    return {
        "name": plan.name,
        "rack": plan.rack,
        "address": subnet.address(plan),
        "migration_address": subnet.migration_address(plan),
        "cpu_cores": plan.capacity.cpu_cores,
        "memory_mib": plan.capacity.memory_mib,
        "disk_gib": plan.capacity.disk_gib,
        "power_idle_watts": plan.capacity.power_idle_watts,
        "power_peak_watts": plan.capacity.power_peak_watts,
        "host_uuid": plan.host_uuid,
        "machine_id": plan.machine_id,
        "bmc": bmc and {"url": bmc.url, "system": plan.host_uuid, "username": USERNAME, "password": bmc.password},
        "config_file": str(plan.config_file),
        "token_file": str(host.token_file),
        "log_dir": str(plan.log_dir),
        "power_state": host.power_state,
        "init_pid": host.init_pid,
        "mac": plan.mac,
    }


def lab_file_write(path: Path, description: dict[str, Any], owner_uid: int | None) -> None:
    """Writes lab.json for root, and for the service user's group to read: it holds the BMC password."""
    mode, group_id = (0o600, -1) if owner_uid is None else (0o640, owner_group(owner_uid))
    write_atomically(path, json.dumps(description, indent=1), mode=mode, group_id=group_id)


def owner_group(owner_uid: int) -> int:
    """The primary group of a user; the number itself for a user without an entry."""
    try:
        return pwd.getpwuid(owner_uid).pw_gid
    except KeyError:
        return owner_uid


def lab_file_read(path: Path) -> dict[str, Any]:
    """What the last lab of this data directory wrote; empty when there was none."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}
