"""A real Debian with qemu-guest-agent: what it tells, file systems that stand still for a backup, and its shutdown."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guest.test_first_boot import Login, debian, image, key, login
from tests.lab.api_person import ApiPerson
from tests.stack import Stack

__all__ = ["debian", "image", "key", "login"]  # fixtures
# Its hook notes when it is told to freeze and to thaw, in memory: nothing can be written in between.
HOOK = """\
sudo mkdir -p /run/systemd/system/qemu-guest-agent.service.d
printf '#!/bin/sh\\necho "$1 $(date +%%s.%%N)" >> /run/hook.log\\n' | sudo tee /run/hook > /dev/null
sudo chmod 755 /run/hook
printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/qemu-ga -F/run/hook\\n' | \
sudo tee /run/systemd/system/qemu-guest-agent.service.d/hook.conf > /dev/null
sudo mount -o remount,exec /run
sudo systemctl daemon-reload
sudo systemctl restart qemu-guest-agent
"""


def when(ask: Callable[[], Any], is_so: Callable[[Any], bool], limit_s: float = 120.0) -> Any:
    until = time.monotonic() + limit_s
    while not is_so(got := ask()):
        assert time.monotonic() < until, got
        time.sleep(1)
    return got


def test_the_guest_tells_and_stands_still_for_a_backup_and_goes_down_by_its_agent(
    stack: Stack, debian: dict[str, Any], login: Login, key: Path
):
    person, path = ApiPerson(stack), f"/workloads/{debian['uuid']}"
    guest = when(lambda: person.get(f"{path}/guest"), lambda told: "10.99.0.2" in told["addresses"])
    assert guest["agent"] == "connected" and guest["hostname"] == "debian"
    assert "Debian GNU/Linux 12" in guest["system"] and guest["kernel"]
    root = next(each for each in guest["filesystems"] if each["mount"] == "/")
    assert root["type"] == "ext4" and 0 < root["used_bytes"] < root["total_bytes"]
    assert [row["name"] for row in person.get("/workloads?text=10.99.0.2")["items"]] == ["debian"]

    login.run(HOOK)
    when(lambda: person.get(f"{path}/guest"), lambda told: told["agent"] == "connected")
    login.run("nohup sh -c 'while date +%s.%N >> ticks; do sleep 0.05; done' > /dev/null 2>&1 &")
    person.done("POST", f"{path}/backups", {"kind": "full"})
    (backup,) = [row for row in person.get(f"{path}/backups")]
    try:
        assert (backup["is_frozen"], backup["not_frozen"]) == (True, "")
        words = [line.split() for line in login.run("cat /run/hook.log").splitlines()]
        assert [word for word, _ in words] == ["freeze", "thaw"]
        print(f"stood still for {float(words[1][1]) - float(words[0][1]):.2f} s")
        ticks = int(login.run("wc -l < ticks"))
        when(lambda: int(login.run("wc -l < ticks")), lambda now: now > ticks, 10)
    finally:
        person.done("DELETE", f"/backups/{backup['uuid']}")

    stopped = person.done("POST", f"{path}/stop")
    print(f"down by its agent after {stopped['seconds']:.1f} s")
    entries = stack.rows(f"SELECT data FROM hosts_entry WHERE operation_id = '{stopped['uuid'].replace('-', '')}'")
    assert any((json.loads(data).get("output") or {}).get("by") == "agent" for (data,) in entries)
