"""The magic packet on a real socket, and addresses that are none. A host woken: tests/lab/test_wake_on_lan.py."""

from __future__ import annotations

import socket

import pytest

from hosts.bmc_address import EVERYBODY, WakeAddress, address_check, wake_address
from hosts.drivers.wake_on_lan import WakeOnLan, address_answers
from hosts.errors import Invalid, Refused, Rejected

MAC = "02:6c:62:0a:0b:0c"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"wol:{MAC}", WakeAddress(MAC, EVERYBODY, 9)),
        ("wol:02-6C-62-0A-0B-0C?broadcast=10.0.0.255", WakeAddress(MAC, "10.0.0.255", 9)),
        (f"wol:{MAC}?interface=eth1&port=7", WakeAddress(MAC, EVERYBODY, 7, "eth1")),
    ],
)
def test_addresses_are_read(url: str, address: WakeAddress):
    assert wake_address(url) == address


@pytest.mark.parametrize(
    "rest",
    ["", "02:6c:62:0a:0b", "0g:6c:62:0a:0b:0c", f"//{MAC}", f"{MAC}:01"]
    + [f"{MAC}?{query}" for query in ("x=1", "port=0", "port=65536", "port=9&port=9", "broadcast=", "interface=a b")]
    + [
        f"{MAC}?{query}"
        for query in ("broadcast=all", "broadcast=fd00::1", "interface=-x", "interface=sixteen-letters-")
    ],
)
def test_what_is_no_address_of_a_card_is_refused_with_a_sentence(rest: str):
    with pytest.raises(Invalid, match="Wake-on-LAN needs") as caught:
        address_check(f"wol:{rest}")

    assert caught.value.field == "bmc_url"


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"])
def test_the_address_of_a_group_is_that_of_no_card(mac: str):
    with pytest.raises(Invalid, match="of a group"):
        address_check(f"wol:{mac}")


def test_an_address_is_kept_in_one_form():
    assert address_check("wol:02-6C-62-0A-0B-0C?interface=eth1") == f"wol:{MAC}?interface=eth1"


def test_the_packet_that_arrives_is_six_ff_and_sixteen_times_the_card():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)

        WakeOnLan(f"wol:{MAC}?broadcast=127.0.0.1&port={listener.getsockname()[1]}").power_on()

        assert listener.recv(2000) == bytes.fromhex("ff" * 6 + "026c620a0b0c" * 16)


def test_it_can_tell_no_power_and_cut_none():
    card = WakeOnLan(f"wol:{MAC}?broadcast=127.0.0.1")

    assert card.read_power().power == "unknown"
    assert not card.read_sensors()
    with pytest.raises(Refused, match="cannot cut its power"):
        card.power_off(force=True)


def test_an_interface_that_is_not_there_is_told():
    with pytest.raises(Rejected, match="no network interface nowhere0"):
        WakeOnLan(f"wol:{MAC}?interface=nowhere0").read_power()


def test_a_machine_that_takes_or_refuses_a_connection_is_there():
    # one that is gone needs a network where nobody answers for others: tests/lab/test_wake_on_lan.py
    assert address_answers("127.0.0.1")
