"""The whole of Stowage for lab and browser tests: `manage.py up` with a lab, in a data directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts.lab import seed_plan
from manage import EFFECT_MODULES

CHECKOUT = Path(__file__).resolve().parent.parent
PORT = 8600
# Where a failed run's logs are kept: the data directory itself is removed.
KEPT_LOGS = CHECKOUT / ".stowage" / "test-logs"
_START_LIMIT_S = 600.0
_ENROL_LIMIT_S = 240.0


@dataclass(frozen=True)
class Stack:
    """A running Stowage. `lab`: lab.json as it was when the lab became ready."""

    url: str
    username: str
    password: str
    data_dir: Path
    lab: dict[str, Any]
    pid: int

    @property
    def database(self) -> Path:
        return self.data_dir / "stowage.sqlite3"

    def manage(self, *words: str, limit_s: float = 120.0) -> str:
        """What a command of manage.py printed; it runs as the user that owns the database."""
        owner = self.database.stat()
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=CHECKOUT,
            env={**os.environ, "STOWAGE_DATA_DIR": str(self.data_dir), "HOME": str(self.data_dir)},
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[None]:
        """A command of manage.py that runs on beside the others, as `manage` runs one."""
        owner = self.database.stat()
        output = self.data_dir / f"{words[0]}-beside.out"
        with output.open("w") as opened:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=CHECKOUT,
                env={
                    **environment_clean(),
                    "STOWAGE_DATA_DIR": str(self.data_dir),
                    "HOME": str(self.data_dir),
                    **environment,
                },
                user=owner.st_uid,
                group=owner.st_gid,
                extra_groups=[],
                stdout=opened,
                stderr=opened,
            )
        try:
            yield
            assert process.poll() is None, output.read_text()
        finally:
            process.terminate()
            process.wait(30)

    def pid_of(self, part: str) -> int:
        """The process of an embedded part, as the supervisor has started it last."""
        return int(json.loads((self.data_dir / "run" / f"{part}.json").read_text())["pid"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of Stowage's database, read only; for what no page tells."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(query).fetchall()

    def inside(self, host: str, *words: str, limit_s: float = 60.0) -> str:
        """What a command printed that ran inside a lab host, behind the dashboard's back."""
        lab = [sys.executable, "-m", "hosts.lab", "--data-dir", str(self.data_dir / "lab"), "--enter", host]
        done = subprocess.run(
            [*lab, "--", *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=limit_s, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def environment_clean() -> dict[str, str]:
    """Our environment without settings of Stowage: those of `python -m tests.run` among them."""
    own = ("STOWAGE_", "DJANGO_", "SECRET_KEY", "CREDENTIALS_KEY")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


@contextmanager
def stack_run(lab_hosts: int) -> Iterator[Stack]:
    """A running stack whose hosts are enrolled; taken down afterwards, whatever happened. Blocks up to minutes."""
    data_dir = Path(tempfile.mkdtemp(prefix="stowage-test-"))
    data_dir.chmod(0o755)  # the service user must get in
    output = data_dir / "up.out"
    environment = environment_clean()
    if cache := os.environ.get("STOWAGE_CACHE_DIR"):
        environment["STOWAGE_CACHE_DIR"] = cache
    environment["STOWAGE_LAB_EFFECTS"] = ",".join([*EFFECT_MODULES, "tests.lab.faults.failpoints"])
    words = ["up", "--lab", str(lab_hosts), "--port", str(PORT), "--data-dir", str(data_dir)]
    with output.open("w") as opened:
        supervisor = subprocess.Popen(
            [sys.executable, "manage.py", *words], cwd=CHECKOUT, env=environment, stdout=opened, stderr=opened
        )
    try:
        _wait_ready(supervisor, output)
        stack = _read(data_dir, supervisor.pid)
        _wait_enrolled(stack)
        _wait_adopted(stack)
        yield stack
    finally:
        _take_down(supervisor, data_dir)


def _wait_ready(supervisor: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + _START_LIMIT_S
    while "Ready after" not in output.read_text():
        assert supervisor.poll() is None, f"Stowage did not start:\n{output.read_text()}"
        assert time.monotonic() < until, f"Stowage was not ready in time:\n{output.read_text()}"
        time.sleep(0.2)


def _read(data_dir: Path, pid: int) -> Stack:
    environment = dict(line.split("=", 1) for line in (data_dir / "env").read_text().splitlines() if "=" in line)
    return Stack(
        url=f"http://localhost:{environment['STOWAGE_PORT']}",
        username="admin",
        password=(data_dir / "first-login").read_text().strip(),
        data_dir=data_dir,
        lab=json.loads((data_dir / "lab" / "lab.json").read_text()),
        pid=pid,
    )


def _wait_enrolled(stack: Stack) -> None:
    until = time.monotonic() + _ENROL_LIMIT_S
    states = []
    while time.monotonic() < until:
        states = stack.rows("select name, lifecycle from hosts_host order by name")
        if states and all(lifecycle == "enrolled" for _, lifecycle in states):
            return
        time.sleep(0.5)
    raise AssertionError(f"The lab's hosts were not enrolled in {_ENROL_LIMIT_S:.0f} s: {states}")


def _wait_adopted(stack: Stack) -> None:
    """What the lab began with is seen to run: a test that compares before and after must not begin in between."""
    wanted = {seeded.name for seeded in (*seed_plan.VMS, *seed_plan.CONTAINERS)}
    until = time.monotonic() + _ENROL_LIMIT_S
    lacking = wanted
    while lacking and time.monotonic() < until:
        lacking = wanted - {
            name for (name,) in stack.rows("select name from workloads_workload where state = 'running'")
        }
        time.sleep(0.2)
    assert not lacking, f"These workloads of the lab were not seen to run in {_ENROL_LIMIT_S:.0f} s: {lacking}"


def _take_down(supervisor: subprocess.Popen[bytes], data_dir: Path) -> None:
    supervisor.send_signal(signal.SIGINT)
    try:
        supervisor.wait(120)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    words = ["down", "--data-dir", str(data_dir)]
    subprocess.run([sys.executable, "manage.py", *words], cwd=CHECKOUT, check=False, capture_output=True)
    _keep_logs(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)


def _keep_logs(data_dir: Path) -> None:
    shutil.rmtree(KEPT_LOGS, ignore_errors=True)
    KEPT_LOGS.mkdir(parents=True, exist_ok=True)
    logs = [data_dir / "up.out", *data_dir.glob("logs/*"), *data_dir.glob("lab/log/*")]
    for log in [*logs, *data_dir.glob("lab/hosts/*/log/*.log")]:
        if log.is_file():
            shutil.copyfile(log, KEPT_LOGS / "-".join(log.relative_to(data_dir).parts))
