"""What guests say is judged: whoever owns one may have its agent say anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosts.drivers.guest_info import guest_read
from hosts.guest import ADDRESSES_MOST, FILESYSTEMS_MOST, INTERFACES_MOST, addresses_of, guest_judged

TOLD = {
    "hostname": "web-1",
    "os.pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "os.version": "12 (bookworm)",
    "os.kernel-release": "6.1.0-18-cloud-amd64",
    "if.count": 2,
    "if.0.name": "lo",
    "if.0.hwaddr": "00:00:00:00:00:00",
    "if.0.addr.count": 1,
    "if.0.addr.0.type": "ipv4",
    "if.0.addr.0.addr": "127.0.0.1",
    "if.0.addr.0.prefix": 8,
    "if.1.name": "eth0",
    "if.1.hwaddr": "52:54:00:00:00:01",
    "if.1.addr.count": 2,
    "if.1.addr.0.addr": "10.0.0.7",
    "if.1.addr.0.prefix": 24,
    "if.1.addr.1.addr": "FE80::1",
    "if.1.addr.1.prefix": 64,
    "fs.count": 1,
    "fs.0.mountpoint": "/",
    "fs.0.fstype": "ext4",
    "fs.0.total-bytes": 1000,
    "fs.0.used-bytes": 400,
}


def test_libvirts_flat_names_become_values():
    guest = guest_read(TOLD)

    assert guest["hostname"] == "web-1"
    assert guest["system"]["name"] == "Debian GNU/Linux 12 (bookworm)"
    assert guest["interfaces"][1] == {
        "name": "eth0",
        "mac": "52:54:00:00:00:01",
        "addresses": ["10.0.0.7/24", "fe80::1/64"],
    }
    assert guest["filesystems"] == [{"mount": "/", "type": "ext4", "total_bytes": 1000, "used_bytes": 400}]
    assert addresses_of(guest) == ["10.0.0.7"]


def test_a_guest_that_floods_is_cut():
    many: dict[str, Any] = {"hostname": "x" * 2**20, "if.count": 10_000, "fs.count": 10_000}
    for n in range(10_000):
        many |= {f"if.{n}.name": "n" * 2**10, f"if.{n}.addr.count": 10_000, f"fs.{n}.mountpoint": "/" * 5000}
    many |= {f"if.0.addr.{n}.addr": f"10.0.{n // 250}.{n % 250}" for n in range(10_000)}

    guest = guest_judged({**guest_read(many), "told_at_s": 7})

    assert (len(guest["interfaces"]), len(guest["filesystems"])) == (INTERFACES_MOST, FILESYSTEMS_MOST)
    assert len(guest["interfaces"][0]["addresses"]) == ADDRESSES_MOST
    assert len(json.dumps(guest)) < 40_000
    assert guest["told_at_s"] == 7


@pytest.mark.parametrize(
    "text",
    ["10.0.0.7 or 1", "999.1.1.1/24", "<b>10.0.0.7</b>", "fe80::1%eth0/64", "1" * 10_000, "", None, 7, ["::1"]],
)
def test_what_is_no_address_is_left_out(text: Any):
    guest = guest_judged({"interfaces": [{"name": "eth0", "addresses": [text]}]})

    assert guest["interfaces"][0]["addresses"] == []


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        {"interfaces": {"0": 1}, "filesystems": 7, "system": [], "hostname": {}},
        {"interfaces": [None, 3, {"addresses": "10.0.0.1"}], "filesystems": [[]]},
        {"filesystems": [{"total_bytes": float("nan"), "used_bytes": -1}, {"total_bytes": 1e400, "used_bytes": True}]},
        {"filesystems": [{"total_bytes": 10**400, "used_bytes": -(10**400)}], "told_at_s": -(10**400)},
    ],
)
def test_what_makes_no_sense_harms_nothing(told: Any):
    guest = guest_judged(told)

    assert set(guest) == {"hostname", "system", "interfaces", "filesystems", "told_at_s"}
    assert all(row["total_bytes"] >= row["used_bytes"] >= 0 for row in guest["filesystems"])
    json.dumps(guest, allow_nan=False)


def test_control_characters_go():
    guest = guest_judged({"hostname": "\x1b[31mweb\n\x00-1\u202e"})

    assert guest["hostname"] == "[31mweb-1"
