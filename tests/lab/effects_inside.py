"""Effects carried out inside a lab host by `tests.lab.effect_server`, as its host plane would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts.errors import error_from_data
from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class EffectsInside:
    """One lab host that does as told. `host` is its entry in lab.json."""

    host: dict[str, Any]
    state_dir: Path
    store_dir: Path
    progresses: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = [sys.executable, "-m", "tests.lab.effect_server"]
        arguments = [self.host["config_file"], str(self.state_dir), str(self.store_dir)]
        # A lab host's /run and /var are its own, and so may be the test's folder: the state is in its /run.
        self._process = subprocess.Popen(
            enter_command(self.host["init_pid"], [*server, *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=host_environment() | {"PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
            text=True,
        )

    @property
    def name(self) -> str:
        return str(self.host["name"])

    def run(self, effect: str, within_s: float = 60.0, **arguments: Any) -> dict[str, Any]:
        """The effect's output; raises the error that it reported."""
        return self.wait(self.send(effect, within_s, **arguments))

    def send(self, effect: str, within_s: float = 60.0, **arguments: Any) -> str:
        """Starts an effect and gives its operation."""
        operation = str(uuid.uuid4())
        command = {
            "operation": operation,
            "step": effect,
            "direction": "do",
            "attempt": 1,
            "generation": 0,
            "effect": effect,
            "subject": None,
            "arguments": arguments,
            "deadline_at": time.time() + 60,
            "timeout_s": within_s,
            "sent_at": time.time(),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return operation

    def wait(self, operation: str) -> dict[str, Any]:
        """The output of the effect that was sent."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the effect server on {self.name} died: {self._process.poll()}")
        answer = json.loads(line)
        self.progresses = answer["progresses"]
        report = answer["report"]
        assert report["operation"] == operation
        if report["error"]:
            raise error_from_data(report["error"])
        return dict(report["output"])

    def path(self, inside: str) -> Path:
        """A path of the host as seen from here."""
        return Path(f"/proc/{self.host['init_pid']}/root") / inside.lstrip("/")

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, 9)
            self._process.wait()
        self._process.stdout.close()
