"""What ipmitool prints, read; the driver against a real controller's simulator is tests/lab/test_ipmi.py."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hosts.bmc_address import BmcAddress, bmc_address
from hosts.drivers import ipmi
from hosts.drivers.ipmi import IpmiBmc, foreign_error
from hosts.drivers.redfish import RedfishBmc
from hosts.errors import DriverError, Invalid, Refused, Rejected, TimedOut, Unreachable


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://10.0.0.7", BmcAddress("https", "10.0.0.7", None)),
        ("http://bmc.example:8000", BmcAddress("http", "bmc.example", 8000)),
        ("ipmi://10.0.0.7", BmcAddress("ipmi", "10.0.0.7", 623)),
        ("ipmi://[fd00::7]:9001?cipher=3", BmcAddress("ipmi", "fd00::7", 9001, 3)),
    ],
)
def test_addresses_are_read(url: str, address: BmcAddress):
    assert bmc_address(url) == address


NO_ADDRESSES = [
    "10.0.0.7",
    "ipmi://",
    "ipmi://-x",
    "ipmi://u:p@h",
    "ipmi://h/path",
    "ipmi://h?cipher=18",
    "ipmi://h?cipher=",
    "ipmi://h?cipher=3&x=1",
    "ipmi://h:0",
    "ipmi://h:99999",
    "https://h?x=1",
    "ftp://h",
    "ipmi://[::1",
]


@pytest.mark.parametrize("url", ["", "ipmi://a b", *NO_ADDRESSES])
def test_what_is_no_address_is_refused_with_a_sentence(url: str):
    with pytest.raises(Invalid, match="ipmi://10"):
        bmc_address(url)


def test_each_driver_takes_only_its_own_addresses():
    with pytest.raises(Invalid):
        IpmiBmc("https://10.0.0.7", "u", "p")
    with pytest.raises(Invalid):
        RedfishBmc("ipmi://10.0.0.7", "", "u", "p")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that prints the file "answer" and ends with what is in the file "status"."""
    script = tmp_path / "ipmitool"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" > {tmp_path}/words\nprintf "%s" "$IPMI_PASSWORD" > {tmp_path}/secret\n'
        f"cat {tmp_path}/answer\nexit $(cat {tmp_path}/status)\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "status").write_text("0")
    monkeypatch.setattr(ipmi, "IPMITOOL", str(script))
    return tmp_path


def test_the_password_is_not_among_the_words(tool: Path):
    (tool / "answer").write_text("Loading IANA PEN Registry...\nChassis Power is on\n")

    assert IpmiBmc("ipmi://10.0.0.7?cipher=17", "root", "secret-7").read_power().power == "on"

    words = (tool / "words").read_text()
    assert "secret-7" not in words and (tool / "secret").read_text() == "secret-7"
    assert "-H 10.0.0.7 -p 623 -U root" in words and "-C 17" in words


def test_an_answer_that_is_none_is_unknown(tool: Path):
    (tool / "answer").write_text("Chassis Power is onward\n")
    assert IpmiBmc("ipmi://10.0.0.7", "u", "p").read_power().power == "unknown"


def test_watts_and_degrees_are_read(tool: Path):
    (tool / "answer").write_text(
        "    Instantaneous power reading:                   148 Watts\n"
        "Inlet Temp       | 04h | ok  |  7.1 | 23 degrees C\n"
        "CPU1 Temp        | 0Eh | ok  |  3.1 | 41.5 degrees C\n"
        "CPU2 Temp        | 0Fh | ns  |  3.2 | No Reading\n"
    )

    found = IpmiBmc("ipmi://10.0.0.7", "u", "p").read_sensors()

    assert found.power_watts == 148 and found.temperatures_celsius == {"Inlet Temp": 23.0, "CPU1 Temp": 41.5}


def test_a_controller_without_sensors_offers_none(tool: Path):
    (tool / "answer").write_text("DCMI request failed because: Invalid command (c1)\n")
    (tool / "status").write_text("1")
    assert not IpmiBmc("ipmi://10.0.0.7", "u", "p").read_sensors()


@pytest.mark.parametrize(
    ("output", "error", "sentence"),
    [
        (
            "> RAKP 2 HMAC is invalid\nError: Unable to establish IPMI v2 / RMCP+ session",
            Rejected,
            "user or the password",
        ),
        ("RAKP 2 message indicates an error : unauthorized name", Rejected, "user or the password"),
        ("Error: Unable to establish IPMI v2 / RMCP+ session", Unreachable, "cannot be reached"),
        ("Address lookup for nowhere.invalid failed\nError: Unable to establish", Unreachable, "knows the name"),
        ("Error in open session response message : invalid authentication algorithm", Rejected, "cipher suite"),
        ("Set Chassis Power Control to Up/On failed: Node busy", DriverError, "failed to switch"),
    ],
)
def test_what_went_wrong_is_told_apart(output: str, error: type[Exception], sentence: str):
    found = foreign_error(output, "switch the power on")
    assert type(found) is error and sentence in found.message


def test_a_machine_without_ipmitool_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ipmi, "IPMITOOL", "/nowhere/ipmitool")
    with pytest.raises(Refused, match="Install it there"):
        IpmiBmc("ipmi://10.0.0.7", "u", "p").power_on()


def test_a_controller_that_hangs_is_given_up(tool: Path, monkeypatch: pytest.MonkeyPatch):
    (tool / "ipmitool").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(ipmi, "TIMEOUT_S", 0.2)
    with pytest.raises(TimedOut):
        IpmiBmc("ipmi://10.0.0.7", "u", "p").power_off(force=True)
