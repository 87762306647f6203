"""Consoles through dashboard and gateway, beside the bare tools, on real QEMU.

    python -m tests.benchmarks consoles

Goals (issue 5): as many bytes of a screen per second as Debian's websockify, at most 1 ms more for a frame-buffer
update, at most 16 MiB more memory for a browser that stops reading; a console closes within a second. The screen's
source is QEMU first; then a server that only sends, in QEMU's place, so that what is measured is the way alone.
websockify joins browser and socket on one machine, in plain text; ours goes through two processes and TLS in between.
It is measured with TLS to its viewer too: that is what a browser on another machine would need.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

from datacenter.run.ports import port_pick
from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from hosts.plane.gateway.certificate import certificate_ensure
from tests.benchmarks.console_viewer import Screen, Viewer
from tests.lab.api_person import ApiPerson
from tests.lab.console_person import ConsoleSocket, Login
from tests.stack import CHECKOUT, Stack, stack_run

HOST, SUBJECT, PTY_VM = "lab-a1", "web-1", "bench-pty"
PTY_DISK = "/var/lib/libvirt/images/bench-pty.qcow2"
ROUNDS, SECONDS, ROUND_TRIPS, ECHOES = 5, 2.0, 300, 300
WIDTH, HEIGHT = 1920, 1080
STUCK_S, STUCK_GOAL_MIB, IDLE = 12.0, 16, 200
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("The lab makes namespaces: run this benchmark as root, with sudo.")
    with stack_run(2) as stack:
        measure(stack)


def measure(stack: Stack) -> None:
    bench = Bench(stack)
    bench.quiet()
    print(f"screens, {ROUNDS} rounds in turns           MB/s  round trip ms   p99   CPU s/GB (web + gateway)")
    # QEMU sends at its own ticks, 30 to 200 ms apart: more round trips tell nothing more.
    screens(bench, "QEMU", round_trips=40)
    with flood(bench):
        screens(bench, f"sender, {WIDTH} x {HEIGHT}")
        asyncio.run(stuck(bench))
    echoes(bench)
    asyncio.run(closing(bench))
    asyncio.run(idle(bench))


@dataclass
class Bench:
    """The stack, a person, and the VM whose consoles are measured."""

    stack: Stack
    login: Login = field(init=False)
    person: ApiPerson = field(init=False)
    vm: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.login = Login(self.stack.url, self.stack.username, self.stack.password)
        self.person = ApiPerson(self.stack)
        found = self.person.workload(SUBJECT)
        assert found is not None
        self.vm = found

    def quiet(self) -> None:
        """Stops what else the lab runs: its guests are emulated and take the cores that are measured."""
        for row in self.person.get("/workloads?limit=200")["items"]:
            if row["name"] != SUBJECT and row["state"] == "running" and not row["is_pinned"]:
                self.person.call("POST", f"/workloads/{row['uuid']}/stop?force=true")
        time.sleep(8)

    @property
    def port(self) -> int:
        return int(self.stack.url.rpartition(":")[2])

    def process(self, words: str) -> int:
        """The pid of the one process of this stack with these words in its command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if re.search(words, command) and "nsenter" not in command:
                    found.append(int(entry.name))
        assert len(found) == 1, (words, found)
        return found[0]

    @property
    def web(self) -> int:
        return self.process(rf"manage\.py web --port {self.port}")

    @property
    def gateway(self) -> int:
        return self.process(rf"hosts\.plane\.hostd --config {self.stack.data_dir}/lab/hosts/{HOST}/.*--lane consoles")

    @property
    def certificate(self) -> Path:
        return certificate_ensure(self.stack.data_dir / "bench", "websockify")

    def vnc_socket(self) -> Path:
        """QEMU's VNC socket, by the path that is seen from outside of the lab host."""
        xml = ElementTree.fromstring(self.stack.inside(HOST, "virsh", "dumpxml", SUBJECT))
        listen = xml.find("devices/graphics/listen")
        assert listen is not None
        inside = str(listen.get("socket")).removeprefix("/var/lib/libvirt/")
        return self.stack.data_dir / "lab/hosts" / HOST / "libvirt" / inside

    def ours(self) -> Viewer:
        headers = {"Cookie": self.login.cookie(), "Origin": self.stack.url}
        viewer = Viewer(self.port, "/live/console/", headers)
        viewer.say({"ticket": self.login.ticket("vnc", self.vm["uuid"])})
        viewer.text("opened")
        viewer.say({"ready": True})
        return viewer


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int) -> float:
    """What the process has resident, without what it shares with others."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith(("Private_Clean", "Private_Dirty"))) / 1024


# -- screens


@dataclass
class Runs:
    rates: list[float] = field(default_factory=list)
    trips: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, screen: Screen, pids: list[int], round_trips: int) -> None:
        screen.round_trips_ms(round_trips // 10)
        trips = sorted(screen.round_trips_ms(round_trips))
        before = sum(map(cpu_seconds, pids))
        rate, total = screen.bytes_per_second(SECONDS)
        self.cpu.append((sum(map(cpu_seconds, pids)) - before) / (total / 1e9))
        self.rates.append(rate / 1e6)
        self.trips.append(median(trips))
        self.p99.append(trips[int(len(trips) * 0.99)])

    def row(self, name: str) -> None:
        spread = f"{min(self.rates):.0f}-{max(self.rates):.0f}"
        print(
            f"  {name:32}{median(self.rates):8.0f}{median(self.trips):13.3f}{median(self.p99):8.2f}"
            f"{median(self.cpu):10.2f}     rounds {spread}"
        )


def screens(bench: Bench, source: str, round_trips: int = ROUND_TRIPS) -> None:
    ours, theirs, by_tls = Runs(), Runs(), Runs()
    with websockify(bench.vnc_socket(), bench.certificate) as bare:
        for _ in range(ROUNDS):
            once(bench.ours(), ours, lambda: [bench.web, bench.gateway], round_trips)
            once(bare.viewer(), theirs, bare.children, round_trips)
            once(bare.viewer(tls=True), by_tls, bare.children, round_trips)
    ours.row(f"{source}: ours")
    theirs.row(f"{source}: websockify")
    by_tls.row(f"{source}: websockify, TLS")
    ratio, added = median(ours.rates) / median(theirs.rates), median(ours.trips) - median(theirs.trips)
    print(f"  {source + ': ratio and added':32}{ratio:8.2f}{added:13.3f}   (goal >= 1.0, <= 1 ms)")


def once(viewer: Viewer, runs: Runs, pids: Callable[[], list[int]], round_trips: int) -> None:
    screen = Screen(viewer)
    runs.add(screen, pids(), round_trips)
    viewer.close()


@dataclass(frozen=True)
class Websockify:
    """Debian's, as it runs."""

    pid: int
    port: int

    def viewer(self, tls: bool = False) -> Viewer:
        return Viewer(self.port, "/websockify", {"Sec-WebSocket-Protocol": "binary"}, tls)

    def children(self) -> list[int]:
        """It makes a process for each viewer: the present one's, once those of the viewers before have ended."""
        until = time.monotonic() + 5
        listed: list[str] = []
        while len(listed) != 1:
            assert time.monotonic() < until, f"{len(listed)} viewers, not one"
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in listed]


@contextmanager
def websockify(target: Path, certificate: Path) -> Iterator[Websockify]:
    """On this machine, with and without TLS on one port."""
    port = port_pick(8690, set())
    words = ["websockify", f"127.0.0.1:{port}", "--unix-target", str(target), "--cert", str(certificate)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = Websockify(process.pid, port)
    try:
        for _ in range(100):
            with suppress(OSError):
                running.viewer().close()
                break
            time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait()


@contextmanager
def flood(bench: Bench) -> Iterator[None]:
    """A server that only sends, at the path where libvirt says that QEMU's is."""
    path = bench.vnc_socket()
    aside = path.with_suffix(".qemu")
    path.rename(aside)
    words = [sys.executable, "-m", "tests.benchmarks.console_flood", str(path), str(WIDTH), str(HEIGHT)]
    process = subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait()
        path.unlink(missing_ok=True)
        aside.rename(path)


# -- a browser that stops reading


async def stuck(bench: Bench) -> None:
    """One page asks for pictures and reads nothing; the others' round trips and all memory are looked at."""
    other = Screen(bench.ours())
    before_ms = median(other.round_trips_ms(ROUND_TRIPS))
    memory = {"web": memory_mib(bench.web), "gateway": memory_mib(bench.gateway)}
    page = Screen(bench.ours())
    for _ in range(2000):
        page.ask(WIDTH, HEIGHT)
    grown = dict.fromkeys(memory, 0.0)
    began, during = time.monotonic(), []
    while time.monotonic() - began < STUCK_S:
        during += other.round_trips_ms(50)
        grown["web"] = max(grown["web"], memory_mib(bench.web) - memory["web"])
        grown["gateway"] = max(grown["gateway"], memory_mib(bench.gateway) - memory["gateway"])
        await asyncio.sleep(0.3)
    page.viewer.close()
    print(
        f"a browser that stops reading while {2000 * WIDTH * HEIGHT * 4 / 1e9:.0f} GB are on their way, {STUCK_S:.0f} s"
    )
    for name, mib in grown.items():
        print(f"  memory of the {name:19}{mib:+8.1f} MiB at most   (goal <= +{STUCK_GOAL_MIB} MiB)")
    print(f"  another screen's round trip     {median(during):8.3f} ms, before {before_ms:.3f} ms")
    other.viewer.close()


# -- serial lines


def echoes(bench: Bench) -> None:
    """The echo of one letter: by virsh on a pty, ours on the same pty, and ours on a socket."""
    pty_vm = pty_vm_make(bench)
    by_virsh = virsh_echoes(bench)
    ours_pty = asyncio.run(our_echoes(bench, pty_vm))
    ours_socket = asyncio.run(our_echoes(bench, bench.vm["uuid"]))
    bench.stack.inside(HOST, "virsh", "destroy", PTY_VM)
    print(f"serial echo of a letter, {ECHOES} letters           p50 ms    p99 ms")
    for name, times in (
        ("virsh console, in a PTY", by_virsh),
        ("ours, the same VM's pty", ours_pty),
        ("ours, a VM of Stowage's (socket)", ours_socket),
    ):
        ordered = sorted(times)
        print(f"  {name:40}{median(ordered):8.2f}{ordered[int(len(ordered) * 0.99)]:10.2f}")


def pty_vm_make(bench: Bench) -> str:
    """A VM as somebody else would make it: its serial line is a pty. Its uuid, once Stowage has found it."""
    xml = ElementTree.fromstring(bench.stack.inside(HOST, "virsh", "dumpxml", "--inactive", SUBJECT))
    devices = xml.find("devices")
    assert devices is not None
    for tag in ("uuid", "metadata"):
        for element in xml.findall(tag):
            xml.remove(element)
    source = devices.find("disk/source")
    assert source is not None
    bench.stack.inside(HOST, "qemu-img", "convert", "-U", "-O", "qcow2", str(source.get("file")), PTY_DISK)
    source.set("file", PTY_DISK)
    for tag in ("serial", "console", "interface", "graphics", "channel"):
        for element in devices.findall(tag):
            devices.remove(element)
    ElementTree.SubElement(devices, "serial", type="pty")
    name = xml.find("name")
    assert name is not None
    name.text = PTY_VM
    path = bench.stack.data_dir / "lab/hosts" / HOST / "libvirt/bench-pty.xml"
    path.write_text(ElementTree.tostring(xml, encoding="unicode"))
    bench.stack.inside(HOST, "virsh", "create", "/var/lib/libvirt/bench-pty.xml")
    for _ in range(200):
        if (found := bench.person.workload(PTY_VM)) and found["state"] == "running":
            return str(found["uuid"])
        time.sleep(0.1)
    raise AssertionError("the VM was not found by Stowage")


def virsh_echoes(bench: Bench) -> list[float]:
    """Measured at a terminal inside the host, as an operator at its console would."""
    init = next(host["init_pid"] for host in bench.stack.lab["hosts"] if host["name"] == HOST)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    words = enter_command(init, ["virsh", "console", "--force", PTY_VM])
    environment = {**host_environment(), "TERM": "xterm"}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)

    def read(limit_s: float) -> bytes:
        return os.read(ours, 65536) if select.select([ours], [], [], limit_s)[0] else b""

    try:
        said, until = b"", time.monotonic() + 90
        while b"shell-42" not in said:
            assert time.monotonic() < until, said[-300:]
            os.write(ours, b"\r")
            said += read(1.0)
            if b"login: " in said[-100:]:
                os.write(ours, b"root\r")
                said += read(1.0)
            os.write(ours, b"echo shell-$((40+2))\r")
            said += read(1.0)
        drain_until_quiet(read)
        times = []
        for number in range(ECHOES):
            letter = b"qwzjk"[number % 5 : number % 5 + 1]
            began = time.perf_counter()
            os.write(ours, letter)
            while letter not in read(5.0):
                assert time.perf_counter() - began < 20
            times.append((time.perf_counter() - began) * 1000)
            if number % 50 == 49:
                os.write(ours, b"\x15")
                drain_until_quiet(read)
        return times
    finally:
        process.terminate()
        process.wait()
        os.close(ours)


def drain_until_quiet(read: Callable[[float], bytes]) -> None:
    while read(0.3):
        pass


async def our_echoes(bench: Bench, uuid: str) -> list[float]:
    console = await ConsoleSocket.open(bench.login, bench.login.ticket("serial", uuid))
    await console.message("opened")
    await shell_on(console)
    times = []
    for number in range(ECHOES):
        letter = "qwzjk"[number % 5]
        console.heard.stream.clear()
        began = time.perf_counter()
        await console.type(letter)
        await console.stream_has(letter)
        times.append((time.perf_counter() - began) * 1000)
        if number % 50 == 49:
            await console.type("\x15")
            await asyncio.sleep(0.5)
    await console.close()
    return times


async def shell_on(console: ConsoleSocket) -> None:
    """A shell of root's on the line."""
    for _ in range(90):
        before = len(console.heard.stream)
        await console.type("\x03\recho shell-$((40 + 2))\r")
        await asyncio.sleep(0.7)
        said = console.heard.stream[before:]
        if b"shell-42" in said:
            return
        if b"login: " in said:
            await console.type("root\r")
            await asyncio.sleep(0.7)
    raise AssertionError(bytes(console.heard.stream[-300:]))


# -- the end, and memory


async def closing(bench: Bench) -> None:
    """From the moment that a login is gone from the database to the closed socket."""
    times = []
    for _ in range(10):
        login = Login(bench.stack.url, bench.stack.username, bench.stack.password)
        console = await ConsoleSocket.open(login, login.ticket("serial", bench.vm["uuid"], view_only=True))
        await console.message("opened")
        await asyncio.sleep(0.1 * len(times) % 0.5)
        await asyncio.to_thread(login.log_out)
        began = time.monotonic()
        await console.until_closed()
        assert console.closed_at is not None
        times.append(console.closed_at - began)
    print(f"closed after a logout, 10 times: median {median(times):.2f} s, longest {max(times):.2f} s   (goal <= 1 s)")


async def idle(bench: Bench) -> None:
    """200 consoles that nobody uses: what each costs."""
    make = (
        "from django.contrib.auth.models import Group, User; group = Group.objects.get(name='operator'); "
        "[User.objects.create_user(f'bench-{n}', password='for-this-bench-only').groups.add(group) for n in range(8)]"
    )
    bench.stack.manage("shell", "-c", make)
    logins = [Login(bench.stack.url, f"bench-{n}", "for-this-bench-only") for n in range(8)]
    box = next(
        row
        for row in bench.person.get("/workloads?kind=container&limit=200")["items"]
        if row["host"] == HOST and row["state"] in ("running", "stopped", "crashed")
    )
    if box["state"] != "running":
        bench.person.done("POST", f"/workloads/{box['uuid']}/start")
    kinds = [("vnc", bench.vm["uuid"], 20), ("serial", bench.vm["uuid"], 60), ("attach", box["uuid"], 120)]
    print(f"{IDLE} idle consoles            MiB each: web   gateway")
    opened: list[ConsoleSocket] = []
    for kind, thing, count in kinds:
        before = memory_mib(bench.web), memory_mib(bench.gateway)
        for number in range(count):
            login = logins[(len(opened) + number) % len(logins)]
            more = {"view_only": True} if kind != "attach" else {}
            console = await ConsoleSocket.open(login, login.ticket(kind, thing, **more))
            await console.message("opened")
            opened.append(console)
        await asyncio.sleep(3)
        grown = memory_mib(bench.web) - before[0], memory_mib(bench.gateway) - before[1]
        print(f"  {count:4} {kind:20}{grown[0] / count:16.3f}{grown[1] / count:10.3f}")
    began = sum(map(cpu_seconds, (bench.web, bench.gateway)))
    await asyncio.sleep(10)
    used = sum(map(cpu_seconds, (bench.web, bench.gateway))) - began
    print(f"  all {len(opened)} of them, idle: {used * 10:.1f} % of a core, web and gateway together")
    for console in opened:
        await console.close()
