"""The gateway itself: who may connect, and which console of this host is meant."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hosts.console_wire import ABSENT, DENIED, IMPOSSIBLE, STALE, UNREACHABLE, WATCHED, ConsoleRequest
from hosts.drivers.base import Consoles, DomainConsoles
from hosts.errors import StowageError
from hosts.plane.config import PlaneConfig
from hosts.plane.context import Drivers
from hosts.plane.gateway.container_log import log_open
from hosts.plane.gateway.container_looks import changes_open, processes_open
from hosts.plane.gateway.containers import attach_open, exec_open
from hosts.plane.gateway.engine import Engine
from hosts.plane.gateway.lines import Lines
from hosts.plane.gateway.peer import HELLO_S, Peer
from hosts.plane.gateway.session import Refusal, Session, Viewer
from hosts.plane.gateway.shell import shell_open
from hosts.plane.gateway.vnc import vnc_open

log = logging.getLogger(__name__)
T = TypeVar("T")

# Connections that have not said who they are yet. The dashboard needs one or two for the blink of an eye.
STRANGERS_MOST = 64
STRANGERS_OF_ONE_ADDRESS_MOST = 16
CONSOLES_MOST = 1000
BACKLOG = 128
HYPERVISOR_S = 6.0
HYPERVISOR_THREADS = 4
# How a connection that is silent for good is noticed: after 15 s a probe, three of them, 5 s apart. Source: tcp(7)
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


class Gateway:
    """Serves consoles until `close`. For one event loop; `key` gives the plane's signing key, read afresh."""

    def __init__(
        self,
        config: PlaneConfig,
        context: ssl.SSLContext,
        key: Callable[[], str],
        clock: Callable[[], float],
        drivers: Drivers | None = None,
    ) -> None:
        self._config, self._context, self._key, self._clock = config, context, key, clock
        self._drivers = drivers or Drivers(config)
        self._engine = Engine(config.docker_url)
        self._lines = Lines()
        self._threads = ThreadPoolExecutor(HYPERVISOR_THREADS, thread_name_prefix="hypervisor")
        self._asking = 0
        self._strangers: Counter[str] = Counter()
        self._peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accepts until it is cancelled."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            connection, address = await loop.sock_accept(listener)
            if self._is_crowded(address[0]):
                connection.close()
                continue
            self._strangers[address[0]] += 1
            self._task(self._let_in(connection, address[0]))

    def _is_crowded(self, address: str) -> bool:
        return (
            self._strangers.total() >= STRANGERS_MOST
            or self._strangers[address] >= STRANGERS_OF_ONE_ADDRESS_MOST
            or len(self._peers) >= CONSOLES_MOST
        )

    async def _let_in(self, connection: socket.socket, address: str) -> None:
        known = [False]

        def on_known() -> None:
            """The connection no longer counts as a stranger's."""
            if not known[0]:
                known[0] = True
                self._strangers[address] -= 1
                if not self._strangers[address]:
                    del self._strangers[address]

        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        try:
            _, peer = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Peer(self._config.name, self._key, self._clock, self._session, on_known, self._peers.discard),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HELLO_S,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            on_known()
            log.debug("A connection from %s came to nothing: %s", address, error)
            return
        self._peers.add(peer)

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- which console is meant

    async def _session(self, request: ConsoleRequest, viewer: Viewer) -> Session:
        """The console that is asked for. Raises Refusal."""
        if request.view_only and request.kind not in WATCHED:
            raise Refusal(DENIED, "A shell or a program's own terminal is not only looked at: it needs an operator.")
        if request.kind == "vnc":
            return await self._vnc(request, viewer)
        if request.kind == "serial":
            found = await self._consoles(request)
            return await self._lines.open(viewer, request, found)
        if request.kind == "exec":
            return await exec_open(viewer, self._engine, request, self._tasks)
        if request.kind == "attach":
            return await attach_open(viewer, self._engine, request, self._tasks)
        if request.kind == "log":
            return await log_open(viewer, self._engine, request)
        if request.kind == "top":
            return await processes_open(viewer, self._engine, request)
        if request.kind == "diff":
            return await changes_open(viewer, self._engine, request)
        if not self._config.host_shell:
            raise Refusal(DENIED, f"A shell on {self._config.name} is not enabled in its plane's configuration.")
        try:
            return await shell_open(viewer, request.columns, request.rows)
        except OSError as error:
            raise Refusal(UNREACHABLE, f"The host has no shell to offer: {error.strerror}.") from error

    async def _vnc(self, request: ConsoleRequest, viewer: Viewer) -> Session:
        found = await self._consoles(request)
        if not found.has_vnc:
            raise Refusal(IMPOSSIBLE, f"{found.name} has no VNC screen in its definition.")
        try:
            if found.vnc_socket:
                return await vnc_open(viewer, request.view_only, path=found.vnc_socket)
            # It listens on TCP, maybe with a password that nobody here knows: libvirt opens it past all that.
            descriptor = await self._hypervisor(lambda: self._vms().graphics_open(request.thing))
            return await vnc_open(viewer, request.view_only, descriptor=descriptor)
        except OSError as error:
            raise Refusal(ABSENT, f"The screen of {found.name} does not answer.") from error

    async def _consoles(self, request: ConsoleRequest) -> DomainConsoles:
        if not self._config.libvirt_uri.startswith("qemu:///"):
            raise Refusal(IMPOSSIBLE, "This host's hypervisor is managed from afar. Run hostd on the host itself.")
        found = await self._hypervisor(lambda: self._vms().find(request.thing))
        if found is None:
            raise Refusal(ABSENT, "The VM does not run on this host.")
        if found.generation is not None and request.generation and found.generation != request.generation:
            raise Refusal(STALE, "The VM changed hands since this console was asked for.")
        return found

    def _vms(self) -> Consoles:
        return self._drivers.get("consoles", _libvirt_consoles)

    async def _hypervisor(self, call: Callable[[], T]) -> T:
        """The call's value from a thread. A frozen libvirtd costs its few threads, and a sentence. Raises Refusal."""
        silent = Refusal(UNREACHABLE, "The hypervisor does not answer.")
        if self._asking >= HYPERVISOR_THREADS * 4:
            raise silent
        self._asking += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        future.add_done_callback(self._asked)
        try:
            async with asyncio.timeout(HYPERVISOR_S):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise silent from error
        except StowageError as error:
            raise Refusal(UNREACHABLE if error.transient else DENIED, error.message) from error

    def _asked(self, future: asyncio.Future[Any]) -> None:
        self._asking -= 1
        if not future.cancelled():
            future.exception()  # whoever waited may be gone; it is told nowhere else

    async def close(self) -> None:
        """Ends every console and waits shortly for what has to be killed."""
        for peer in list(self._peers):
            peer.end("The host's console gateway was stopped.")
        waiting = [task for task in self._tasks if task is not asyncio.current_task()]
        if waiting:
            await asyncio.wait(waiting, timeout=3.0)
        await self._engine.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _libvirt_consoles(config: PlaneConfig) -> Consoles:
    """libvirt is imported by whoever asks first: a host may have none."""
    from hosts.drivers.libvirt_consoles import LibvirtConsoles
    from hosts.drivers.libvirt_host import LibvirtHost

    return LibvirtConsoles(LibvirtHost(config.libvirt_uri))
