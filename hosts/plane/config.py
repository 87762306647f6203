"""What a plane is told about itself: the JSON file given by `--config`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hosts.errors import Invalid


@dataclass(frozen=True)
class Declared:
    """Capacity that stands in for the machine's own, as a lab host declares it."""

    cpu_cores: float
    memory_mib: int
    disk_gib: float


@dataclass(frozen=True)
class PoolPlace:
    """A directory in which volumes may live."""

    name: str
    path: str


@dataclass(frozen=True)
class PlaneConfig:
    """One plane's settings; paths are absolute, `kind` is "host" or "site"."""

    name: str
    state_dir: str
    site: str = ""
    kind: str = "host"
    control_url: str = "http://127.0.0.1:8000"
    token_file: str = ""
    libvirt_uri: str = "qemu:///system"
    docker_url: str = "unix:///var/run/docker.sock"
    declared: Declared | None = None
    cgroup: str | None = None
    migration_address: str = ""
    pools: tuple[PoolPlace, ...] = field(default_factory=tuple)
    image_cache: str = "/var/lib/stowage/images"
    run_dir: str = "/run/stowage"
    # Where the console gateway listens; the address that faces the control plane, if not given.
    console_address: str = ""
    console_port: int = 0  # 0: the one of last time, else any that is free
    # Whether administrators may open a shell on this host from the dashboard.
    host_shell: bool = False
    # The command that shuts this host down in order, where Stowage may do that: ["systemctl", "poweroff"]. It is asked
    # for where no management controller can. Never in a plane that serves a host from elsewhere.
    shutdown_command: tuple[str, ...] = ()
    # Folders of this host that containers may be given, with all that is below them; none, if not given.
    bind_paths: tuple[str, ...] = ()
    # Folders of this host that backups of VMs may lie in, with all that is below them; the first is taken unless
    # another is asked for. None, if not given: no backups.
    backup_paths: tuple[str, ...] = ()
    # A Linux kernel for the trial of KVM, where /boot has none.
    probe_kernel: str = ""

    def queue(self, lane: str) -> str:
        """The Celery queue of a lane: "short" and "long" of a host, "site" of a site."""
        return f"site.{self.name}" if self.kind == "site" else f"host.{self.name}.{lane}"

    @property
    def user(self) -> str:
        """The plane's name at the broker."""
        return f"{self.kind}.{self.name}"

    def lanes(self) -> tuple[str, ...]:
        return ("site",) if self.kind == "site" else ("short", "long")


def config_read(path: str, site: str | None = None) -> PlaneConfig:
    """The settings in the JSON file at `path`; with `site`, those of that site's plane.

    Unknown keys are kept out in silence, so that an older plane reads a newer file.
    Raises Invalid with the reason.
    """
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise Invalid(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Invalid(f"The configuration {path} is not JSON: {error}.") from error
    return config_from_data(data, site)


def config_from_data(data: dict[str, Any], site: str | None = None) -> PlaneConfig:
    """As `config_read`, from data already in hand."""
    known = {f.name for f in fields(PlaneConfig)}
    values = {key: value for key, value in data.items() if key in known and value is not None}
    if site is not None:
        values |= {"name": site, "site": site, "kind": "site"}
    if declared := values.get("declared"):
        values["declared"] = Declared(
            float(declared["cpu_cores"]), int(declared["memory_mib"]), float(declared["disk_gib"])
        )
    values["host_shell"] = values.get("host_shell") is True
    command = values.get("shutdown_command")
    values["shutdown_command"] = tuple(str(word) for word in command) if isinstance(command, list) else ()
    values["pools"] = tuple(PoolPlace(pool["name"], pool["path"]) for pool in values.get("pools") or ())
    for key in ("bind_paths", "backup_paths"):
        values[key] = tuple(str(path) for path in values.get(key) or () if str(path).startswith("/"))
    if missing := [key for key in ("name", "state_dir") if not values.get(key)]:
        raise Invalid(f"The configuration lacks {' and '.join(missing)}.")
    return PlaneConfig(**values)
