"""The plane's HTTP door to the control plane: who am I, secrets of one step, and image bytes."""

from __future__ import annotations

import hashlib
import os
import re
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from hosts.drivers.base import Controller
from hosts.errors import Invalid, NotFound, Refused, Rejected, TimedOut, Unreachable
from hosts.signing import signing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hosts.plane.progress import Progress

IMAGE_TRIES = 5
BLOB_TIMEOUT_S = 60.0  # silence, not the whole transfer
_BLOB_PATH = re.compile(r"/plane/v1/blobs/[0-9a-f-]{36}/[A-Za-z0-9_.\-]{1,100}")
_SECRET_PATH = re.compile(r"/plane/v1/secrets/[0-9a-f-]{36}/[A-Za-z0-9_.\-]{1,100}")


class ControlClient:
    """A client of `/plane/v1/` at `url`, with the token that `token` reads afresh for each connection."""

    def __init__(self, url: str, token: Callable[[], str], *, timeout_s: float = 10.0) -> None:
        self._token = token
        self._client = httpx.Client(base_url=url, timeout=timeout_s, follow_redirects=False)

    def me(self) -> tuple[dict[str, Any], float]:
        """This plane's name, kind, site and broker URL, and the seconds its clock leads.

        Raises Refused while the plane is not enrolled, Unreachable when nobody answers.
        """
        response = self._get("/plane/v1/me")
        return response.json(), _clock_lead_s(response)

    def secret(self, path: str) -> str:
        """The secret of one step; `path` is the reference that came in the command."""
        if not _SECRET_PATH.fullmatch(path):
            raise Invalid("The command names its secret by a path that is not one of the control plane's.")
        return str(self._get(path).json()["secret"])

    def controllers(self) -> list[Controller]:
        """The management controllers of the site's hosts, with their passwords; for a site's plane alone."""
        rows = self._get("/plane/v1/controllers").json()["controllers"]
        keys = ("host", "url", "system", "username", "password")
        return [Controller(**{key: str(row[key]) for key in keys}) for row in rows]

    def image_fetch(
        self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Progress | None = None
    ) -> None:
        """Ensures the image's bytes at `path`, complete and checked, or raises and leaves `path` as it was.

        A broken transfer goes on from where it stopped, also after a restart (`<path>.part`).
        """
        self._fetch(f"/plane/v1/images/{image}/content", sha256, size_bytes, Path(path), progress)

    def blob_fetch(
        self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Progress | None = None
    ) -> None:
        """As `image_fetch`, for bytes that another plane of the same operation has left at `path`."""
        self._fetch(_blob_path_check(path), sha256, size_bytes, Path(target), progress)

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Progress | None = None) -> None:
        """Leaves bytes with the control plane for as long as the operation lasts; a repeat replaces them."""
        try:
            response = self._client.put(
                _blob_path_check(path), headers=self._headers(), content=chunks, timeout=BLOB_TIMEOUT_S
            )
        except httpx.TimeoutException as error:
            raise TimedOut("The control plane stopped taking the bytes.", repr(error)) from error
        except httpx.TransportError as error:
            raise Unreachable("The transfer to the control plane broke off.", repr(error)) from error
        _check(response)

    def _fetch(self, url: str, sha256: str, size_bytes: int, path: Path, progress: Progress | None) -> None:
        part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, IMAGE_TRIES + 1):
            try:
                self._image_continue(url, sha256, size_bytes, part, progress)
                break
            except (Unreachable, TimedOut):
                if number == IMAGE_TRIES:
                    raise
        digest = _sha256_of(part)
        if digest != sha256:
            part.unlink()
            raise Rejected(
                "The image arrived damaged: its checksum is not the recorded one. Import it again.",
                detail=f"{url}: expected {sha256}, got {digest}",
            )
        os.replace(part, path)

    def close(self) -> None:
        self._client.close()

    def _image_continue(self, url: str, sha256: str, size_bytes: int, part: Path, progress: Progress | None) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have > size_bytes:
            part.unlink()
            have = 0
        if have == size_bytes and part.exists():
            return
        headers = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'} if have else {}
        try:
            with self._client.stream("GET", url, headers=self._headers() | headers) as response:
                _check(response)
                have = have if response.status_code == 206 else 0
                self._image_write(response, part, have, size_bytes, progress)
        except httpx.TimeoutException as error:
            raise TimedOut("The control plane stopped sending the image.", repr(error)) from error
        except httpx.TransportError as error:
            raise Unreachable("The transfer of the image broke off.", repr(error)) from error

    @staticmethod
    def _image_write(
        response: httpx.Response, part: Path, have: int, size_bytes: int, progress: Progress | None
    ) -> None:
        # Raw and as it comes: a buffered piece would be lost, and fetched again, when the transfer breaks.
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            for chunk in response.iter_raw():
                have += len(chunk)
                if have > size_bytes:
                    raise Rejected("The control plane sent more bytes than the image has.")
                file.write(chunk)
                if progress is not None:
                    progress.check()
                    progress.update("copying the image", 100.0 * have / size_bytes)
            file.flush()
            os.fsync(file.fileno())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}

    def _get(self, path: str) -> httpx.Response:
        try:
            response = self._client.get(path, headers=self._headers())
        except httpx.TimeoutException as error:
            raise TimedOut("The control plane answers too slowly.", repr(error)) from error
        except httpx.TransportError as error:
            raise Unreachable("The control plane cannot be reached.", repr(error)) from error
        _check(response)
        return response


def key_read(path: str) -> str:
    """The key that signs this plane's messages; raises as `token_read`."""
    return signing_key(token_read(path))


def token_read(path: str) -> str:
    """The plane's token; raises Refused with the reason when there is none yet."""
    try:
        token = Path(path).read_text().strip()
    except OSError as error:
        raise Refused(f"The token file {path} cannot be read: {error.strerror}.") from error
    if not token:
        raise Refused(f"The token file {path} is empty.")
    return token


def _blob_path_check(path: str) -> str:
    if not _BLOB_PATH.fullmatch(path):
        raise Invalid("The command refers to its bytes by a path that is not one of the control plane's.")
    return path


def _check(response: httpx.Response) -> None:
    """Turns a status into our errors, by code."""
    if response.status_code in (200, 201, 204, 206):
        return
    if response.status_code in (401, 403):
        raise Refused("The control plane does not know this plane's token: is it enrolled?")
    if response.status_code == 404:
        raise NotFound("The control plane has no such thing.", str(response.url))
    if response.status_code >= 500 or response.status_code == 429:
        raise Unreachable("The control plane has trouble of its own.", f"status {response.status_code}")
    raise Rejected("The control plane refused the request.", f"status {response.status_code}")


def _clock_lead_s(response: httpx.Response) -> float:
    """By how much the other clock leads, to the second that a Date header has; small leads are noise."""
    try:
        theirs = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return 0.0
    lead_s = theirs - time.time()
    return lead_s if abs(lead_s) > 3.0 else 0.0


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
