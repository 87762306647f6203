"""How the engine rings and sends. Messages are doorbells: one that is lost is found by the sweep."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


class Transport(Protocol):
    """Never raises for a broker that is away, and never blocks for long."""

    def ring(self, operation_id: str, delay_s: float = 0.0) -> None:
        """Asks a control worker to advance the operation."""

    def send(self, queue: str, command: dict[str, Any]) -> None:
        """Hands a command to the plane that listens to the queue."""

    def abort(self, queue: str, operation_id: str, step: str) -> None:
        """Asks a plane to end a running step early."""


class CeleryTransport:
    """Sends through the broker, once, without waiting for one that is away."""

    def ring(self, operation_id: str, delay_s: float = 0.0) -> None:
        self._send("hosts.operation_advance", "control", {"operation": operation_id}, countdown=delay_s or None)

    def send(self, queue: str, command: dict[str, Any]) -> None:
        self._send("hosts.effect", queue, {"command": command})

    def abort(self, queue: str, operation_id: str, step: str) -> None:
        short = queue.removesuffix(".long") + ".short" if queue.endswith(".long") else queue
        self._send("hosts.abort", short, {"command": {"operation": operation_id, "step": step}})

    @staticmethod
    def _send(name: str, queue: str, kwargs: dict[str, Any], countdown: float | None = None) -> None:
        try:
            current_app.send_task(name, kwargs=kwargs, queue=queue, countdown=countdown, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("%s was not sent to %s (%s); the sweep will", name, queue, error)


class SilentTransport:
    """Sends nothing; unit tests drive the engine by hand."""

    def ring(self, operation_id: str, delay_s: float = 0.0) -> None: ...

    def send(self, queue: str, command: dict[str, Any]) -> None: ...

    def abort(self, queue: str, operation_id: str, step: str) -> None: ...


def transport_default() -> Transport:
    return SilentTransport() if settings.TESTING else CeleryTransport()
