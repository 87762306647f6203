"""Has a message sent by a process of its own (`sender`), bounded in time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from datacenter.alerts.message import Message
from hosts.egress import Reach, why_not_reach
from hosts.errors import Invalid

SEND_LIMIT_S = 30.0
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
SENDER = (sys.executable, "-m", "datacenter.alerts.sender")


def post(kind: str, address: str, message: Message) -> str:
    """Why the message was not sent; empty when it was. Blocks for `SEND_LIMIT_S` at most.

    `address` is a secret: it goes by a pipe, and into no log.
    """
    told = {
        "kind": kind,
        "address": address,
        "reach": settings.NOTICE_TARGETS,
        "message": (spoken(message) if kind == "slack" else message).to_data(),
    }
    try:
        done = subprocess.run(
            SENDER, input=json.dumps(told), capture_output=True, text=True, timeout=SEND_LIMIT_S, env=_environment()
        )
        failure = json.loads(done.stdout)["failure"]
    except subprocess.TimeoutExpired:
        return f"It took longer than {SEND_LIMIT_S:.0f} s and was given up."
    except (ValueError, KeyError, TypeError):
        return "The process that sends ended without an answer; the other side may have answered without end."
    return str(failure)[:300]


def _environment() -> dict[str, str]:
    """As little as it needs; no proxy among it. This machine's certificate authorities count, an own one among them."""
    authorities = os.environ.get("SSL_CERT_FILE") or SYSTEM_AUTHORITIES
    trusted = {"SSL_CERT_FILE": authorities, "REQUESTS_CA_BUNDLE": authorities} if Path(authorities).exists() else {}
    return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONPATH": str(settings.BASE_DIR), **trusted}


def spoken(message: Message) -> Message:
    """The message as one text for Slack and what takes the same: nobody is addressed by it, and no link is made.

    Source: https://docs.slack.dev/messaging/formatting-message-text, "Escaping text".
    """
    text = f"{message.title}\n{message.body}"
    for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "@\u200b")):
        text = text.replace(sign, escaped)
    return replace(message, title="", body=text)


def target_check(host: str, field: str) -> None:
    """Raises Invalid when the host is an address that notices never go to, in whatever form it is written.

    Names are not looked up here: a page waits for no name service. Each connection is checked when it is made.
    """
    reach: Reach = settings.NOTICE_TARGETS
    host = host.strip("[]").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    for _, _, _, _, address in found:
        if refusal := why_not_reach(str(address[0]), reach):
            raise Invalid(refusal, field=field)
