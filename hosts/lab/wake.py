"""The network cards of lab hosts that are off: a magic packet on the lab's switch boots the host with its address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping

from hosts.drivers.wake_on_lan import magic_packet
from hosts.lab.lab_host import LabHost
from hosts.lab.namespaces import in_netns

_ALL_FRAMES = 3  # ETH_P_ALL
_FRAME_MOST = 2000


class WakeListener:
    """Looks at every frame on the port as a sleeping card does, for the packet anywhere in it.

    `wake` takes the name of a host that is off and whose packet has come.
    """

    def __init__(self, netns_fd: int, port: str, hosts: Mapping[str, LabHost], wake: Callable[[str], None]) -> None:
        self._packets = {name: magic_packet(host.plan.mac) for name, host in hosts.items()}
        self._hosts, self._wake = hosts, wake
        self._stopping = threading.Event()
        self._socket = in_netns(netns_fd, lambda: _socket_on(port))
        self._thread = threading.Thread(target=self._listen, name="wake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                frame = self._socket.recv(_FRAME_MOST)
            except TimeoutError:
                continue
            except OSError:
                return  # the switch is gone
            for name, packet in self._packets.items():
                if packet in frame and self._hosts[name].power_state == "Off":
                    self._wake(name)


def _socket_on(port: str) -> socket.socket:
    card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
    card.bind((port, 0))
    card.settimeout(0.5)
    return card
