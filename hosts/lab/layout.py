"""What the lab consists of and where each part lies: names, addresses, capacities and paths, all derived.

Identities that must outlive a restart (machine ids, the BMC password, the subnet once chosen) are kept in
`identity.json` of the data directory: the dashboard's database refers to them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hosts.errors import Invalid

SITE = "lab"
REPOSITORY = Path(__file__).resolve().parents[2]
HOSTS_MAX = 12
_NAMES = [f"lab-{rack}{number}" for number in range(1, 7) for rack in "ab"]
T = TypeVar("T")


@dataclass(frozen=True)
class Capacity:
    """What a lab host declares to have: the machine below it is shared by all of them."""

    cpu_cores: int
    memory_mib: int
    disk_gib: int
    power_idle_watts: int
    power_peak_watts: int


LARGE = Capacity(cpu_cores=8, memory_mib=8192, disk_gib=40, power_idle_watts=140, power_peak_watts=380)
SMALL = Capacity(cpu_cores=4, memory_mib=4096, disk_gib=40, power_idle_watts=95, power_peak_watts=240)


@dataclass(frozen=True)
class HostPlan:
    """One lab host. `number` counts from 0 and fixes its addresses."""

    name: str
    number: int
    capacity: Capacity
    host_uuid: str
    machine_id: str
    root: Path

    @property
    def rack(self) -> str:
        return self.name.removeprefix("lab-")[0]

    @property
    def mac(self) -> str:
        return "02:6c:62:" + ":".join(self.machine_id[i : i + 2] for i in (0, 2, 4))

    @property
    def config_file(self) -> Path:
        return self.root / "hostd.json"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"


class Layout:
    """The lab of one data directory."""

    def __init__(self, data_dir: Path, host_count: int) -> None:
        if not 1 <= host_count <= HOSTS_MAX:
            raise Invalid(f"A lab has 1 to {HOSTS_MAX} hosts, not {host_count}.")
        self.data_dir = data_dir.resolve()
        # Two labs on one machine never clash: every name outside the data directory carries this.
        self.key = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:6]
        self.uplink = f"stwlab-{self.key}"
        self.cgroup = f"stowage-{self.key}"
        self.hosts_dir = self.data_dir / "hosts"
        self.shared_dir = self.data_dir / "shared"
        self.token_dir = self.data_dir / "tokens"
        self.run_dir = self.data_dir / "run"
        self.log_dir = self.data_dir / "log"
        self.lab_file = self.data_dir / "lab.json"
        self.probe_kernel = self.data_dir / "probe-vmlinuz"
        self.lock_file = self.data_dir / "lock"
        self.seeded_file = self.data_dir / "seeded"
        self.identity = Identity(self.data_dir / "identity.json")
        self.host_count = host_count

    def hosts(self) -> list[HostPlan]:
        """Every host, in the order of their numbers; a lab that grows keeps those it had."""
        return [self._host(number, name) for number, name in enumerate(_NAMES[: self.host_count])]

    def _host(self, number: int, name: str) -> HostPlan:
        return HostPlan(
            name=name,
            number=number,
            capacity=LARGE if number == 0 else SMALL,
            host_uuid=self.identity.get(f"{name}.host_uuid", lambda: str(uuid.uuid4())),
            machine_id=self.identity.get(f"{name}.machine_id", lambda: uuid.uuid4().hex),
            root=self.hosts_dir / name,
        )

    def make_directories(self, owner_uid: int | None) -> None:
        """Makes what every part expects; the service user may write the token folder and nothing else."""
        for path in (self.data_dir, self.hosts_dir, self.shared_dir, self.run_dir, self.log_dir):
            path.mkdir(parents=True, exist_ok=True)
        self.token_dir.mkdir(mode=0o700, exist_ok=True)
        if owner_uid is not None:
            os.chown(self.token_dir, owner_uid, -1)


class Identity:
    """Small facts that are made once and kept, in a file for root alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The kept fact, or the one `make()` gives, kept from now on."""
        if key not in self._facts:
            self.put(key, make())
        return self._facts[key]  # type: ignore[return-value]

    def put(self, key: str, value: object) -> None:
        self._facts[key] = value
        write_atomically(self._path, json.dumps(self._facts, indent=1), mode=0o600)


def write_atomically(path: Path, text: str, mode: int = 0o644, group_id: int = -1) -> None:
    """Replaces a file as a whole: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if group_id != -1:
        os.chown(temporary, -1, group_id)
    os.replace(temporary, path)
