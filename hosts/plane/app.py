"""The host plane's Celery app: its own, with no Django behind it and no result backend."""

from __future__ import annotations

import socket
from typing import Any

from celery import Celery

# The same in every app on the broker: the shortest value of all would rule. Source: Celery's Redis page.
VISIBILITY_TIMEOUT_S = 3600
PUBLISH_TIMEOUT_S = 3.0
# A broker behind a cut cable sends no farewell: a worker that waits for messages notices within 25 s.
KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}

SETTINGS: dict[str, Any] = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_accept_content": ["json"],
    "result_backend": None,
    "task_ignore_result": True,
    # The control plane's journal and sweep recover a lost message; a late ack would only run steps twice at
    # once (pitfalls.md M23).
    "task_acks_late": False,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_soft_shutdown_timeout": 30,
    # Anyone who may write to the broker could command a worker through it.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    },
}


# Between a queue's name and a message's priority. Source: kombu.transport.redis.Channel.sep.
QUEUE_SEPARATOR = "\x06\x16"


def unacked_keys(plane: str) -> dict[str, str]:
    """Where a plane's worker keeps what it has taken and not yet acknowledged: by default all share one place."""
    return {f"{kind}_key": f"{kind}.{plane}" for kind in ("unacked", "unacked_index", "unacked_mutex")}


def make_app(broker_url: str, plane: str = "") -> Celery:
    """The app for consuming from, and sending to, the broker at `broker_url`; `plane` is its user there.

    Without fixups: `DJANGO_SETTINGS_MODULE`, should the environment have it, is of no meaning here.
    """
    app = Celery("stowage.plane", broker=broker_url, fixups=set(), set_as_current=False)
    app.conf.update(SETTINGS)
    if plane:
        app.conf.broker_transport_options = SETTINGS["broker_transport_options"] | unacked_keys(plane)
    return app
