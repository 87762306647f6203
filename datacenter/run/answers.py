"""Whether an embedded part answers yet."""

from __future__ import annotations

import http.client
import socket
from base64 import b64encode
from urllib.parse import unquote, urlsplit

_PATIENCE_S = 2.0


def redis_answers(url: str) -> bool:
    """Whether the Redis at this URL takes the password and has loaded its data. Source: redis.io/docs RESP."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6379), _PATIENCE_S) as connection:
            words = [f"AUTH {unquote(parts.password)}"] if parts.password else []
            connection.sendall("".join(f"{line}\r\n" for line in [*words, "PING", "QUIT"]).encode())
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
    except OSError:
        return False
    return b"+PONG" in answer


def redis_bind(url: str, addresses: list[str]) -> bool:
    """Makes the running Redis listen on exactly these addresses; False when it would not."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 6379), _PATIENCE_S) as connection:
        bind = f'CONFIG SET bind "{" ".join(addresses)}"'
        connection.sendall(f"AUTH {unquote(parts.password or '')}\r\n{bind}\r\nQUIT\r\n".encode())
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer.count(b"+OK") >= 2 and b"-ERR" not in answer


def http_answers(url: str, path: str) -> bool:
    """Whether a GET gets a status below 400, with the URL's own user and password."""
    parts = urlsplit(url)
    headers = {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
