"""Random verbs, random faults and random interference by hand; and then: is everything where the database says?

    python -m tests.lab.faults.soak [--minutes 30] [--seed N]

Two to four things happen at once, as long as the minutes last. After each bout everybody rests until `truth` finds no
difference between the machines and the database; a difference that stays is the failure. Operations that need
attention are retried once and then closed, as an operator would. Needs root. Exit status 0 when all went well.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from tests.lab.api_person import ApiPerson
from tests.lab.cables import MANAGEMENT, cable_pulled
from tests.lab.faults import failpoints, truth
from tests.lab.faults.injections import failpoint_set, frozen, kill, pids_inside, redis_ask, run_inside
from tests.stack import Stack, stack_run

PARTS = ("control", "web", "beat", "redis", "collector", "plan")
REST_LIMIT_S = 240.0
CLOSED_AFTER_S = 60.0
WORKLOADS_MOST = 10
PREFIX = "soak-"
EFFECTS = ("vm.start", "vm.destroy", "vm.define", "vm.migrate", "container.start", "container.stop", "vm.locate")


class Soak:
    """One run. `counts` tells what happened how often; everything random comes from the seed."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.chance = random.Random(seed)
        self.person = ApiPerson(stack)
        self.image = next(row["uuid"] for row in self.person.get("/images") if row["format"] == "qcow2")
        self.hosts = [row["name"] for row in stack.lab["hosts"]]
        self.counts: Counter[str] = Counter()
        self.number = 0
        self.attended: dict[str, float] = {}  # operation -> when it was first seen to need attention

    def bout(self, seconds: float) -> None:
        """Things happen for that long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            act = self.chance.choices([self.verb, self.interfere, self.fault], weights=[6, 2, 2])[0]
            try:
                self.counts[act()] += 1
            except requests.RequestException:
                self.counts["the dashboard was away"] += 1
                self._log_in_again()
            time.sleep(self.chance.uniform(0.2, 2.0))

    def rest(self) -> float:
        """Seconds until nothing differed any more."""
        self._log_in_again()
        return truth.settled(self.stack, REST_LIMIT_S, also=self._attend)

    # --- what an operator does

    def verb(self) -> str:
        mine = [row for row in self._workloads() if row["name"].startswith(PREFIX)]
        if len(mine) < 3 or (len(mine) < WORKLOADS_MOST and self.chance.random() < 0.3):
            return self._create()
        chosen = self.chance.choice(mine)
        at = f"/workloads/{chosen['uuid']}"
        name, method, path, body = self.chance.choice(
            [
                ("start", "POST", f"{at}/start", None),
                ("stop", "POST", f"{at}/stop?force=true", None),
                ("restart", "POST", f"{at}/restart", None),
                ("pause", "POST", f"{at}/pause", None),
                ("resume", "POST", f"{at}/resume", None),
                ("move", "POST", f"{at}/move", {"target": self._other_host(chosen["host"])}),
                ("move", "POST", f"{at}/move", {"target": self._other_host(chosen["host"])}),
                ("snapshot", "POST", f"{at}/snapshots", {"name": f"s{self.number}"}),
                ("delete", "DELETE", at, None),
            ]
        )
        status, _ = self.person.call(method, path, body)
        if status == 202 and self.chance.random() < 0.1:
            self._cancel_newest()
        return f"{name}: {'begun' if status == 202 else 'refused'}"

    def _create(self) -> str:
        self.number += 1
        name = f"{PREFIX}{self.number}"
        if self.chance.random() < 0.5:
            wish = {"name": name, "image": self.image, "memory_mib": 128, "disk_gib": 0.5}
            status, _ = self.person.call("POST", "/workloads/vms", wish)
        else:
            wish = {"name": name, "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.1}
            status, _ = self.person.call("POST", "/workloads/containers", wish)
        return f"create: {'begun' if status == 202 else 'refused'}"

    def _cancel_newest(self) -> None:
        rows = self.stack.rows("select uuid from hosts_operation where state in ('queued', 'running') limit 1")
        if rows:
            self.person.call("POST", f"/operations/{rows[0][0]}/cancel")
            self.counts["cancel"] += 1

    def _workloads(self) -> list[dict[str, Any]]:
        return [row for row in self.person.get("/workloads")["items"] if row["state"] != "gone"]

    def _other_host(self, host: str | None) -> str:
        rows = [row for row in self.person.get("/hosts") if row["name"] in self.hosts and row["name"] != host]
        return str(self.chance.choice(rows)["uuid"])

    # --- what somebody does past the dashboard

    def interfere(self) -> str:
        mine = [row for row in self._workloads() if row["name"].startswith(PREFIX) and row["host"]]
        if not mine:
            return "by hand: nothing there"
        chosen = self.chance.choice(mine)
        words = ("destroy", "start", "suspend") if chosen["kind"] == "vm" else ("stop -t 1", "start", "rm -f")
        word = self.chance.choice(words)
        tool = "virsh" if chosen["kind"] == "vm" else "docker"
        run_inside(self.stack, chosen["host"], f"timeout 30 {tool} {word} {chosen['name']}")
        return f"by hand: {tool} {word}"

    # --- what breaks

    def fault(self) -> str:
        host = self.chance.choice(self.hosts)
        name, act = self.chance.choice(self._faults(host))
        try:
            act()
        except (AssertionError, ProcessLookupError, FileNotFoundError):
            return "fault: nothing to break"  # it was dead already
        return f"fault: {name}"

    def _faults(self, host: str) -> list[tuple[str, Callable[[], object]]]:
        part = self.chance.choice(PARTS)
        effect, act = self.chance.choice(EFFECTS), self.chance.choice(failpoints.ACTS)

        def freeze(pattern: str) -> None:
            with frozen(pids_inside(self.stack, host, pattern)):
                time.sleep(self.chance.uniform(2, 8))

        def unplug() -> None:
            with cable_pulled(self.stack, host, MANAGEMENT):
                time.sleep(self.chance.uniform(2, 10))

        return [
            ("kill a lane", lambda: kill(pids_inside(self.stack, host, "--lane "))),
            ("kill libvirtd", lambda: kill(pids_inside(self.stack, host, "libvirtd -l"))),
            ("kill dockerd", lambda: kill(pids_inside(self.stack, host, "dockerd --config-file"))),
            (f"kill {part}", lambda: os.kill(self.stack.pid_of(part), signal.SIGKILL)),
            ("flush the broker", lambda: redis_ask(self.stack, "FLUSHALL")),
            ("freeze libvirtd", lambda: freeze("libvirtd -l")),
            ("freeze dockerd", lambda: freeze("dockerd --config-file")),
            ("cut off from the centre", unplug),
            (f"failpoint {act}", lambda: failpoint_set(self.stack, host, effect, act)),
        ]

    # --- rest

    def _attend(self) -> str:
        """Closes what needs attention, as an operator would, once it was retried; says what is still open."""
        stuck = self.stack.rows("select uuid, subject_name from hosts_operation where state = 'stuck'")
        for uuid, _ in stuck:
            if uuid not in self.attended:
                self.attended[uuid] = time.monotonic()
                self.person.call("POST", f"/operations/{uuid}/retry")
            elif time.monotonic() - self.attended[uuid] > CLOSED_AFTER_S:
                self.person.call("POST", f"/operations/{uuid}/close")
        return ", ".join(f"{name} is being attended to" for _, name in stuck)

    def _log_in_again(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.person = ApiPerson(self.stack)
                self.person.get("/hosts")
                return
            except (requests.RequestException, AssertionError):
                time.sleep(1)
        raise AssertionError("the dashboard did not come back within 60 s")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}: --seed {asked.seed} repeats the choices, not the moments", flush=True)
    with stack_run(4) as stack:
        soak, until, bouts, slowest = Soak(stack, asked.seed), time.monotonic() + asked.minutes * 60, 0, 0.0
        try:
            while time.monotonic() < until:
                soak.bout(min(60.0, until - time.monotonic()))
                seconds = soak.rest()
                bouts, slowest = bouts + 1, max(slowest, seconds)
                print(f"bout {bouts}: at rest and true after {seconds:.1f} s", flush=True)
        except AssertionError as error:
            print(f"FAILED in bout {bouts + 1}: {error}", flush=True)
            return 1
        finally:
            for name, count in sorted(soak.counts.items()):
                print(f"{count:5}  {name}")
            print(f"{len(soak.attended):5}  operations that needed attention")
    print(f"{bouts} bouts, everything where the database says and exactly once; slowest to truth {slowest:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
