from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hosts.broker_users import url_with_user, user_ensure
from hosts.models import Plane
from hosts.plane.app import make_app
from hosts.plane.watched import KEY as WATCHED_KEY
from hosts.plane.watched import note_of
from hosts.signing import signing_key
from tests.hosts.plane.commands import command
from tests.hosts.plane.control_peer import ControlPeer
from tests.hosts.plane.redis_peer import RedisPeer

LIMIT_S = 50.0  # on a machine that does other work too; the suite's own limit for a test is a little more
ROOT = Path(__file__).resolve().parents[3]
# kombu itself takes a class from django.utils where Django happens to be installed; no more than that.
HEAVY = (
    "django.conf",
    "django.apps",
    "django.db",
    "workloads.models",
    "hosts.models",
    "numpy",
    "numba",
    "ortools",
    "highspy",
    "channels",
    "ninja",
)


class HostdBench:
    """A real hostd process with a real Redis and a small control plane around it."""

    def __init__(self, folder: Path, redis_peer: RedisPeer) -> None:
        self.folder = folder
        self.redis = redis_peer
        self.control = ControlPeer()
        self.app = make_app(redis_peer.url)
        (folder / "pool").mkdir()
        config = {
            "name": "alpha",
            "site": "lab",
            "control_url": self.control.url,
            "token_file": str(folder / "token"),
            "state_dir": str(folder / "state"),
            "libvirt_uri": "",
            "docker_url": "",
            "pools": [{"name": "local", "path": str(folder / "pool")}],
        }
        (folder / "hostd.json").write_text(json.dumps(config))
        self.log = folder / "hostd.log"
        self.process: subprocess.Popen[bytes] | None = None

    def enrol(self, kind: str = "host", name: str = "alpha") -> None:
        self.plane = Plane(kind=kind, name=name, token_sha256=signing_key("tok"))
        self.let_in()
        url = url_with_user(self.redis.url, self.plane)
        self.control.planes["tok"] = {"name": name, "kind": kind, "site": "lab", "broker_url": url}
        (self.folder / "token").write_text("tok\n")

    def let_in(self) -> None:
        """The broker knows the plane's user, as the control plane sees to; a Redis that starts anew has forgotten."""
        user_ensure(self.redis.client, self.plane)

    def start(self, *options: str) -> None:
        effects = "hosts.plane.host_effects,tests.hosts.plane.slow_effects"
        arguments = ["--config", str(self.folder / "hostd.json"), "--effects", effects, *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hosts.plane.hostd", *arguments], cwd=ROOT, stdout=log, stderr=log
            )

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.control.close()

    def send(self, lane: str, effect: str, **changes: Any) -> None:
        now = time.time()
        fresh = {"deadline_at": now + 30, "sent_at": now, "subject": None, "operation": f"{effect} {now}"}
        sent = command(effect, **(fresh | changes))
        self.app.send_task("hosts.effect", kwargs={"command": sent}, queue=f"host.alpha.{lane}")

    def children(self) -> list[int]:
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def said(self, words: str) -> bool:
        return words in self.log.read_text()


@pytest.fixture
def bench(tmp_path: Path, redis_peer: RedisPeer) -> Iterator[HostdBench]:
    bench = HostdBench(tmp_path, redis_peer)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostdBench]:
    """An enrolled hostd that several tests share, for a boot takes a second or two."""
    folder = tmp_path_factory.mktemp("hostd")
    redis_peer = RedisPeer(folder)
    redis_peer.start()
    bench = HostdBench(folder, redis_peer)
    bench.enrol()
    bench.start()
    yield bench
    bench.close()
    redis_peer.kill()


def is_alive(pid: int) -> bool:
    """Whether the process still does anything; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(is_so: Callable[[], Any], seconds: float = LIMIT_S) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := is_so():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to that in time")


def test_both_lanes_report_and_the_parent_samples_and_observes(working: HostdBench) -> None:
    for lane in ("short", "long"):
        working.send(lane, "host.ping")
        report = working.redis.report_next(LIMIT_S)
        assert report is not None and report["state"] == "done"

    observed = wait_for(lambda: working.redis.client.xrevrange("stowage.observed", count=1))
    assert json.loads(observed[0][1][b"data"])["host"] == "alpha"
    sample = wait_for(lambda: working.redis.client.xrevrange("stowage.samples", count=1))
    assert json.loads(sample[0][1][b"data"])["host_sample"]["memory_capacity_mib"] > 0


def test_a_watched_host_is_sampled_more_often_and_observed_as_before(working: HostdBench) -> None:
    redis = working.redis.client
    redis.set(WATCHED_KEY + "alpha", note_of(True, set()))

    wait_for(lambda: redis.xlen("stowage.samples") >= redis.xlen("stowage.observed") + 4)

    assert all(not json.loads(fields[b"data"])["workloads"] for _, fields in redis.xrange("stowage.samples"))


def test_an_abort_in_the_short_lane_stops_a_step_in_the_long_lane(working: HostdBench) -> None:
    working.send("long", "test.slow", operation="aborted")
    wait_for(lambda: working.redis.task_next("control"))

    abort = {"operation": "aborted", "step": "first"}
    working.app.send_task("hosts.abort", kwargs={"command": abort}, queue="host.alpha.short")

    report = working.redis.report_next(10)
    assert report is not None and report["error"]["message"] == "The step was cancelled while it ran."


def test_a_killed_lane_comes_back_and_the_step_runs_again_when_sent_again(working: HostdBench) -> None:
    working.send("long", "test.slow", operation="killed")
    wait_for(lambda: working.redis.task_next("control"))

    for pid in working.children():
        os.kill(pid, signal.SIGKILL)
    # A message that reaches the dying process is lost with it, which is the sweep's business to notice.
    wait_for(lambda: working.said("lane long ended with -9") and working.said("lane short ended with -9"))
    working.send("long", "test.slow", operation="killed", attempt=2, arguments={"seconds": 0})

    report = working.redis.report_next(LIMIT_S)
    assert report is not None and (report["state"], report["attempt"]) == ("done", 2)


def test_a_report_made_while_redis_was_down_arrives_when_it_is_back(working: HostdBench) -> None:
    working.send("short", "test.slow", arguments={"seconds": 0.5})
    wait_for(lambda: working.redis.task_next("control"))

    working.redis.kill()
    wait_for(lambda: working.said("reports are kept"))
    working.redis.start()
    assert working.redis.client.acl_users() == ["default"], "the broker has forgotten everybody"
    working.let_in()

    report = working.redis.report_next(LIMIT_S)
    assert report is not None and report["state"] == "done"


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "host.beta.short"),
        ("BRPOP", "host.beta.short", 1),
        ("LPUSH", "host.beta.short", "forged"),
        ("LRANGE", "control", 0, -1),
        ("RPOP", "control"),
        ("XREVRANGE", "stowage.observed", "+", "-"),
        ("XREAD", "STREAMS", "stowage.samples", "0"),
        ("XADD", "stowage.power", "*", "data", "forged"),
        ("SADD", "_kombu.binding.control", "forged"),
        ("HGETALL", "unacked"),
        ("HGET", "stowage.latest", "host:x"),
        ("EVAL", "return redis.call('GET', 'host.beta.short')", 0),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("PUBLISH", "asgi", "forged"),
        ("SHUTDOWN",),
    ],
    ids=lambda command: " ".join(str(word) for word in command[:2]),
)
def test_a_plane_reaches_nothing_at_the_broker_but_its_own(working: HostdBench, command: tuple[object, ...]) -> None:
    """attacks.md S35: what a host that was taken over would try with its plane's password."""
    thief = redis.Redis.from_url(url_with_user(working.redis.url, working.plane), socket_timeout=5)

    with pytest.raises(redis.ResponseError, match=r"permission|can't access"):
        thief.execute_command(*command)

    assert working.redis.client.ping()


def test_a_plane_waits_until_it_is_enrolled_and_its_lanes_die_with_it(bench: HostdBench) -> None:
    bench.start()
    wait_for(lambda: bench.said("token file"))
    assert bench.children() == []

    bench.enrol()
    children = wait_for(lambda: len(bench.children()) == 3 and bench.children())
    assert bench.process is not None
    bench.process.kill()
    bench.process.wait()

    wait_for(lambda: not any(is_alive(pid) for pid in children))


def test_a_site_plane_works_on_its_one_queue_until_it_is_told_to_stop(bench: HostdBench) -> None:
    bench.enrol(kind="site", name="lab")
    bench.start("--site", "lab")
    now = time.time()
    sent = command("host.ping", subject=None, deadline_at=now + 30, sent_at=now)
    bench.app.send_task("hosts.effect", kwargs={"command": sent}, queue="site.lab")

    report = bench.redis.report_next(LIMIT_S)
    assert report is not None and report["plane"] == "lab"
    children = bench.children()
    assert len(children) == 1 and bench.process is not None

    bench.process.terminate()
    assert bench.process.wait(15) == 0
    assert not Path(f"/proc/{children[0]}").exists()


def test_a_token_of_another_plane_lets_nobody_in(bench: HostdBench) -> None:
    bench.enrol(name="beta")
    bench.start()

    wait_for(lambda: bench.said("the token belongs to the host beta"))
    assert bench.children() == []


def test_a_configuration_that_cannot_be_read_ends_with_a_sentence(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "hosts.plane.hostd", "--config", str(tmp_path / "none")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert run.returncode == 2
    assert "cannot be read" in run.stderr


def test_hostd_and_its_lanes_import_nothing_of_the_control_plane() -> None:
    program = (
        "import json, sys\n"
        "import manage\n"
        "import hosts.plane.hostd, hosts.plane.lane, hosts.plane.watch\n"
        "from hosts.plane.effects import effects_load\n"
        "effects_load(manage.EFFECT_MODULES)\n"
        "import hosts.drivers.libvirt_host, hosts.drivers.docker_host, hosts.drivers.netlink\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    environment = dict(os.environ, DJANGO_SETTINGS_MODULE="datacenter.settings")
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )

    assert set(json.loads(run.stdout)) & set(HEAVY) == set()
