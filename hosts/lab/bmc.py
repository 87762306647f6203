"""The configuration of the BMC emulator, and its command."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from hosts.lab.layout import HostPlan, Layout, write_atomically

USERNAME = "admin"
_BCRYPT_ROUNDS = 4  # the emulator hashes at every request, and the password is 24 random bytes


@dataclass(frozen=True)
class BmcService:
    """Where the emulator listens, for all lab hosts; each is one Redfish system with its host's uuid."""

    port: int
    password: str
    config_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether somebody listens there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def command(self) -> list[str]:
        return [sys.executable, "-m", "hosts.lab.bmc_emulator", str(self.config_file)]


def bmc_prepare(
    layout: Layout, hosts: list[HostPlan], power_url: str, password: str, owner_uid: int | None
) -> BmcService:
    """Writes the emulator's files for the user that it will run as. The port stays the same as long as it is free."""
    folder = layout.data_dir / "bmc"
    folder.mkdir(mode=0o700, exist_ok=True)
    port = _free_port(layout.identity.get("bmc_port", lambda: 0))
    layout.identity.put("bmc_port", port)
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()
    write_atomically(folder / "htpasswd", f"{USERNAME}:{digest}\n", mode=0o600)
    (folder / "fakedriver.sqlite").unlink(missing_ok=True)  # it would keep systems of a lab with more hosts
    config = {
        "SUSHY_EMULATOR_LISTEN_IP": "127.0.0.1",
        "SUSHY_EMULATOR_LISTEN_PORT": port,
        "SUSHY_EMULATOR_AUTH_FILE": str(folder / "htpasswd"),
        "SUSHY_EMULATOR_FAKE_DRIVER": True,
        "SUSHY_EMULATOR_STATE_DIR": str(folder),
        "SUSHY_EMULATOR_FAKE_SYSTEMS": [_system(host) for host in hosts],
        "STOWAGE_POWER_URL": power_url,
    }
    write_atomically(folder / "config.json", json.dumps(config, indent=1), mode=0o600)
    for path in (folder, *folder.iterdir()):
        os.chown(path, -1 if owner_uid is None else owner_uid, -1)
    return BmcService(port, password, folder / "config.json")


def _system(host: HostPlan) -> dict[str, object]:
    return {
        "uuid": host.host_uuid,
        "name": host.name,
        "power_state": "On",
        "nics": [{"mac": host.mac}],
        "memory_gib": host.capacity.memory_mib // 1024,
        "cpu_cores": host.capacity.cpu_cores,
    }


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("port 0 is always free")
