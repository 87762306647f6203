"""The power switches of the lab hosts, on loopback, for the BMC emulator alone.

    GET  /SECRET/hosts/NAME/power  -> {"power_state": "On" | "Off"}
    POST /SECRET/hosts/NAME/reset  <- {"reset_type": ...}  -> 204 at once, the change follows

A reset is accepted first and done then, as a real BMC does it.
"""

from __future__ import annotations

import hmac
import json
import queue
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hosts.errors import DriverError
from hosts.lab.lab_host import LabHost

RESET_TYPES = (
    "On",
    "ForceOn",
    "ForceOff",
    "GracefulShutdown",
    "GracefulRestart",
    "ForceRestart",
    "PushPowerButton",
)


def reset(host: LabHost, reset_type: str) -> None:
    """Does what Redfish's ComputerSystem.Reset asks for. Blocks until it is done. Source: DMTF DSP0268."""
    if reset_type == "PushPowerButton":
        reset_type = "GracefulShutdown" if host.power_state == "On" else "On"
    if reset_type in ("GracefulShutdown", "GracefulRestart"):
        host.shut_down()
    elif reset_type in ("ForceOff", "ForceRestart"):
        host.unplug()
    if reset_type in ("ForceOff", "GracefulShutdown"):
        host.switched_off()
    elif not host.stays_dark:
        host.boot()


class PowerSwitches:
    """The endpoint, and one thread per host that does what was asked in the order it was asked."""

    def __init__(self, hosts: Mapping[str, LabHost], secret: str, say: Callable[[str], None]) -> None:
        self.hosts, self.secret, self.say = hosts, secret, say
        self._wishes: dict[str, queue.Queue[str | None]] = {name: queue.Queue() for name in hosts}
        self._threads = [
            threading.Thread(target=self._serve_host, args=(name,), name=f"power {name}", daemon=True) for name in hosts
        ]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self.secret}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="power", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for wishes in self._wishes.values():
            wishes.put(None)
        for thread in self._threads:
            thread.join(30)

    def ask(self, name: str, reset_type: str) -> None:
        """Puts a reset in the host's queue."""
        self._wishes[name].put(reset_type)

    def _serve_host(self, name: str) -> None:
        while (reset_type := self._wishes[name].get()) is not None:
            self.say(f"{name}: {reset_type}")
            try:
                reset(self.hosts[name], reset_type)
            except (DriverError, OSError) as error:
                self.say(f"{name}: {reset_type} failed: {error}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        switches = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = self._host("power")
                if host is not None:
                    self._answer(200, {"power_state": host.power_state})

            def do_POST(self) -> None:
                host = self._host("reset")
                if host is None:
                    return
                length = min(int(self.headers.get("Content-Length") or 0), 4096)
                reset_type = str(json.loads(self.rfile.read(length) or b"{}").get("reset_type"))
                if reset_type not in RESET_TYPES:
                    self._answer(400, {"message": f"{reset_type} is not a reset that this machine knows."})
                    return
                switches.ask(host.plan.name, reset_type)
                self._answer(204, None)

            def _host(self, verb: str) -> LabHost | None:
                parts = self.path.strip("/").split("/")
                known = len(parts) == 4 and hmac.compare_digest(parts[0], switches.secret)
                if known and parts[1] == "hosts" and parts[3] == verb and parts[2] in switches.hosts:
                    return switches.hosts[parts[2]]
                self._answer(404, {"message": "Nothing here."})
                return None

            def _answer(self, status: int, body: dict[str, Any] | None) -> None:
                self.send_response(status)
                content = b"" if body is None else json.dumps(body).encode()
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
