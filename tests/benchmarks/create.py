"""From the request to running, against the bare tools on the same lab host, in turns.

    python -m tests.benchmarks create

Goals (issue 2): a VM at most 1.3 times as long as `virsh define` and `virsh start` of the same domain, a container
at most 1.3 times as long as `docker run -d` with the same options. Ours begins with the POST, the bare way with its
first command, already inside the host. Both end when libvirt or Docker tells that it runs; what a person waits
beyond that (the operation's end; the command's return) is printed beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from hosts.units import GIB
from tests.lab.api_person import ApiPerson
from tests.stack import CHECKOUT, Stack, stack_run
from workloads.drivers.docker_container import CAPABILITIES, LOG_LIMITS, PIDS_LIMIT

HOST, ROUNDS, WARM_UPS, LIMIT_S = "lab-a1", 10, 1, 60.0
MEMORY_MIB, DISK_GIB, CPU_CORES = 128, 0.5, 0.1
CONTAINER_IMAGE = "stowage/tiny:1"
GOAL = 1.3


class Inside:
    """A lab host that runs commands and says when something runs; see `create_inside`."""

    def __init__(self, init_pid: int) -> None:
        self._process = subprocess.Popen(
            enter_command(init_pid, [sys.executable, "-m", "tests.benchmarks.create_inside"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=host_environment(),
            cwd=CHECKOUT,
            text=True,
        )
        self._answer()

    def run(self, *commands: list[str], stdin: str | None = None) -> dict[str, Any]:
        return self._ask({"run": commands, "stdin": stdin})

    def running_at(self, name: str) -> float:
        return float(self._ask({"running": name, "within_s": LIMIT_S})["at"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return dict(answer)


@dataclass
class Times:
    """Milliseconds, one for each round; `steps`: how long each took from its sending to its report."""

    ours: list[float] = field(default_factory=list)
    ours_done: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    bare_returned: list[float] = field(default_factory=list)
    bare_disk: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What every round needs."""

    stack: Stack
    person: ApiPerson
    inside: Inside
    host: str  # UUID
    image: str  # UUID of the guest image

    # --- ours

    def ours(self, path: str, wish: dict[str, Any], times: Times) -> str:
        """Makes a workload as a person does; its uuid."""
        began, began_clock = time.monotonic(), time.time()
        status, operation = self.person.call("POST", path, wish | {"host": self.host})
        assert status == 202, operation
        times.ours.append((self.inside.running_at(wish["name"]) - began) * 1000)
        ended = self.person.ended(operation["uuid"])
        assert ended["state"] == "done", ended
        self._journal(operation["uuid"], began_clock, times)
        made = self.person.workload(wish["name"])
        assert made is not None
        return str(made["uuid"])

    def _journal(self, operation: str, began: float, times: Times) -> None:
        """Where the time went, by the operation's own journal."""
        key = uuids.UUID(operation).hex
        rows = self.stack.rows(
            f"select kind, step, created_at from hosts_entry where operation_id = '{key}' order by number"
        )
        last = began
        for kind, step, at in rows:
            now = _epoch(at)
            name = "accepted" if last == began else (f"{step}" if kind == "done" else f"{step}, sending")
            times.steps.setdefault(name, []).append((now - last) * 1000)
            last = now
        [[finished]] = self.stack.rows(f"select finished_at from hosts_operation where uuid = '{key}'")
        times.ours_done.append((_epoch(finished) - began) * 1000)

    def remove(self, uuid: str) -> None:
        self._insist("POST", f"/workloads/{uuid}/stop?force=true")
        self._insist("DELETE", f"/workloads/{uuid}")

    def _insist(self, method: str, path: str) -> None:
        """The operation's end; a refusal is asked again, as a busy machine may pause a host for some seconds."""
        until = time.monotonic() + LIMIT_S
        while (answer := self.person.call(method, path))[0] == 409 and time.monotonic() < until:
            time.sleep(0.5)
        status, operation = answer
        assert status == 202, operation
        ended = self.person.ended(operation["uuid"])
        assert ended["state"] == "done", ended

    # --- the bare way

    def vm_bare(self, name: str, template: str, times: Times) -> None:
        uuid = str(uuids.uuid4())
        xml = _renamed(template, name, uuid)
        source, disk = self._disks(xml)
        making = self.inside.run(
            ["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", source, disk],
            ["qemu-img", "resize", "-q", "-f", "qcow2", disk, str(int(DISK_GIB * GIB))],
        )
        times.bare_disk.append((making["ended"][-1] - making["began"]) * 1000)
        done = self.inside.run(["virsh", "-q", "define", "/dev/stdin"], ["virsh", "-q", "start", name], stdin=xml)
        self._bare_note(name, done, times)
        self.inside.run(["virsh", "-q", "destroy", name], ["virsh", "-q", "undefine", name], ["rm", "-f", disk])

    def container_bare(self, name: str, times: Times) -> None:
        self._bare_note(name, self.inside.run(_docker_run(name)), times)
        self.inside.run(["docker", "rm", "-f", name])

    def _bare_note(self, name: str, done: dict[str, Any], times: Times) -> None:
        times.bare.append((self.inside.running_at(name) - done["began"]) * 1000)
        times.bare_returned.append((done["ended"][-1] - done["began"]) * 1000)

    def _disks(self, xml: str) -> tuple[str, str]:
        """The image in the host's cache, and the path of the domain's disk."""
        disk = xml.partition("<source file='")[2].partition("'")[0]
        found = self.inside.run(["find", "/var/lib/stowage", "-name", f"{self.image}-*.qcow2"])["output"].split()
        assert disk and found, (disk, found)
        return found[0], disk


def _epoch(text: str) -> float:
    """Seconds of a time as SQLite keeps it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _renamed(template: str, name: str, uuid: str) -> str:
    """The same domain under another name, uuid (its files' names carry it) and hardware address."""
    old_uuid = template.partition("<uuid>")[2].partition("</uuid>")[0]
    old_name = template.partition("<name>")[2].partition("</name>")[0]
    old_mac = template.partition("<mac address='")[2].partition("'")[0]
    mac = old_mac[:9] + ":".join(uuid[-6:][n : n + 2] for n in (0, 2, 4))
    text = template.replace(old_uuid, uuid).replace(f"<name>{old_name}</name>", f"<name>{name}</name>")
    return text.replace(old_mac, mac)


def _docker_run(name: str) -> list[str]:
    """`docker run -d` with what Stowage gives every container."""
    memory = f"{MEMORY_MIB}m"
    words = ["docker", "run", "-d", "--name", name, "--memory", memory, "--memory-swap", memory]
    words += ["--cpus", str(CPU_CORES), "--pids-limit", str(PIDS_LIMIT), "--restart", "unless-stopped"]
    words += ["--security-opt", "no-new-privileges:true", "--cap-drop", "ALL"]
    words += [word for capability in CAPABILITIES for word in ("--cap-add", capability)]
    words += ["--log-driver", "json-file"]
    words += [word for option, value in LOG_LIMITS.items() for word in ("--log-opt", f"{option}={value}")]
    return [*words, CONTAINER_IMAGE]


def rounds(bench: Bench, count: int) -> tuple[Times, Times]:
    """Ours and the bare way in turns, each first in every second round."""
    vms, containers = Times(), Times()
    template = ""
    for turn in range(count):
        number = uuids.uuid4().hex[:8]  # a name is never used twice: the witness knows names
        vm = {"name": f"bench-vm-{number}", "image": bench.image, "memory_mib": MEMORY_MIB, "disk_gib": DISK_GIB}
        box = {"name": f"bench-box-{number}", "image": CONTAINER_IMAGE, "memory_mib": MEMORY_MIB}
        box["cpu_cores"] = CPU_CORES
        is_ours_first = turn % 2 == 0 or not template
        if not is_ours_first:
            bench.vm_bare(f"bare-vm-{number}", template, vms)
            bench.container_bare(f"bare-box-{number}", containers)
        made = bench.ours("/workloads/vms", vm, vms)
        template = bench.inside.run(["virsh", "dumpxml", "--inactive", vm["name"]])["output"]
        bench.remove(made)
        bench.remove(bench.ours("/workloads/containers", box, containers))
        if is_ours_first:
            bench.vm_bare(f"bare-vm-{number}", template, vms)
            bench.container_bare(f"bare-box-{number}", containers)
    return vms, containers


@contextmanager
def bench_open() -> Iterator[Bench]:
    with stack_run(2) as stack:
        person = ApiPerson(stack)
        init_pid = next(host["init_pid"] for host in stack.lab["hosts"] if host["name"] == HOST)
        inside = Inside(init_pid)
        image = next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")
        try:
            yield Bench(stack, person, inside, person.host(HOST)["uuid"], image)
        finally:
            inside.close()


def row(name: str, values: list[float], note: str = "") -> None:
    print(f"  {name:44}{median(values):10.0f}{min(values):8.0f}{max(values):8.0f}   {note}".rstrip())


def ratio(name: str, ours: list[float], bare: list[float], goal: str) -> None:
    print(f"  {name:44}{median(ours) / median(bare):10.2f}   {goal}".rstrip())


def told(vms: Times, containers: Times) -> None:
    print(f"request -> running, {len(vms.ours)} rounds in turns    median ms     min     max")
    row("VM, ours", vms.ours, f"operation done {median(vms.ours_done):.0f}")
    row("VM, virsh define + start", vms.bare, f"virsh returned {median(vms.bare_returned):.0f}")
    row("its disk alone, qemu-img convert + resize", vms.bare_disk)
    row("container, ours", containers.ours, f"operation done {median(containers.ours_done):.0f}")
    row("container, docker run -d", containers.bare, f"docker returned {median(containers.bare_returned):.0f}")
    with_disk = [disk + run for disk, run in zip(vms.bare_disk, vms.bare, strict=True)]
    ratio("VM / define + start of a disk that is there", vms.ours, vms.bare, f"ratio (goal <= {GOAL})")
    ratio("VM / disk, define and start", vms.ours, with_disk, "ratio, both sides make the disk")
    ratio("container / docker run -d", containers.ours, containers.bare, f"ratio (goal <= {GOAL})")
    print("  where ours went, median ms by the journal (until the report of each step is written)")
    for kind, times in (("VM", vms), ("container", containers)):
        print(f"    {kind}: " + ", ".join(f"{step} {median(took):.0f}" for step, took in times.steps.items()))


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("The lab makes namespaces: run this benchmark as root, with sudo.")
    with bench_open() as bench:
        rounds(bench, WARM_UPS)
        told(*rounds(bench, ROUNDS))
