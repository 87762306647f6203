"""What is true on the machines, what Stowage says of it, and every difference between the two as a sentence.

The machines are asked with `virsh`, `docker`, `find` and /proc; Stowage by its database alone. No code of the product
takes part. The letters are those of the audits in `../shared/faults.md`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from tests.stack import Stack

ASKED = r"""
set -e
for number in $(virsh -q list --all --uuid); do
  echo "vm|$number|$(virsh -q domname $number)|$(virsh -q domstate $number)"
done
docker ps -a --format 'container|{{.Label "stowage.uuid"}}|{{.Names}}|{{.State}}'
find /var/lib/libvirt/images /var/lib/stowage/shared -type f | sed 's/^/file|/'
"""
ASKED_WITHIN_S = 30.0
ON, PAUSED, OFF = "on", "paused", "off"
# What libvirt and Docker call it, and what Stowage does.
REAL = {"running": ON, "in shutdown": ON, "idle": ON, "paused": PAUSED, "shut off": OFF, "crashed": OFF}
REAL |= {"created": OFF, "exited": OFF, "dead": OFF, "restarting": ON}
SHOWN = {"running": ON, "paused": PAUSED, "stopped": OFF, "crashed": OFF}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OPEN = ("queued", "running", "undoing")


@dataclass(frozen=True)
class Copy:
    """A VM or container as a machine has it, or as Stowage says that it has it. `uuid` is empty where not known."""

    host: str
    kind: str
    uuid: str
    name: str
    state: str


@dataclass
class Seen:
    """One look at everything. `unread` are machines that should answer and did not; `dark` those that are off."""

    real: list[Copy] = field(default_factory=list)
    shown: list[Copy] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    processes: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    dark: set[str] = field(default_factory=set)
    open_operations: list[str] = field(default_factory=list)
    stuck_operations: list[str] = field(default_factory=list)
    ended_leases: list[str] = field(default_factory=list)


def violations(seen: Seen, *, may_be_stuck: bool = False) -> list[str]:
    """Every difference as a sentence; none when all is well."""
    wrong = [f"{name} cannot be read" for name in seen.unread]
    wrong += _doubled(seen)
    wrong += _differing(seen)
    wrong += _orphan_files(seen)
    wrong += [f"an operation is open: {text}" for text in seen.open_operations]
    wrong += [] if may_be_stuck else [f"an operation is stuck: {text}" for text in seen.stuck_operations]
    wrong += [f"a lease is held by an operation that ended: {text}" for text in seen.ended_leases]
    return wrong


def _doubled(seen: Seen) -> list[str]:
    """I1: at most one running copy of each."""
    running = Counter(copy.uuid for copy in seen.real if copy.state == ON and copy.uuid)
    wrong = [f"{uuid} runs {count} times" for uuid, count in running.items() if count > 1]
    return wrong + [f"{uuid} has {count} QEMU processes" for uuid, count in seen.processes.items() if count > 1]


def _differing(seen: Seen) -> list[str]:
    """I2, I3, I6: each thing is where Stowage says, in the state it says, and nothing else is there."""
    real = {(copy.host, copy.kind, copy.name): copy for copy in seen.real}
    shown = {(copy.host, copy.kind, copy.name): copy for copy in seen.shown if copy.host not in seen.dark}
    unread = set(seen.unread)
    wrong = [f"{key} is on its machine and not in the database" for key in sorted(real.keys() - shown.keys())]
    wrong += [
        f"{key} is in the database and not on its machine"
        for key in sorted(shown.keys() - real.keys())
        if key[0] not in unread
    ]
    for key in sorted(real.keys() & shown.keys()):
        if real[key].state != shown[key].state:
            wrong.append(f"{key} is {real[key].state} and shown as {shown[key].state}")
    return wrong


def _orphan_files(seen: Seen) -> list[str]:
    """I3: no disk of a VM that is gone. Files set aside in doubt are no orphans."""
    known = {copy.uuid for copy in seen.shown}
    wrong = set()
    for paths in seen.files.values():
        for path in paths:
            found = UUID.match(path.rpartition("/")[2])
            if found and found[0] not in known and not path.endswith(".stowage-left"):
                wrong.add(f"{path} belongs to nobody")
    return sorted(wrong)


def look(stack: Stack) -> Seen:
    """Asks every machine of the lab and the database. Blocks for a second or two."""
    seen = Seen()
    lab = json.loads((stack.data_dir / "lab" / "lab.json").read_text())
    for host in lab["hosts"]:
        if host["init_pid"] is None:
            seen.dark.add(host["name"])
        else:
            _machine_read(seen, host["name"], host["init_pid"])
    _database_read(seen, stack)
    seen.processes = _qemu_processes({copy.uuid for copy in (*seen.shown, *seen.real)})
    return seen


def _machine_read(seen: Seen, name: str, init_pid: int) -> None:
    try:
        done = subprocess.run(
            enter_command(init_pid, ["sh", "-c", ASKED]),
            env=host_environment(),
            capture_output=True,
            text=True,
            timeout=ASKED_WITHIN_S,
            check=True,
        )
    except subprocess.SubprocessError:
        seen.unread.append(name)
        return
    seen.files[name] = []
    for line in done.stdout.splitlines():
        kind, _, rest = line.partition("|")
        if kind == "file":
            seen.files[name].append(rest)
            continue
        uuid, named, state = rest.split("|")
        seen.real.append(Copy(name, kind, uuid, named, REAL.get(state, state)))


def _database_read(seen: Seen, stack: Stack) -> None:
    query = (
        "select coalesce(h.name, ''), w.kind, w.uuid, w.name, w.state from workloads_workload w"
        " left join hosts_host h on h.uuid = w.host_id where w.state != 'gone'"
    )
    for host, kind, uuid, name, state in stack.rows(query):
        dashed = f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"
        seen.shown.append(Copy(host, kind, dashed, name, SHOWN.get(state, state)))
    for kind, name, state, message in stack.rows(
        "select kind, subject_name, state, message from hosts_operation"
        " where state not in ('done', 'failed', 'cancelled')"
    ):
        (seen.open_operations if state in OPEN else seen.stuck_operations).append(f"{kind} {name}: {state} {message}")
    for thing, state in stack.rows(
        "select l.thing_kind || ' ' || l.thing_id, o.state from hosts_lease l"
        " join hosts_operation o on o.uuid = l.operation_id where o.state in ('done', 'failed', 'cancelled')"
    ):
        seen.ended_leases.append(f"{thing} ({state})")


def _qemu_processes(uuids: set[str]) -> Counter[str]:
    """How many QEMU processes of this machine carry each of the UUIDs, whatever libvirt thinks of them."""
    found: Counter[str] = Counter()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if b"-uuid" in words and b"qemu" in os.path.basename(words[0]):
            uuid = words[words.index(b"-uuid") + 1].decode()
            found[uuid] += uuid in uuids
    return found


def settled(stack: Stack, limit_s: float, *, may_be_stuck: bool = False, also: Callable[[], str] = lambda: "") -> float:
    """Seconds until nothing differs and `also` has nothing to say; fails with what still does after the limit."""
    began = time.monotonic()
    while True:
        wrong = violations(look(stack), may_be_stuck=may_be_stuck)
        wrong += [text for text in (also(),) if text]
        if not wrong:
            return time.monotonic() - began
        assert time.monotonic() - began < limit_s, f"after {limit_s:.0f} s: " + "; ".join(wrong)
        time.sleep(0.5)
