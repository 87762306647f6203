"""A host's management controller through IPMI 2.0 (RMCP+), by the `ipmitool` command.

Not by the pyghmi library: of 364 readings by eight threads of one process, as a site's plane makes them, 363 ended in
its own TypeError; as many runs of ipmitool all told the power, 48 ms each (decision 0036).
"""

from __future__ import annotations

import os
import re
import subprocess

from hosts.bmc_address import bmc_address
from hosts.drivers.base import Power, PowerReading, SensorReading
from hosts.errors import DriverError, Invalid, Refused, Rejected, StowageError, TimedOut, Unreachable

IPMITOOL = "ipmitool"
TIMEOUT_S = 25.0  # of one command: some tries of a second to open a session, and a slow controller's answers
TRY_S, TRIES = 1, 3
OUTPUT_MOST = 100_000
_POWER = re.compile(r"^Chassis Power is (on|off)\s*$", re.MULTILINE)
_WATTS = re.compile(r"Instantaneous power reading:\s+(\d+) Watts")
_DEGREES = re.compile(r"^([^|]{1,60}?)\s*\|[^|]*\|\s*ok\s*\|[^|]*\|\s*(-?\d+(?:\.\d+)?) degrees C\s*$", re.MULTILINE)
# What it prints when it is not let in; a wrong password and a dead address end in the same last line.
_NOT_LET_IN = (
    "RAKP 2 HMAC is invalid",
    "unauthorized name",
    "unauthorized role",
    "Invalid user name",
    "insufficient privilege",
)
SENSORS_MOST = 100


class IpmiBmc:
    """One controller. The password goes by the environment of the command, never by its arguments."""

    def __init__(self, url: str, username: str, password: str) -> None:
        address = bmc_address(url)
        if address.scheme != "ipmi":
            raise Invalid("This is no address of an IPMI controller.", field="bmc_url")
        self._command = [IPMITOOL, "-I", "lanplus", "-v", "-H", address.host, "-p", str(address.port)]
        self._command += ["-U", username, "-E", "-N", str(TRY_S), "-R", str(TRIES)]
        self._command += ["-C", str(address.cipher)] if address.cipher is not None else []
        self._password = password

    def read_power(self) -> PowerReading:
        found = _POWER.search(self._run("read the power state", "chassis", "power", "status"))
        power: Power = "unknown" if found is None else "on" if found[1] == "on" else "off"
        return PowerReading(power, None, None)

    def read_sensors(self) -> SensorReading:
        watts = _WATTS.search(self._offered("dcmi", "power", "reading"))
        degrees = _DEGREES.findall(self._offered("sdr", "type", "Temperature"))[:SENSORS_MOST]
        return SensorReading(float(watts[1]) if watts else None, {name: float(value) for name, value in degrees})

    def power_on(self) -> None:
        self._run("switch the power on", "chassis", "power", "on")

    def power_off(self, *, force: bool) -> None:
        self._run("switch the power off", "chassis", "power", "off" if force else "soft")

    def _offered(self, *words: str) -> str:
        """The answer; empty where this controller offers no such thing."""
        try:
            return self._run("read its sensors", *words)
        except (DriverError, Rejected) as error:
            if isinstance(error, Unreachable | TimedOut):
                raise
            return ""

    def _run(self, doing: str, *words: str) -> str:
        try:
            done = subprocess.run(
                [*self._command, *words],
                env={"PATH": os.environ.get("PATH", ""), "IPMI_PASSWORD": self._password, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise Refused(
                "IPMI needs the command ipmitool where this site's plane runs. Install it there (Debian: ipmitool)."
            ) from None
        except subprocess.TimeoutExpired:
            raise TimedOut("The BMC did not answer in time.", doing) from None
        output = (done.stdout + done.stderr)[:OUTPUT_MOST]
        if done.returncode != 0:
            raise foreign_error(output, doing)
        return output


def foreign_error(output: str, doing: str) -> StowageError:
    """Our error for what ipmitool printed when it failed."""
    detail = f"{doing}: {output.strip()}"[:2000]
    if any(words in output for words in _NOT_LET_IN):
        return Rejected("The BMC does not accept the user or the password. Correct them.", detail)
    if "invalid authentication algorithm" in output or "no matching cipher suite" in output:
        return Rejected("The BMC knows no such cipher suite. Leave ?cipher= out of its address, or try 3.", detail)
    if "Address lookup for" in output:
        return Unreachable("Nobody knows the name of the BMC. Correct its address.", detail)
    if "Unable to establish" in output:
        return Unreachable("The BMC cannot be reached. Check its address and the network to it.", detail)
    return DriverError(f"The BMC failed to {doing}.", detail)
