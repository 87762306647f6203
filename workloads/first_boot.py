"""What a VM is told at its first boot: cloud-init's NoCloud files, made from an operator's wish or written by hand.

Pure but for the password's hash. JSON is YAML too, so what is made here needs no quoting of its own.
Source of the format: cloud-init's documentation of NoCloud and of network configuration version 2.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any

import yaml

from hosts.errors import DriverError, Invalid

USER_DATA_MOST = 64 * 1024
PASSWORD_LEAST = 8
CARD = "eth0"
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}(=[A-Za-z0-9.+:~-]{1,100})?")
_KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519@", "sk-ecdsa-sha2-")


@dataclass(frozen=True)
class FirstBoot:
    """The wish. `user_data` stands alone: what is written by hand says all that user, keys and packages would.

    Without `address` (with its prefix, "10.0.0.5/24") the network comes by DHCP. `password` is in the clear, and is
    hashed before it is kept anywhere.
    """

    user: str = ""
    ssh_keys: tuple[str, ...] = ()
    password: str = ""
    packages: tuple[str, ...] = ()
    address: str = ""
    gateway: str = ""
    name_servers: tuple[str, ...] = ()
    user_data: str = ""

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> FirstBoot:
        """The wish from JSON, whose lists are lists."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)


def seed_files(name: str, uuid: str, mac: str, wish: FirstBoot) -> dict[str, str]:
    """The seed's files by name. Raises Invalid, with the field, for a wish that no guest could follow."""
    files = {
        "meta-data": json.dumps({"instance-id": uuid, "local-hostname": name.lower().replace("_", "-")}),
        "user-data": _user_data(wish),
    }
    network = _network(mac, wish)
    return files | ({"network-config": network} if network else {})


def _user_data(wish: FirstBoot) -> str:
    if wish.user_data:
        if wish.user or wish.ssh_keys or wish.password or wish.packages:
            raise Invalid(
                "Say it in the user-data or in the fields, not in both: leave one of them empty.",
                field="user_data",
            )
        user_data_check(wish.user_data)
        return wish.user_data
    config: dict[str, Any] = {"manage_etc_hosts": "localhost"}  # so that its own name resolves
    if (wish.ssh_keys or wish.password) and not wish.user:
        raise Invalid("Name the user whom the keys or the password are for.", field="user")
    if wish.user:
        config["users"] = [_account(wish)]
        config["ssh_pwauth"] = False
    if wish.packages:
        for package in wish.packages:
            if not _PACKAGE.fullmatch(package):
                raise Invalid(f"{package[:60]} is not the name of a package.", field="packages")
        config["package_update"] = True
        config["packages"] = list(wish.packages)
    return "#cloud-config\n" + json.dumps(config, indent=1) + "\n"


def _account(wish: FirstBoot) -> dict[str, Any]:
    if not _USER.fullmatch(wish.user) or wish.user == "root":
        raise Invalid(
            "A user's name has 1 to 32 small letters, digits, dashes and underscores, begins with a letter, and is not"
            " root.",
            field="user",
        )
    for key in wish.ssh_keys:
        _key_check(key)
    if not wish.ssh_keys and not wish.password:
        raise Invalid(f"Give {wish.user} an SSH key or a password; without one nobody gets in.", field="ssh_keys")
    account: dict[str, Any] = {
        "name": wish.user,
        "groups": ["sudo"],
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": not wish.password,
        "ssh_authorized_keys": list(wish.ssh_keys),
    }
    if wish.password:
        account["hashed_passwd"] = _hashed(wish.password)
    return account


def _key_check(key: str) -> None:
    kind, _, rest = key.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if not kind.startswith(_KEY_KINDS) or not key.isprintable() or not blob[4:].startswith(kind.encode()):
        raise Invalid(
            "An SSH key is one line like “ssh-ed25519 AAAA… me@here”, as in a .pub file. Paste the public one.",
            field="ssh_keys",
        )


def _hashed(password: str) -> str:
    """SHA-512 crypt, which every Linux guest reads. Runs openssl, for Python's own is deprecated."""
    if len(password) < PASSWORD_LEAST or not password.isprintable():
        raise Invalid(f"A password has at least {PASSWORD_LEAST} printable characters.", field="password")
    command = ["openssl", "passwd", "-6", "-stdin"]
    try:
        done = subprocess.run(command, input=password, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise DriverError("The password could not be hashed: openssl is missing or failed.") from error
    return done.stdout.strip()


def user_data_check(text: str) -> None:
    """Raises Invalid unless cloud-init would take the text: a cloud-config that is a mapping, or a script."""
    if len(text.encode()) > USER_DATA_MOST:
        raise Invalid(f"The user-data has more than {USER_DATA_MOST >> 10} KiB.", field="user_data")
    if text.startswith("#!"):
        return
    if text.split("\n", 1)[0].rstrip() != "#cloud-config":
        raise Invalid("The first line must be #cloud-config, or #! and the program of a script.", field="user_data")
    try:
        config = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = f"in line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise Invalid(f"The user-data is not YAML {where}: {error.problem}.", field="user_data") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid("The user-data is not YAML.", str(error)[:200], field="user_data") from error
    if config is not None and not isinstance(config, dict):
        raise Invalid("A cloud-config is a list of “name: value” lines, and this is none.", field="user_data")


def _network(mac: str, wish: FirstBoot) -> str:
    if not wish.address:
        if wish.gateway or wish.name_servers:
            raise Invalid("A gateway or name servers need an address of the VM's own.", field="address")
        return ""
    try:
        own = ipaddress.ip_interface(wish.address)
    except ValueError as error:
        raise Invalid("Write the address with its prefix, for example 10.0.0.5/24.", field="address") from error
    if "/" not in wish.address or own.ip in (own.network.network_address, own.network.broadcast_address):
        raise Invalid("Write the address with its prefix, for example 10.0.0.5/24.", field="address")
    # Named, because Debian's own renderer knows cards by name alone.
    card: dict[str, Any] = {"match": {"macaddress": mac}, "set-name": CARD, "addresses": [str(own)]}
    if wish.gateway:
        gateway = _ip(wish.gateway, "gateway")
        if gateway not in own.network:
            raise Invalid(f"The gateway {gateway} is not in {own.network}.", field="gateway")
        card["gateway6" if own.version == 6 else "gateway4"] = str(gateway)
    if wish.name_servers:
        card["nameservers"] = {"addresses": [str(_ip(one, "name_servers")) for one in wish.name_servers]}
    return json.dumps({"version": 2, "ethernets": {CARD: card}})


def _ip(text: str, field: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"{text[:40]} is not an IP address.", field=field) from error
