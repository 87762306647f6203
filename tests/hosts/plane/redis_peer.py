"""A real Redis for a test, on a free loopback port; it can be killed and started again on the same port."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis


class RedisPeer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir"]
        self._process = subprocess.Popen([*command, str(self._folder)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def task_next(self, queue: str, timeout_s: float = 10.0) -> tuple[str, dict[str, Any]] | None:
        """The next task message of a queue: its name and kwargs; None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if raw := self.client.rpop(queue):
                message = json.loads(raw)
                body = json.loads(base64.b64decode(message["body"]))
                return message["headers"]["task"], body[1]
            time.sleep(0.01)
        return None

    def report_next(self, timeout_s: float = 10.0) -> dict[str, Any] | None:
        """The next report on queue `control`, passing over progress."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (task := self.task_next("control", deadline - time.monotonic())) and "report" in task[1]:
                return task[1]["report"]
        return None
