"""The files of a lab host, written anew at each boot: its daemons' settings, its names, and what it is to start."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hosts.lab import cgroups, daemon_config
from hosts.lab.layout import REPOSITORY, SITE, HostPlan, Layout, write_atomically
from hosts.lab.switch import Subnet

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN_FILES = ("hosts", "hostname", "machine-id", "passwd", "group")


def host_environment() -> dict[str, str]:
    """What every program in a lab host gets: nothing of the shell that started the lab."""
    return {
        "PATH": _PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        # Docker and libvirt look for a confining AppArmor otherwise, and cannot load profiles from in here.
        "container": "stowage-lab",
    }


def host_files_write(plan: HostPlan, layout: Layout, subnet: Subnet, control_url: str, with_plane: bool) -> None:
    """Writes a host's configuration anew; what its daemons wrote stays."""
    root = plan.root
    for name in ("libvirt", "libvirt-etc", "libvirt-cache", "libvirt-log", "docker", "stowage", "scratch"):
        (root / name).mkdir(parents=True, exist_ok=True)
    plan.log_dir.mkdir(exist_ok=True)
    (root / "libvirt/images").mkdir(exist_ok=True)
    (root / "libvirt-log/qemu").mkdir(exist_ok=True)
    (root / "stowage/shared").mkdir(exist_ok=True)
    addresses = {host.name: subnet.migration_address(host) for host in layout.hosts()}
    own = subnet.migration_address(plan)
    version = cgroups.hierarchies().version
    group = cgroups.group_path_inside(f"{layout.cgroup}/{plan.name}")
    write_atomically(root / "libvirt-etc/libvirtd.conf", daemon_config.libvirtd_conf(plan.host_uuid, own))
    write_atomically(root / "libvirt-etc/qemu.conf", daemon_config.qemu_conf(own))
    docker_parent = group if version == 1 else None
    write_atomically(root / "containerd.toml", daemon_config.containerd_toml())
    write_atomically(root / "daemon.json", daemon_config.docker_daemon_json(docker_parent, subnet.cidr))
    write_atomically(root / "hosts", daemon_config.hosts_file(plan.name, addresses))
    write_atomically(root / "hostname", plan.name + "\n")
    write_atomically(root / "machine-id", plan.machine_id + "\n")
    for name in ("passwd", "group"):
        text = daemon_config.with_libvirt_user(Path("/etc", name).read_text(), is_group=name == "group")
        write_atomically(root / name, text)
    hostd = hostd_config(plan, layout, own, control_url, group)
    write_atomically(plan.config_file, json.dumps(hostd, indent=1))
    write_atomically(root / "boot.json", json.dumps(boot_spec(plan, layout, version, with_plane), indent=1))


def hostd_config(plan: HostPlan, layout: Layout, address: str, control_url: str, group: str) -> dict[str, Any]:
    """The host plane's configuration file."""
    return {
        "name": plan.name,
        "site": SITE,
        "control_url": control_url,
        "token_file": str(layout.token_dir / plan.name),
        "state_dir": "/var/lib/stowage/state",
        "libvirt_uri": "qemu:///system",
        "docker_url": "unix:///run/docker.sock",
        "declared": {
            "cpu_cores": plan.capacity.cpu_cores,
            "memory_mib": plan.capacity.memory_mib,
            "disk_gib": plan.capacity.disk_gib,
        },
        "cgroup": group,
        "migration_address": address,
        "pools": [
            {"name": "local", "path": "/var/lib/libvirt/images"},
            {"name": "shared", "path": "/var/lib/stowage/shared"},
        ],
        "image_cache": "/var/lib/stowage/images",
        "run_dir": "/run/stowage",
        # One host, so that a host's shell can be tried; off is what a real host begins with.
        "host_shell": plan.number == 0,
        # As a real host's ["systemctl", "poweroff"]: its first process ends it in order.
        "shutdown_command": [sys.executable, "-c", "import os, signal; os.kill(1, signal.SIGTERM)"],
        "bind_paths": ["/run/given"],  # for trials; nothing is there at first
        # The first is the host's own; the second all hosts of the lab see, as a network share would be.
        "backup_paths": ["/var/lib/stowage/backups", "/var/lib/stowage/shared/backups"],
        "probe_kernel": str(layout.probe_kernel),
    }


def boot_spec(plan: HostPlan, layout: Layout, cgroup_version: int, with_plane: bool) -> dict[str, Any]:
    """What `hosts.lab.inside` is told."""
    root = str(plan.root)
    binds = [
        [f"{root}/libvirt", "/var/lib/libvirt"],
        [f"{root}/libvirt-etc", "/etc/libvirt"],
        [f"{root}/libvirt-cache", "/var/cache/libvirt"],
        [f"{root}/libvirt-log", "/var/log/libvirt"],
        [f"{root}/docker", "/var/lib/docker"],
        [f"{root}/stowage", "/var/lib/stowage"],
        [str(layout.shared_dir), "/var/lib/stowage/shared"],
        *([f"{root}/{name}", f"/etc/{name}"] for name in _OWN_FILES),
    ]
    hostd = [sys.executable, str(REPOSITORY / "manage.py"), "hostd", "--config", str(plan.config_file)]
    if modules := os.environ.get("STOWAGE_LAB_EFFECTS"):
        hostd += ["--effects", modules]  # tests have one that breaks the others on request
    return {
        "name": plan.name,
        "scratch": f"{root}/scratch",
        "cgroup_version": cgroup_version,
        "binds": binds,
        "log_dir": str(plan.log_dir),
        "cwd": str(REPOSITORY),
        "daemons": [
            ["virtlogd", [program("virtlogd")]],
            ["libvirtd", [program("libvirtd"), "-l"]],
            ["containerd", [program("containerd"), "--config", f"{root}/containerd.toml"]],
            ["dockerd", [program("dockerd"), "--config-file", f"{root}/daemon.json"]],
            *([["hostd", hostd]] if with_plane else []),
        ],
    }


def mount_points_make() -> None:
    """Makes the folders and files of this machine that lab hosts mount their own over; existing ones stay as they are.

    They are not removed at the end: removing a folder takes the mounts of other labs on it away.
    """
    folders = ("/var/lib/libvirt", "/etc/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/var/lib/docker")
    for folder in (*folders, "/var/lib/stowage"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for file in ("/etc/hosts", "/etc/hostname", "/etc/machine-id"):
        if not Path(file).exists():
            Path(file).touch()


def program(name: str) -> str:
    """Where a program is, also when the caller's PATH lacks the sbin folders."""
    return shutil.which(name, path=_PATH) or name
