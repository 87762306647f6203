"""Every websocket of the dashboard."""

from __future__ import annotations

from hosts.routing import websocket_urlpatterns as host_sockets
from workloads.routing import websocket_urlpatterns as workload_sockets

websocket_urlpatterns = [*host_sockets, *workload_sockets]
