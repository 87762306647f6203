"""The web process: HTTP by Django, websockets by Channels behind login and an exact origin check."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "datacenter.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the imports below: they need the app registry

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter

from datacenter.origin import ExactOrigin
from datacenter.routing import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": ExactOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
