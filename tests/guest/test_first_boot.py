"""A real Debian with cloud-init: told at its first boot who may log in, reached by SSH, then wiped and restarted."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.guest.debian_image import debian_image
from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, forget
from tests.stack import Stack

HOST_ADDRESS, GUEST_ADDRESS = "10.99.0.1/24", "10.99.0.2/24"
BOOT_LIMIT_S = 900.0  # emulated, on a busy machine
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def image(stack: Stack) -> Iterator[str]:
    person = ApiPerson(stack)
    cache_dir = Path(os.environ.get("STOWAGE_CACHE_DIR") or "/var/cache/stowage")
    built = debian_image(cache_dir, print)
    status, row = person.upload("/images", {"name": "debian-12", "format": "qcow2"}, built)
    assert status == 201, row
    yield row["uuid"]
    person.call("DELETE", f"/images/{row['uuid']}")


@pytest.fixture(scope="module")
def debian(stack: Stack, image: str, key: Path) -> Iterator[dict[str, Any]]:
    """A Debian VM that was told of a user and an address."""
    person = ApiPerson(stack)
    first_boot = {
        "user": "ann",
        "ssh_keys": [key.with_suffix(".pub").read_text().strip()],
        "password": PASSWORD,
        "address": GUEST_ADDRESS,
    }
    wanted = {"name": "debian", "image": image, "memory_mib": 768, "disk_gib": 3, "first_boot": first_boot}
    bridge = person.host(HOST)["bridge"]
    stack.inside(HOST, "ip", "address", "add", HOST_ADDRESS, "dev", bridge)
    try:
        person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
        made = person.workload("debian")
        assert made is not None
        yield made
        forget(person, made["uuid"])  # a test may have stopped it
        assert not files_of(stack, f"{made['uuid']}*")
    finally:
        stack.inside(HOST, "ip", "address", "del", HOST_ADDRESS, "dev", bridge)


def files_of(stack: Stack, pattern: str) -> str:
    return stack.inside(HOST, "find", "/var/lib/libvirt/images", "/var/lib/stowage/shared", "-name", pattern)


class Login:
    """Commands inside the guest, by SSH from its host's network."""

    def __init__(self, stack: Stack, key: Path) -> None:
        self._stack = stack
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=5", "BatchMode=yes")
        flags = [word for option in options for word in ("-o", option)]
        self._ssh = ["ssh", "-q", "-i", str(key), *flags, f"ann@{GUEST_ADDRESS.split('/')[0]}"]

    def run(self, command: str) -> str:
        return self._stack.inside(HOST, *self._ssh, command)

    def wait(self, until: str = "true") -> float:
        """Seconds until a login succeeded, and that command in it."""
        began = time.monotonic()
        while time.monotonic() - began < BOOT_LIMIT_S:
            with suppress(AssertionError):
                self.run(until)
                return time.monotonic() - began
            time.sleep(2)
        pytest.fail(f"no SSH login, or not “{until}”, within {BOOT_LIMIT_S:.0f} s")


@pytest.fixture(scope="module")
def login(stack: Stack, debian: dict[str, Any], key: Path) -> Login:
    login = Login(stack, key)
    print(f"first SSH login after {login.wait():.0f} s")
    login.wait("test -s /run/cloud-init/result.json")  # written when cloud-init is done
    return login


def test_the_user_logs_in_by_the_key_and_is_what_was_asked_for(login: Login):
    assert login.run("id -un").strip() == "ann"
    assert login.run("sudo -n id -u").strip() == "0"
    assert login.run("hostname").strip() == "debian"
    assert "10.99.0.2/24" in login.run("ip -4 -o address show dev eth0")
    assert '"errors": []' in login.run("cat /run/cloud-init/result.json")


def test_the_password_holds_at_the_console_and_not_over_ssh(login: Login):
    shadow = login.run("sudo getent shadow ann").split(":")[1]
    salt = shadow.split("$")[2]
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, PASSWORD], capture_output=True, text=True, check=True
    )
    assert made.stdout.strip() == shadow
    assert "passwordauthentication no" in login.run("sudo sshd -T | grep -i '^passwordauthentication'")


def test_the_disk_has_the_size_that_was_asked_for(login: Login):
    gib = int(login.run("lsblk -bno SIZE /dev/vda | head -1").strip()) / 1024**3
    assert gib == pytest.approx(3.0)


def test_the_guest_uses_the_virtual_cpus_and_the_memory_that_it_is_given_while_it_runs(
    stack: Stack, debian: dict[str, Any], login: Login
):
    def inside() -> tuple[int, int]:
        return int(login.run("nproc")), int(login.run("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024

    def given(cpu_cores: int, memory_mib: int) -> tuple[int, int]:
        size = {"cpu_cores": cpu_cores, "memory_mib": memory_mib}
        person.done("POST", f"/workloads/{debian['uuid']}/resize", size)
        row = person.get(f"/workloads/{debian['uuid']}")
        assert (row["cpu_cores"], row["memory_mib"]) == (cpu_cores, memory_mib)
        return inside()

    person, boot = ApiPerson(stack), login.run("cat /proc/sys/kernel/random/boot_id")
    before = inside()
    more = given(2, 1024)
    less = given(2, 768)
    print(f"virtual CPUs and MemTotal in MiB: {before}, given more {more}, given less memory {less}")

    assert before[0] == 1 and more[0] == less[0] == 2
    assert more[1] - before[1] == 256 and less[1] == before[1]
    assert login.run("cat /proc/sys/kernel/random/boot_id") == boot


def test_wiped_first_boot_data_are_gone_from_the_disk_and_the_guest_keeps_what_it_did(
    stack: Stack, debian: dict[str, Any], login: Login
):
    person = ApiPerson(stack)
    assert "ann" in login.run("sudo strings -n 3 /dev/vdb || sudo grep -a -o 'ann' /dev/vdb")

    person.done("POST", f"/workloads/{debian['uuid']}/wipe-first-boot")

    seed = files_of(stack, f"{debian['uuid']}-seed.img").strip()
    for word in ("ann", "ssh-ed25519", "hashed_passwd"):
        with pytest.raises(AssertionError):
            stack.inside(HOST, "grep", "-q", "-a", word, seed)
    stack.inside(HOST, "grep", "-q", "-a", debian["uuid"], seed)
    status, answer = person.call("POST", f"/workloads/{debian['uuid']}/wipe-first-boot")
    assert (status, answer["message"]) == (409, "debian has no first-boot data that could be wiped.")
    person.done("POST", f"/workloads/{debian['uuid']}/restart")
    print(f"SSH login {login.wait():.0f} s after the restart")
    assert login.run("id -un").strip() == "ann"
