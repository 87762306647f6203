"""A host's management controller through Redfish (DMTF DSP0266), by the `sushy` library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests.exceptions
import sushy
import sushy.auth
import sushy.connector
import sushy.exceptions

from hosts.bmc_address import bmc_address
from hosts.drivers.base import Power, PowerReading, SensorReading
from hosts.drivers.redfish_sensors import sensors_read
from hosts.errors import DriverError, Invalid, NotFound, Refused, Rejected, StowageError, TimedOut, Unreachable

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0  # BMCs think long before they answer
_POWER: dict[Any, Power] = {
    sushy.PowerState.ON: "on",
    sushy.PowerState.OFF: "off",
    sushy.PowerState.POWERING_ON: "turning on",
    sushy.PowerState.POWERING_OFF: "turning off",
}

# sushy logs failed requests with their URL as errors of its own; ours carry the same and go to the operator.
logging.getLogger("sushy").setLevel(logging.CRITICAL)


class RedfishBmc:
    """One system behind a Redfish service.

    Args:
        url: the service's root, http or https, without a path.
        system: the system's id or path; may be empty where the service has a single one.
        verify: whether the certificate is checked; a path names the authority's file.
    """

    def __init__(self, url: str, system: str, username: str, password: str, *, verify: bool | str = True) -> None:
        if bmc_address(url).scheme == "ipmi":
            raise Invalid("This is no address of a Redfish service.", field="bmc_url")
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._system = system
        self._username = username
        self._password = password
        self._verify = verify

    def read_power(self) -> PowerReading:
        with self._calls("read the power state"):
            system = self._system_get()
            return PowerReading(
                _POWER.get(system.power_state, "unknown"), system.model or None, system.serial_number or None
            )

    def read_sensors(self) -> SensorReading:
        with self._calls("read its sensors"):
            connector, service = self._service()
            system = self._system_of(service)

            def get(path: str) -> dict[str, Any] | None:
                try:
                    answer = connector.get(path).json()
                except (sushy.exceptions.ResourceNotFoundError, sushy.exceptions.ServerSideError, ValueError):
                    return None  # one part that is missing or broken hides no other
                return answer if isinstance(answer, dict) else None

            return sensors_read(system.json, get)

    def power_on(self) -> None:
        with self._calls("switch the power on"):
            system = self._system_get()
            if system.power_state != sushy.PowerState.ON:
                self._reset(system, sushy.ResetType.ON)

    def power_off(self, *, force: bool) -> None:
        with self._calls("switch the power off"):
            system = self._system_get()
            if system.power_state != sushy.PowerState.OFF:
                self._reset(system, sushy.ResetType.FORCE_OFF if force else sushy.ResetType.GRACEFUL_SHUTDOWN)

    @staticmethod
    def _reset(system: Any, kind: sushy.ResetType) -> None:
        allowed = system.get_allowed_reset_system_values()
        if kind not in allowed:
            raise Refused(f"This BMC cannot do {kind.value}. It offers {', '.join(sorted(k.value for k in allowed))}.")
        system.reset_system(kind)

    def _system_get(self) -> Any:
        return self._system_of(self._service()[1])

    def _service(self) -> tuple[Any, Any]:
        """The connection and the service behind it, logged in."""
        connector = sushy.connector.Connector(
            self._url,
            verify=self._verify,
            # one try: repeating is the operation's business, and it says so to the operator
            server_side_retries=1,
            server_side_retries_delay=1,
            default_request_timeout=READ_TIMEOUT_S,
            connect_timeout=CONNECT_TIMEOUT_S,
        )
        service = sushy.Sushy(
            self._url,
            connector=connector,
            auth=sushy.auth.BasicAuth(self._username, self._password),
            verify=self._verify,
        )
        return connector, service

    def _system_of(self, service: Any) -> Any:
        if self._system:
            path = self._system if self._system.startswith("/") else f"/redfish/v1/Systems/{self._system}"
            return service.get_system(path)
        members = service.get_system_collection().members_identities
        if len(members) != 1:
            raise Refused(f"The BMC manages {len(members)} systems. Name the one that is this host.")
        return service.get_system(members[0])

    @contextmanager
    def _calls(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sushy.exceptions.SushyError as error:
            raise foreign_error(error, doing) from error


def foreign_error(error: sushy.exceptions.SushyError, doing: str) -> StowageError:
    """Our error for sushy's, by class and HTTP status."""
    detail = f"{doing}: {type(error).__name__}: {error}"[:2000]
    if isinstance(error, sushy.exceptions.AccessError):
        return Rejected("The BMC does not accept the user or the password. Correct them.", detail)
    if isinstance(error, sushy.exceptions.ResourceNotFoundError):
        return NotFound("The BMC knows no such system. Check its address and the system's id.", detail)
    if isinstance(error, sushy.exceptions.ConnectionError):
        # sushy keeps requests' error as the cause; a timeout means a BMC that is there and slow
        cause = error.__context__
        if isinstance(cause, requests.exceptions.ReadTimeout):
            return TimedOut("The BMC did not answer in time.", detail)
        if isinstance(cause, requests.exceptions.SSLError):
            return Rejected("The BMC's certificate is not one that this site trusts.", detail)
        return Unreachable("The BMC cannot be reached. Check its address and the network to it.", detail)
    if isinstance(error, sushy.exceptions.ServerSideError):
        return DriverError(f"The BMC failed to {doing}.", detail)
    if isinstance(error, sushy.exceptions.HTTPError):
        return Rejected(f"The BMC refused to {doing}.", detail)
    return DriverError(f"The BMC gave an answer that Stowage does not understand, asked to {doing}.", detail)
