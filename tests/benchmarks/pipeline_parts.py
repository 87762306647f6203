"""Redis, VictoriaMetrics and the collector for benchmarks of the pipeline: real ones, on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis

from datacenter.run.layout import Layout
from datacenter.run.parts import metrics_spec
from tests.stack import CHECKOUT

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Parts:
    """Where the parts are, and their processes."""

    redis_url: str
    metrics_url: str
    folder: Path
    redis_pid: int
    metrics_pid: int

    @property
    def environment(self) -> dict[str, str]:
        """For processes of Stowage that are to use these parts."""
        return {**os.environ, "REDIS_URL": self.redis_url, "METRICS_URL": self.metrics_url} | {
            "METRICS_LONG_URL": self.metrics_url,
            "PLANE_BROKER_USERS": "0",
        }

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, socket_timeout=30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def process(words: list[str], environment: dict[str, str] | None = None, log: Path | None = None) -> Iterator[int]:
    """A process for as long as the block lasts; its pid."""
    with (log or Path(os.devnull)).open("ab") as out:
        running = subprocess.Popen(words, env=environment, stdout=out, stderr=out, cwd=CHECKOUT)
    try:
        yield running.pid
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for(is_so: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until, f"not in {limit_s:.0f} s: {what}"
        time.sleep(0.05)


@contextmanager
def parts_run() -> Iterator[Parts]:
    """The broker and the store, as the run command starts them but for their passwords."""
    folder = Path(tempfile.mkdtemp(prefix="stowage-bench-pipeline-"))
    redis_port, metrics_port = free_port(), free_port()
    broker = ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
    spec = metrics_spec(Layout(folder), "raw", metrics_port, "unused")
    try:
        with ExitStack() as stack:
            redis_pid = stack.enter_context(process([*broker, "--dir", str(folder)]))
            metrics_pid = stack.enter_context(process(list(spec.command), log=folder / "metrics.log"))
            parts = Parts(
                f"redis://127.0.0.1:{redis_port}/0", f"http://127.0.0.1:{metrics_port}", folder, redis_pid, metrics_pid
            )
            wait_for(lambda: _answers(lambda: parts.client.ping()), "Redis answers")
            wait_for(
                lambda: _answers(lambda: httpx.get(f"{parts.metrics_url}/health").raise_for_status()),
                "the store answers",
            )
            yield parts
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (redis.RedisError, httpx.HTTPError):
        return False
    return True


def cpu_s(pid: int) -> float:
    """CPU seconds that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mib(pid: int) -> float:
    """What the process has resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def manage(*words: str) -> list[str]:
    return [sys.executable, str(CHECKOUT / "manage.py"), *words]
