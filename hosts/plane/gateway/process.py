"""The gateway as a process of hostd: it listens, writes down where, and ends with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from urllib.parse import urlsplit

from hosts.plane.config import PlaneConfig
from hosts.plane.context import state_open
from hosts.plane.control_client import key_read
from hosts.plane.gateway.certificate import certificate_ensure, fingerprint, server_context
from hosts.plane.gateway.gateway import BACKLOG, Gateway
from hosts.plane.gateway.where import where_read, where_write
from hosts.plane.state_file import StateFile

log = logging.getLogger(__name__)


def gateway_run(config: PlaneConfig) -> int:
    """Serves until SIGTERM; gives the process's exit status. For the main thread alone."""
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:  # slower, nothing else
        runner = asyncio.Runner()
    with runner:
        runner.run(_serve(config))
    return 0


async def _serve(config: PlaneConfig) -> None:
    state, _, clock = state_open(config)
    path = certificate_ensure(config.state_dir, config.name)
    listener = _listener(config, state)
    address, port = listener.getsockname()[:2]
    where_write(state, address, port, fingerprint(path))
    log.info("Consoles are served at %s port %d.", address, port)
    gateway = Gateway(config, server_context(path), lambda: key_read(config.token_file), clock)
    serving = asyncio.create_task(gateway.serve(listener))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    await gateway.close()


def _listener(config: PlaneConfig, state: StateFile) -> socket.socket:
    """A listening socket: on the configured port, else the one of last time, else any. Raises OSError."""
    address = console_address(config)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    before = where_read(state).get("port")
    ports = [config.console_port] if config.console_port else [before, 0] if isinstance(before, int) else [0]
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError:
            listener.close()
            if port == ports[-1]:
                raise
            continue
        listener.listen(BACKLOG)
        return listener
    raise OSError("no port to listen on")


def console_address(config: PlaneConfig) -> str:
    """The configured address, else this host's own on the way to the control plane: there the dashboard reaches it."""
    if config.console_address:
        return config.console_address
    control = urlsplit(config.control_url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((control.hostname or "127.0.0.1", control.port or 80))  # sends nothing
        return str(probe.getsockname()[0])
