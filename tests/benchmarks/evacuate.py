"""A lab host with six VMs is emptied, by a plan and by a serial loop of `virsh migrate` over the same VMs.

    python -m tests.benchmarks evacuate

Goals (issue 6): at most 0.6 times the loop's seconds, and the longest blackout no worse. Ours begins with the
approval and ends when the last move is done; planning is told beside it. A blackout is what libvirt's own events
say on both hosts: from the source's last "Suspended" to the destination's first "Resumed". In turns.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually, forget
from tests.stack import Stack, stack_run

VMS, ROUNDS, LIMIT_S, QUIET_S = 6, 3, 300.0, 8.0
SOURCE = "lab-a1"
GOAL = 0.6
EVENT = re.compile(r"^(\S+ \S+?)\+\d+: event 'lifecycle' for domain '([^']+)': (\w+) (\w+)")


@contextmanager
def watched(stack: Stack, hosts: list[str]) -> Iterator[dict[str, Path]]:
    """Files into which each host's libvirt tells its events, with milliseconds, during the block."""
    with tempfile.TemporaryDirectory() as folder:
        files, watchers = {host: Path(folder, host) for host in hosts}, []
        for host, file in files.items():
            init_pid = next(row["init_pid"] for row in stack.lab["hosts"] if row["name"] == host)
            command = enter_command(init_pid, ["virsh", "event", "--event", "lifecycle", "--loop", "--timestamp"])
            watchers.append(
                subprocess.Popen(["stdbuf", "-oL", *command], env=host_environment(), stdout=file.open("w"))
            )
        time.sleep(1)
        try:
            yield files
        finally:
            for watcher in watchers:
                watcher.terminate()
                watcher.wait(10)


def blackouts(files: dict[str, Path], names: list[str]) -> list[float]:
    """Seconds for each VM between its last stop on the source and its first breath on the destination."""
    stopped, resumed = {}, {}
    for host, file in files.items():
        for line in file.read_text().splitlines():
            if (found := EVENT.match(line)) and found[2] in names:
                at = datetime.fromisoformat(found[1]).timestamp()
                if host == SOURCE and found[3] == "Suspended":
                    stopped[found[2]] = at
                elif host != SOURCE and found[3] == "Resumed":
                    resumed.setdefault(found[2], at)
    return [resumed[name] - stopped[name] for name in names if name in stopped and name in resumed]


def ours(person: ApiPerson, names: list[str]) -> tuple[float, float]:
    """(seconds to plan, seconds from the approval to the end)."""
    began = time.monotonic()
    site = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    status, plan = person.call("POST", "/plans", {"site": site, "evacuate": person.host(SOURCE)["uuid"]})
    assert status == 202, plan
    at = f"/plans/{plan['uuid']}"
    eventually(lambda: person.get(at)["plan"]["state"] == "proposed", LIMIT_S)
    planned_s = time.monotonic() - began
    began = time.monotonic()
    assert person.call("POST", f"{at}/approve")[0] == 200
    eventually(lambda: person.get(at)["plan"]["finished_at"] is not None, LIMIT_S)
    seconds = time.monotonic() - began
    assert person.get(at)["plan"]["state"] == "done", person.get(at)["plan"]
    assert all(place != SOURCE for place in places(person, names).values())
    return planned_s, seconds


def bare(stack: Stack, names: list[str], target: str) -> float:
    """Seconds of the loop."""
    # unsafe: libvirt cannot see that a folder is shared
    command = "virsh -q migrate --live --p2p --unsafe --persistent --undefinesource"
    command += f" $name qemu+tcp://{target}/system tcp://{target}"
    loop = f"for name in {' '.join(names)}; do {command} || exit 1; done"
    began = time.monotonic()
    stack.inside(SOURCE, "sh", "-c", loop, limit_s=LIMIT_S)
    return time.monotonic() - began


def places(person: ApiPerson, names: list[str]) -> dict[str, str]:
    return {name: (person.workload(name) or {}).get("host") for name in names}


def brought_back(person: ApiPerson, names: list[str]) -> None:
    target = person.host(SOURCE)["uuid"]
    for name in names:
        row = person.workload(name)
        assert row is not None
        if row["host"] != SOURCE:
            person.done("POST", f"/workloads/{row['uuid']}/move", {"target": target})
    time.sleep(QUIET_S)


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("The lab makes namespaces: run this benchmark as root, with sudo.")
    with stack_run(4) as stack:
        person = ApiPerson(stack)
        image = next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")
        for row in person.get("/workloads")["items"]:
            if row["host"] == SOURCE:
                person.call("POST", f"/workloads/{row['uuid']}/stop?force=true")
        names = [f"leaver-{number}" for number in range(VMS)]
        for name in names:
            wish = {"name": name, "image": image, "memory_mib": 128, "disk_gib": 0.5}
            person.done("POST", "/workloads/vms", wish | {"host": person.host(SOURCE)["uuid"]})
        time.sleep(QUIET_S)
        hosts = [row["name"] for row in stack.lab["hosts"]]
        target = next(name for name in hosts if name.startswith("lab-b"))
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        longest: dict[str, list[float]] = {"ours": [], "bare": []}
        planned = []
        for turn in range(ROUNDS * 2):
            who = "ours" if turn % 2 == 0 else "bare"
            with watched(stack, hosts) as files:
                if who == "ours":
                    planned_s, seconds = ours(person, names)
                    planned.append(planned_s)
                else:
                    seconds = bare(stack, names, target)
                time.sleep(1)
                found = blackouts(files, names)
            assert len(found) == VMS, f"only {len(found)} blackouts were seen"
            times[who].append(seconds)
            longest[who].append(max(found))
            eventually(lambda: SOURCE not in places(person, names).values(), 60)
            brought_back(person, names)
        for name in names:
            row = person.workload(name)
            forget(person, row["uuid"]) if row else None
    print(f"{VMS} VMs leave a host, {ROUNDS} rounds in turns    median s     min     max   longest blackout, ms")
    for who, label in (("ours", "a plan, from its approval"), ("bare", "a serial loop of virsh migrate")):
        values, black = times[who], max(longest[who]) * 1000
        print(f"  {label:45}{median(values):8.1f}{min(values):8.1f}{max(values):8.1f}{black:10.0f}")
    ratio = median(times["ours"]) / median(times["bare"])
    print(f"  ratio {ratio:.2f} (goal <= {GOAL}); planning took {median(planned):.1f} s before")
