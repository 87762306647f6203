"""Websockets of our own pages only: browsers send cookies along from any page, so the Origin must be ours exactly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

Scope = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]
_PORTS = {"http": 80, "https": 443}


class ExactOrigin:
    """ASGI middleware. The Origin must name the host and port that were asked for, one of ALLOWED_HOSTS; or be one of
    CSRF_TRUSTED_ORIGINS. No Origin, "null", another port or a look-alike name is refused with 403.

    Channels' own AllowedHostsOriginValidator passes every port of an allowed host: any other server on the same
    machine could then open our sockets in its visitors' names. Source: RFC 6454 4, RFC 6455 10.2.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._denier = WebsocketDenier()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        chosen = self._application if is_own(origin, host) else self._denier
        await chosen(scope, receive, send)


def is_own(origin: str, host: str) -> bool:
    """Whether a page of that origin may open a socket at that Host header's address."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    asked, port = split_domain_port(host)
    if not asked or not validate_host(asked, settings.ALLOWED_HOSTS):
        return False
    try:
        said = urlsplit(origin)
        default = _PORTS[said.scheme]
        return _is_bare(said) and said.hostname == asked.strip("[]") and (said.port or default) == int(port or default)
    except (ValueError, KeyError):
        return False


def _is_bare(origin: SplitResult) -> bool:
    """Whether it is scheme, host and port and nothing else."""
    return not (origin.path or origin.query or origin.fragment or origin.username or origin.password)
