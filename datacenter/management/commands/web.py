"""`manage.py web`: the dashboard's server, on loopback and, for host planes, on one more address."""

from __future__ import annotations

import socket
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from datacenter.plane_door import PlaneDoor
from datacenter.websocket_wire import WebSocketWire

_IP_FREEBIND = 15  # linux/in.h; Python 3.11's socket module lacks the name
_BACKLOG = 1024
# Browsers send small commands; nothing that a page says is longer.
_WEBSOCKET_MAX_BYTES = 64 * 1024
# Proxies close what is silent for 60 s (nginx's proxy_read_timeout), some for 30: a console may be silent for hours.
PING_S = 20.0


def listen_on(address: str, port: int) -> socket.socket:
    """A listening socket; the address may appear later (the lab's, which starts after us)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        raise CommandError(f"Cannot listen on {address}:{port}: {error.strerror}.") from error
    listener.listen(_BACKLOG)
    return listener


def server_config(application: Any, ping_s: float = PING_S) -> uvicorn.Config:
    """How every web process of ours serves; `ping_s`: how often each websocket is pinged."""
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.BEHIND_TLS,
        ws=WebSocketWire,
        ws_max_size=_WEBSOCKET_MAX_BYTES,
        ws_max_queue=8,
        # Nobody's bytes are unpacked into more than they were (attacks.md S49), and streams are not worth packing.
        ws_per_message_deflate=False,
        ws_ping_interval=ping_s,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=3,
    )


class Command(BaseCommand):
    help = "Serves the dashboard with uvicorn."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.STOWAGE_PORT)
        parser.add_argument("--address", default="127.0.0.1")
        parser.add_argument("--plane-address", help="listen here too, for /plane/v1/ only")
        parser.add_argument("--open-plane-address", action="store_true", help="serve every page there")
        parser.add_argument(
            "--ping-s",
            type=float,
            default=PING_S,
            help="ping each websocket this often; less than the idle time-out of a proxy in front",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from datacenter.asgi import application

        addresses = [options["address"]]
        plane_address = options["plane_address"]
        if plane_address and plane_address not in addresses:
            addresses.append(plane_address)
        closed = plane_address if not options["open_plane_address"] else None
        config = server_config(PlaneDoor(application, closed), options["ping_s"])
        uvicorn.Server(config).run(sockets=[listen_on(address, options["port"]) for address in addresses])
