"""A person who uses Stowage through its API, logged in as in a browser."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import requests

from tests.stack import Stack

OPERATION_LIMIT_S = 90.0


class ApiPerson:
    """Calls under /api/ with the session's cookie. A refused call is an answer, not an exception."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._session = requests.Session()
        login = f"{stack.url}/login/"
        form = token_in(self._session.get(login, timeout=20).text)
        words = {"username": stack.username, "password": stack.password, "csrfmiddlewaretoken": form}
        answer = self._session.post(login, data=words, headers={"Referer": login}, timeout=20)
        assert answer.ok and 'name="password"' not in answer.text, "the login failed"
        self._token = token_in(answer.text)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON of the answer)."""
        return self._answer(method, path, json=body)

    def upload(self, path: str, fields: dict[str, str], file: Path) -> tuple[int, Any]:
        """As `call`, for a form with a file."""
        with file.open("rb") as opened:
            return self._answer("POST", path, data=fields, files={"file": opened})

    def _answer(self, method: str, path: str, **content: Any) -> tuple[int, Any]:
        answer = self._session.request(
            method,
            f"{self._stack.url}/api{path}",
            headers={"X-CSRFToken": self._token, "Referer": self._stack.url},
            timeout=30,
            **content,
        )
        return answer.status_code, answer.json() if answer.content else None

    def put_bytes(self, path: str, data: bytes) -> int:
        """Sends the bytes; the status of the answer."""
        headers = {"X-CSRFToken": self._token, "Referer": self._stack.url, "Content-Type": "application/octet-stream"}
        return self._session.put(f"{self._stack.url}/api{path}", data=data, headers=headers, timeout=60).status_code

    def fetched(self, path: str) -> bytes:
        """The bytes of a file."""
        answer = self._session.get(f"{self._stack.url}/api{path}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.content

    def get(self, path: str) -> Any:
        status, body = self.call("GET", path)
        assert status == 200, body
        return body

    def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The operation that the call began, once it is done; how long that took is in `seconds`."""
        began = time.monotonic()
        status, operation = self.call(method, path, body)
        assert status == 202, operation
        ended = self.ended(operation["uuid"])
        assert ended["state"] == "done", ended
        return {**ended, "seconds": time.monotonic() - began}

    def ended(self, operation: str) -> dict[str, Any]:
        until = time.monotonic() + OPERATION_LIMIT_S
        while (now := self.get(f"/operations/{operation}"))["state"] not in {"done", "failed", "cancelled", "stuck"}:
            assert time.monotonic() < until, f"did not end in {OPERATION_LIMIT_S} s: {now}"
            time.sleep(0.1)
        return now

    def workload(self, name: str) -> dict[str, Any] | None:
        """The workload of that name; None when there is none, or it is gone."""
        rows = self.get(f"/workloads?text={name}")["items"]
        return next((row for row in rows if row["name"] == name and row["state"] != "gone"), None)

    def host(self, name: str) -> dict[str, Any]:
        return next(row for row in self.get("/hosts") if row["name"] == name)

    def lab_hosts_on(self) -> list[dict[str, Any]]:
        """The lab's hosts that are on: others may have been freed and switched off before."""
        names = {host["name"] for host in self._stack.lab["hosts"]}
        return [row for row in self.get("/hosts") if row["name"] in names and row["power"] == "on"]


def token_in(page: str) -> str:
    """The token that a page carries against forged requests."""
    found = re.search(r'(?:name="csrfmiddlewaretoken" value|name="csrf-token" content)="([^"]+)"', page)
    assert found, "the page carries no token"
    return found[1]
