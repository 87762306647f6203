"""Inside a lab host: runs commands on demand, and is the witness of when a VM or container runs.

One JSON request a line on stdin, one JSON answer a line on stdout. It lives for the whole benchmark, so that no
command is charged for entering the host. The witness hears libvirt's and Docker's own events: it asks nobody in a
loop, so it neither rounds up nor burdens either side. Times are CLOCK_MONOTONIC, which a lab host shares.

    {"run": [[word, ...], ...], "stdin": text}   -> {"began": s, "ended": [s, ...], "output": text of the last}
    {"running": name, "within_s": s}             -> {"at": s}
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import docker
import libvirt

from hosts.drivers.libvirt_loop import loop_ensure


class Witness:
    """When each VM or container of a name was last heard to run."""

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self._at: dict[str, float] = {}
        loop_ensure()
        self._connection = libvirt.open("qemu:///system")
        self._connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._domain, None)
        self._events = docker.APIClient(timeout=None).events(
            decode=True, filters={"type": "container", "event": "start"}
        )
        threading.Thread(target=self._containers, daemon=True).start()

    def running_at(self, name: str, within_s: float) -> float:
        """Waits for the event when it has not come yet. Raises TimeoutError."""
        with self._heard:
            if not self._heard.wait_for(lambda: name in self._at, within_s):
                raise TimeoutError(f"{name} did not run within {within_s:.0f} s")
            return self._at[name]

    def _domain(self, _connection: Any, domain: libvirt.virDomain, event: int, _detail: int, _: None) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STARTED:
            self._note(domain.name())

    def _containers(self) -> None:
        for event in self._events:
            self._note(event["Actor"]["Attributes"]["name"])

    def _note(self, name: str) -> None:
        with self._heard:
            self._at[name] = time.monotonic()
            self._heard.notify_all()


def run(commands: list[list[str]], stdin: str | None) -> dict[str, Any]:
    """The commands one after the other, each with the same input."""
    began, ended, output = time.monotonic(), [], ""
    for words in commands:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
        ended.append(time.monotonic())
        if done.returncode != 0:
            return {"error": f"{' '.join(words)}: {done.stderr}"}
        output = done.stdout
    return {"began": began, "ended": ended, "output": output}


def main() -> None:
    witness = Witness()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" in asked:
            answer = run(asked["run"], asked.get("stdin"))
        else:
            answer = {"at": witness.running_at(asked["running"], asked["within_s"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
