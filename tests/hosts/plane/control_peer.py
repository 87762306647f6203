"""A control plane of a few lines over real HTTP: who am I, secrets, and image bytes with Range."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ControlPeer:
    """`planes` are {token: answer of /plane/v1/me}; `image` is served whole, or cut after `cut_after` bytes."""

    def __init__(self) -> None:
        self.planes: dict[str, dict[str, Any]] = {}
        self.image = b""
        self.etag = ""
        self.cut_after: int | None = None
        self.requests: list[tuple[str, str | None]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append((request.path, request.headers.get("Range")))
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.planes:
            _send(request, 401, b"{}")
        elif request.path == "/plane/v1/me":
            _send(request, 200, json.dumps(self.planes[token]).encode())
        elif request.path.startswith("/plane/v1/secrets/"):
            _send(request, 200, b'{"secret": "swordfish"}')
        elif request.path.endswith("/content"):
            self._image(request)
        else:
            _send(request, 404, b"{}")

    def _image(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        may_resume = request.headers.get("If-Range") in (None, f'"{self.etag}"')
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and may_resume else 0
        body = self.image[start:]
        request.send_response(206 if start else 200)
        request.send_header("ETag", f'"{self.etag}"')
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        cut, self.cut_after = self.cut_after, None
        request.wfile.write(body if cut is None else body[:cut])
        request.close_connection = True


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
