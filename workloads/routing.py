"""Websockets of this floor."""

from __future__ import annotations

from django.urls import path

from workloads.consoles.socket import ConsoleSocket

websocket_urlpatterns = [path("live/console/", ConsoleSocket.as_asgi())]
