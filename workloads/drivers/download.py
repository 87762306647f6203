"""A file fetched by its address. Each connection is judged when it is made, for a name may resolve anew each time."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from hosts.egress import Reach, why_not_reach
from hosts.errors import Invalid, Rejected, TimedOut, Unreachable
from workloads.drivers.base import Running

URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]{1,1000}")
REDIRECTS_MOST = 5
SILENCE_S = 30.0


def url_check(url: object) -> str:
    """The address, if it is one of a file on the web, without a password in it; raises Invalid."""
    text = str(url).strip()
    parts = urlsplit(text) if URL.fullmatch(text) else None
    if parts is None or not parts.hostname:
        raise Invalid("The address must begin with http:// or https:// and name a server and a file.", field="url")
    if parts.username or parts.password:
        raise Invalid("The address carries a password, which would be kept with it. Leave it out.", field="url")
    return text


def download(url: str, target: Path, most_bytes: int, running: Running, reach: Reach = "private") -> str:
    """Writes the file to `target`; its SHA-256. Blocks for as long as bytes come; ends after 30 s of silence.

    Raises Rejected with what the server said, or for more than `most_bytes`; Unreachable and TimedOut.
    """
    tls = ssl.create_default_context()
    with httpcore.ConnectionPool(ssl_context=tls, network_backend=_Guarded(reach), max_connections=1) as pool:
        for _ in range(REDIRECTS_MOST + 1):
            moved = _fetch(pool, url, target, most_bytes, running)
            if not isinstance(moved, _Moved):
                return moved
            if url.startswith("https:") and not moved.url.startswith("https:"):
                raise Rejected("The server leads to an address without encryption, which is not followed.", moved.url)
            url = url_check(moved.url)
    raise Rejected(f"The server leads on more than {REDIRECTS_MOST} times.")


class _Moved:
    def __init__(self, url: str) -> None:
        self.url = url


def _fetch(pool: httpcore.ConnectionPool, url: str, target: Path, most_bytes: int, running: Running) -> str | _Moved:
    timeouts = {name: SILENCE_S for name in ("connect", "read", "write", "pool")}
    try:
        with pool.stream("GET", url, headers={"User-Agent": "Stowage"}, extensions={"timeout": timeouts}) as response:
            headers = {key.lower(): value.decode("latin-1") for key, value in response.headers}
            if response.status in (301, 302, 303, 307, 308) and b"location" in headers:
                return _Moved(urljoin(url, headers[b"location"]))
            if response.status != 200:
                raise Rejected(f"The server answered with status {response.status}. Correct the address.")
            promised = headers.get(b"content-length", "")
            size_bytes = int(promised) if promised.isdecimal() else 0
            return _write(response.iter_stream(), target, size_bytes, most_bytes, running)
    except httpcore.TimeoutException as error:
        raise TimedOut(f"The server sent nothing for {SILENCE_S:.0f} s.", str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise Unreachable("The transfer broke off, or nobody answers there.", str(error)[:300]) from error


def _write(chunks: Iterable[bytes], target: Path, size_bytes: int, most_bytes: int, running: Running) -> str:
    digest, done = hashlib.sha256(), 0
    if size_bytes > most_bytes:
        raise Rejected("The file is larger than an image may be here, or than this host has room for.")
    with target.open("wb") as file:
        for chunk in chunks:
            running.check()
            done += len(chunk)
            if done > most_bytes:
                raise Rejected("The file is larger than an image may be here, or than this host has room for.")
            file.write(chunk)
            digest.update(chunk)
            percent = 100.0 * done / size_bytes if size_bytes else None
            running.update(f"fetching, {done >> 20} MiB so far", percent)
    if size_bytes and done != size_bytes:
        raise Unreachable("The transfer broke off before the end.")
    return digest.hexdigest()


class _Guarded(httpcore.SyncBackend):
    """Connects to addresses alone that may be asked, and to the very one that was looked at."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} is not known here") from error
        for _, _, _, _, address in found:
            if refusal := why_not_reach(str(address[0]), self._reach):
                raise Rejected(refusal)
        return super().connect_tcp(str(found[0][4][0]), port, *arguments, **options)
