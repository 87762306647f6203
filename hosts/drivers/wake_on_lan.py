"""Waking a machine by a magic packet to its network card. Nothing answers: neither whether it came, nor the power.

Source: AMD, Magic Packet Technology, publication 20213: six times FF, then sixteen times the card's address.
"""

from __future__ import annotations

import errno
import socket

from hosts.bmc_address import WakeAddress, wake_address
from hosts.drivers.base import PowerReading, SensorReading
from hosts.errors import DriverError, Refused, Rejected, StowageError, Unreachable

REPEATS = 16
UNUSED_PORT = 9
ANSWER_TIMEOUT_S = 3.0


def magic_packet(mac: str) -> bytes:
    """The 102 bytes that wake the card with this address (aa:bb:cc:dd:ee:ff)."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * REPEATS


class WakeOnLan:
    """One machine's network card, as a management controller that can only wake."""

    def __init__(self, url: str) -> None:
        self._to = wake_address(url)

    def read_power(self) -> PowerReading:
        """The power cannot be read: "unknown". Raises where no packet could be sent at all."""
        _socket_to(self._to).close()
        return PowerReading("unknown", None, None)

    def read_sensors(self) -> SensorReading:
        return SensorReading()

    def power_on(self) -> None:
        """Sends one packet."""
        with _socket_to(self._to) as sender:
            try:
                sender.send(magic_packet(self._to.mac))
            except OSError as error:
                raise foreign_error(error, self._to) from error

    def power_off(self, *, force: bool) -> None:
        raise Refused("Wake-on-LAN can only wake a machine. It cannot cut its power.")


def address_answers(address: str, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
    """Whether the kernel of a machine answers there: it takes a connection or refuses it."""
    try:
        with socket.create_connection((address, UNUSED_PORT), timeout=timeout_s):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _socket_to(to: WakeAddress) -> socket.socket:
    """A socket that sends to the card's network, bound to the interface where one is named."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if to.interface:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, to.interface.encode())
        sender.connect((to.broadcast, to.port))
    except OSError as error:
        sender.close()
        raise foreign_error(error, to) from error
    return sender


def foreign_error(error: OSError, to: WakeAddress) -> StowageError:
    """Our error for what the kernel said."""
    detail = f"magic packet for {to.mac} to {to.broadcast}: {error}"
    if error.errno == errno.ENODEV:
        return Rejected(f"The site's plane has no network interface {to.interface}. Correct its name.", detail)
    if error.errno in (errno.EPERM, errno.EACCES):
        return Rejected("The site's plane may not send there. Let it use that interface, or leave it out.", detail)
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return Unreachable(
            f"The site's plane has no way to {to.broadcast}. Give the broadcast address of a network it is in.", detail
        )
    return DriverError("The magic packet could not be sent.", detail)
