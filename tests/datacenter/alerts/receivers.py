"""Receivers of notices on this machine: over HTTP for webhooks, Slack's form and ntfy, over SMTP for mail."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class WebReceiver:
    """`answer` gives the status and headers of the next answer, `endless` answers without end."""

    address: str = "127.0.0.1"
    port: int = 0
    got: list[Got] = field(default_factory=list)
    answer: Callable[[], tuple[int, dict[str, str]]] = lambda: (200, {})
    is_endless: bool = False

    @property
    def host(self) -> str:
        return f"{self.address}:{self.port}"


@contextmanager
def web_receiver(address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[WebReceiver]:
    """With `tls` it speaks HTTPS."""
    receiver = WebReceiver(address)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.got.append(Got(self.path, dict(self.headers), json.loads(body or b"{}")))
            status, headers = receiver.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            while receiver.is_endless:
                self.wfile.write(b"x" * 65536)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest's output is for failures."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Whoever was sent without end hangs up."""

    server = Quiet((address, 0), Handler)
    receiver.port = server.server_address[1]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.is_endless = False
        server.shutdown()
        server.server_close()


@dataclass
class MailSink:
    """Mails that arrived; `refusal` is the answer to each sender, empty where all is well."""

    port: int = 0
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refusal: str = ""


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """As much of SMTP (RFC 5321) as a client needs that sends without TLS."""
    sink = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 sink")
            recipients: list[str] = []
            while line := self.rfile.readline().decode(errors="replace").strip():
                word = line.split(":")[0].upper()
                if word.startswith("MAIL") and sink.refusal:
                    self.say(sink.refusal)
                elif word.startswith("RCPT"):
                    recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    sink.got.append((recipients, self.read_mail()))
                    recipients = []
                    self.say("250 ok")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def read_mail(self) -> EmailMessage:
            lines = iter(self.rfile.readline, b".\r\n")
            found = message_from_bytes(b"".join(line for line in lines if line), policy=policy.default)
            assert isinstance(found, EmailMessage)
            return found

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
