"""The process that sends one message through Apprise and ends: `python -m datacenter.alerts.sender`.

A process of its own, because a receiver may answer slowly or without end, and because what guards it holds for all of
a process: each connection is checked when it is made, so that a name that resolves to another address the second time
gains nothing; no redirect is followed; memory is bounded; whoever waits for it may end it. The message comes by stdin,
for a command line is everybody's to read. Knows no Django. Prints {"failure": sentence}, empty when it was sent.
"""

from __future__ import annotations

import json
import logging
import resource
import smtplib
import socket
import ssl
import sys
from typing import Any

from hosts.egress import why_not_reach

MEMORY_MOST = 512 * 2**20
READ_S, CONNECT_S = 8.0, 8.0


class Seen:
    """What a connection met with: Apprise itself only says whether it worked."""

    failure = ""

    @classmethod
    def note(cls, failure: str) -> None:
        cls.failure = failure


def guard(reach: Any) -> None:
    """Makes every connection of this process ask first, and lets none be redirected."""
    connect = socket.socket.connect

    def checked_connect(self: socket.socket, address: Any) -> None:
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError("only connections over IP are made here")
        if refusal := why_not_reach(address[0], reach):
            Seen.note(refusal)
            raise OSError(refusal)
        try:
            connect(self, address)
        except TimeoutError:
            Seen.note(f"Nobody answered at port {address[1]} within {CONNECT_S:.0f} s.")
            raise
        except OSError as error:
            Seen.note(f"No connection to port {address[1]}: {error.strerror or 'it was refused'}.")
            raise

    socket.socket.connect = checked_connect  # type: ignore[method-assign, assignment]


def watch() -> None:
    """Notes what the other side answers."""
    import requests

    send, reply, shake_hands = requests.Session.send, smtplib.SMTP.getreply, ssl.SSLSocket.do_handshake

    def noted_send(self: Any, request: Any, **options: Any) -> Any:
        options["allow_redirects"] = False
        try:
            response = send(self, request, **options)
        except requests.exceptions.ReadTimeout:
            Seen.note(f"It did not answer within {READ_S:.0f} s.")
            raise
        if not 200 <= response.status_code < 300:
            is_moved = 300 <= response.status_code < 400
            more = ", and redirects are not followed" if is_moved else ""
            Seen.note(f"It answered with status {response.status_code}{more}.")
        return response

    def noted_reply(self: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = reply(self)
        if code >= 400:
            Seen.note(f"The mail server answered with {code}.")
        return code, text

    def noted_handshake(self: ssl.SSLSocket, *arguments: Any) -> None:
        try:
            shake_hands(self, *arguments)
        except ssl.SSLCertVerificationError as error:
            Seen.note(f"The certificate of the other side cannot be trusted: {error.verify_message}.")
            raise
        except ssl.SSLError:
            Seen.note("The other side does not speak TLS as it was expected to.")
            raise

    ssl.SSLSocket.do_handshake = noted_handshake  # type: ignore[method-assign]
    requests.Session.send = noted_send  # type: ignore[method-assign]
    smtplib.SMTP.getreply = noted_reply  # type: ignore[method-assign]


def send(told: dict[str, Any]) -> str:
    """Why the message was not sent; empty when it was."""
    import apprise
    import requests

    asset = apprise.AppriseAsset(
        app_id="Stowage",
        app_desc="Stowage",
        http_redirects=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        async_mode=False,
    )
    service = apprise.Apprise.instantiate(told["address"], asset=asset)
    if service is None:
        return "The address of the channel makes no sense. Enter it again."
    service.socket_connect_timeout, service.socket_read_timeout = CONNECT_S, READ_S
    message = told["message"]
    if told["kind"] == "webhook":
        service.payload_extras.update(message["data"])
    elif told["kind"] == "ntfy":
        service.priority = message["priority"]
    try:
        is_sent = service.notify(
            body=message["body"],
            title=message["title"],
            notify_type=apprise.NotifyType(message["kind"]),
            body_format=apprise.NotifyFormat.TEXT,
        )
    except (OSError, TypeError, ValueError, requests.RequestException, smtplib.SMTPException) as error:
        return Seen.failure or f"It could not be sent: {type(error).__name__}."
    return "" if is_sent else Seen.failure or "It could not be sent, and the other side did not say why."


def main() -> int:
    logging.disable(logging.CRITICAL)  # Apprise's log names addresses, and what it is told
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MOST, MEMORY_MOST))
    told = json.load(sys.stdin)
    guard(told["reach"])
    watch()
    json.dump({"failure": send(told)}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
