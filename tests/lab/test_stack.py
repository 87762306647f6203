"""The run as a whole, seen from outside: who runs as whom, what listens where, what a crash of a part costs."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.stack import Stack


def pids(stack: Stack) -> dict[str, int]:
    return {path.stem: json.loads(path.read_text())["pid"] for path in (stack.data_dir / "run").glob("*.json")}


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_the_supervisor_and_the_lab_are_root(stack: Stack):
    roots = {name for name, pid in pids(stack).items() if user_of(pid) == 0}

    assert roots == {"supervisor", "lab"}


def test_every_embedded_part_runs(stack: Stack):
    expected = {"redis", "metrics-raw", "metrics-long", "web", "control", "plan", "alerts", "beat", "collector", "lab"}

    assert expected <= set(pids(stack))


def test_no_password_stands_in_a_command_line(stack: Stack):
    secrets = [
        value
        for name, value in (line.split("=", 1) for line in (stack.data_dir / "env").read_text().splitlines()[1:])
        if name.endswith(("PASSWORD", "_KEY"))
    ]

    for pid in pids(stack).values():
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in command for secret in secrets)


def test_the_stores_refuse_who_has_no_password(stack: Stack):
    environment = dict(line.split("=", 1) for line in (stack.data_dir / "env").read_text().splitlines()[1:])

    for name in ("METRICS_URL", "METRICS_LONG_URL"):
        without_password = re.sub(r"//[^@]*@", "//", environment[name])
        assert status_of(f"{without_password}/api/v1/query?query=up") == 401


@pytest.mark.parametrize("path", ["/login/", "/", "/admin/login/", "/static/css/app.css"])
def test_a_lab_host_reaches_the_planes_api_and_no_page(stack: Stack, path: str):
    base = stack.lab["control_url"]

    assert status_of(f"{base}{path}") == 404
    assert status_of(f"{base}/plane/v1/me") == 401


def test_a_part_that_is_killed_comes_back(stack: Stack):
    before = pids(stack)["collector"]

    os.kill(before, signal.SIGKILL)

    until = time.monotonic() + 15
    while pids(stack)["collector"] == before and time.monotonic() < until:
        time.sleep(0.1)
    assert pids(stack)["collector"] != before


def test_every_host_of_the_lab_is_enrolled(stack: Stack):
    names = {name for (name,) in stack.rows("select name from hosts_host where lifecycle = 'enrolled'")}

    assert names == {host["name"] for host in stack.lab["hosts"]}
