"""Twenty VMs and fifty containers started at once, against shell loops of virsh and docker on the same lab hosts.

    python -m tests.benchmarks many

Goal (issue 3): at most 1.2 times as long, with the same parallelism: as many commands at a time on each host as its
plane has threads for quick effects. Ours begins with the POST and ends with the last operation, the bare
way with the last command's return. In turns, on the same stopped workloads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from hosts.plane.lane import THREADS
from tests.benchmarks.create import CONTAINER_IMAGE
from tests.lab.api_person import ApiPerson
from tests.stack import CHECKOUT, Stack, stack_run

HOSTS = ("lab-a1", "lab-b1")
VMS, CONTAINERS, ROUNDS, LIMIT_S = 20, 50, 2, 600.0
VM_MIB, BOX_MIB, BOX_CORES = 64, 16, 0.02
GOAL = 1.2
QUIET_S = 10.0  # between rounds, for hypervisors and observations to come to rest


def made(person: ApiPerson) -> dict[str, list[dict[str, Any]]]:
    """The workloads by host, stopped."""
    image = next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")
    wishes = []
    for number in range(VMS):
        host = person.host(HOSTS[number % len(HOSTS)])["uuid"]
        vm = {"name": f"many-vm-{number:02}", "image": image, "memory_mib": VM_MIB, "disk_gib": 0.5}
        wishes.append(("/workloads/vms", vm | {"host": host}))
    for number in range(CONTAINERS):
        host = person.host(HOSTS[number % len(HOSTS)])["uuid"]
        box = {"name": f"many-box-{number:02}", "image": CONTAINER_IMAGE, "memory_mib": BOX_MIB, "cpu_cores": BOX_CORES}
        wishes.append(("/workloads/containers", box | {"host": host, "environment": {"LOAD_PERCENT": "0"}}))
    for path, wish in wishes:
        person.done("POST", path, wish)
        row = person.workload(wish["name"])
        assert row is not None
        person.done("POST", f"/workloads/{row['uuid']}/stop?force=true")
    rows = [row for row in person.get("/workloads?text=many-&limit=200")["items"]]
    assert len(rows) == VMS + CONTAINERS
    return {host: [row for row in rows if row["host"] == host] for host in HOSTS}


def ours(person: ApiPerson, verb: str, rows: list[dict[str, Any]]) -> float:
    """Seconds until the verb has been done on all."""
    began = time.monotonic()
    status, members = person.call("POST", "/workloads/bulk", {"verb": verb, "workloads": [row["uuid"] for row in rows]})
    assert status == 202 and not [one for one in members if one["operation"] is None], members
    for member in members:
        ended = person.ended(member["operation"])
        assert ended["state"] == "done", ended
    return time.monotonic() - began


def stopped(person: ApiPerson, rows: list[dict[str, Any]]) -> None:
    """Stops all, patiently: a hypervisor on a machine full of booting guests may not answer for some seconds."""
    until = time.monotonic() + LIMIT_S
    while left := [row for row in rows if person.get(f"/workloads/{row['uuid']}")["state"] != "stopped"]:
        assert time.monotonic() < until, "not all stop"
        person.call("POST", "/workloads/bulk", {"verb": "force_stop", "workloads": [row["uuid"] for row in left]})
        time.sleep(5)


def bare(stack: Stack, by_host: dict[str, list[dict[str, Any]]], vm: str, box: str) -> float:
    """Seconds of the loops, one a host, side by side."""
    began = time.monotonic()
    loops = []
    for host, rows in by_host.items():
        commands = [f"{vm if row['kind'] == 'vm' else box} {row['name']} >/dev/null" for row in rows]
        init_pid = next(one["init_pid"] for one in stack.lab["hosts"] if one["name"] == host)
        shell = enter_command(init_pid, ["xargs", "-P", str(THREADS), "-I", "{}", "sh", "-c", "{}"])
        loop = subprocess.Popen(shell, env=host_environment(), cwd=CHECKOUT, stdin=subprocess.PIPE, text=True)
        assert loop.stdin is not None
        loop.stdin.write("\n".join(commands) + "\n")
        loop.stdin.close()
        loops.append(loop)
    assert [loop.wait(LIMIT_S) for loop in loops] == [0] * len(loops)
    return time.monotonic() - began


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("The lab makes namespaces: run this benchmark as root, with sudo.")
    with stack_run(2) as stack:
        person = ApiPerson(stack)
        by_host = made(person)
        rows = [row for rows in by_host.values() for row in rows]
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for turn in range(ROUNDS * 2):
            if turn % 2 == 0:
                times["ours"].append(ours(person, "start", rows))
            else:
                times["bare"].append(bare(stack, by_host, "virsh -q start", "docker start"))
            stopped(person, rows)
            time.sleep(QUIET_S)
    print(f"{VMS} VMs and {CONTAINERS} containers at once, {ROUNDS} rounds in turns    median s     min     max")
    for name, values in times.items():
        print(f"  {name:52}{median(values):8.1f}{min(values):8.1f}{max(values):8.1f}")
    print(f"  ratio {median(times['ours']) / median(times['bare']):.2f} (goal <= {GOAL})")
