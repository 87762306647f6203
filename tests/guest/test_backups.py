"""A real Debian backed up while it runs, and restored: its files have equal checksums inside, and it is itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.guest.test_first_boot import Login, debian, image, key, login
from tests.lab.api_person import ApiPerson
from tests.lab.flow import forget
from tests.stack import Stack

__all__ = ["debian", "image", "key", "login"]  # fixtures
SUMS = "sha256sum first second /etc/ssh/ssh_host_ed25519_key.pub; cat /var/lib/cloud/data/instance-id"


def test_a_guest_comes_back_with_equal_checksums_and_is_itself(
    stack: Stack, debian: dict[str, Any], login: Login, key: Path
):
    person, path = ApiPerson(stack), f"/workloads/{debian['uuid']}"
    login.run("head -c 20M /dev/urandom > first; head -c 5M /dev/urandom > second; sync")
    person.done("POST", f"{path}/backups", {"kind": "full"})
    login.run("head -c 5M /dev/urandom > second; sync")
    sums = login.run(SUMS)
    person.done("POST", f"{path}/backups", {"kind": "incremental"})
    part, full = person.get(f"{path}/backups")
    assert (full["kind"], part["kind"]) == ("full", "incremental") and part["size_bytes"] < full["size_bytes"] / 4
    print(f"full {full['size_bytes'] >> 20} MiB, incremental {part['size_bytes'] >> 20} MiB")
    login.run("rm first second; sync")
    person.done("POST", f"{path}/stop?force=true")

    begun = person.done("POST", f"/backups/{part['uuid']}/restore", {"name": "debian-back"})
    back = person.workload("debian-back")
    assert back is not None
    try:
        person.done("POST", f"/workloads/{back['uuid']}/start")
        print(f"restored in {begun['seconds']:.1f} s, SSH login {login.wait():.0f} s after the start")

        assert login.run(SUMS) == sums and debian["uuid"] in sums
    finally:
        forget(person, back["uuid"])
        for row in (part, full):
            person.done("DELETE", f"/backups/{row['uuid']}")
