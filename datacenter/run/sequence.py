"""One run of Stowage: what is started after what, from the last run's leftovers to the stop."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from datacenter.run.answers import http_answers, redis_answers, redis_bind
from datacenter.run.env_file import env_read, env_write, secrets_made
from datacenter.run.lab import LabFile, lab_clean, lab_file_read, tokens_write
from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.parts import (
    Ports,
    addresses,
    lab_spec,
    metrics_spec,
    ports_pick,
    redis_spec,
    web_spec,
    worker_specs,
)
from datacenter.run.pids import PidBook, process_end
from datacenter.run.service_user import ServiceUser
from datacenter.run.stamps import Stamp, digest_of
from datacenter.run.subnets import networks_used, subnet_pick
from datacenter.run.supervisor import StopAsked, Supervisor, say
from hosts.errors import Refused, StowageError
from hosts.lab.prerequisites import missing as lab_lacks

_STORE_LIMIT_S = 60.0
_WEB_LIMIT_S = 60.0
# The first start builds the lab's images.
_LAB_LIMIT_S = 900.0


class Run:
    """One run. `lab_hosts` 0: without the lab."""

    def __init__(self, layout: Layout, user: ServiceUser, port: int, lab_hosts: int, open_lab_address: bool) -> None:
        self._layout = layout
        self._user = user
        self._port = port
        self._lab_hosts = lab_hosts
        self._open_lab_address = open_lab_address
        self._book = PidBook(layout.run)
        self._supervisor = Supervisor(layout, user)
        self._began = time.monotonic()

    def run(self) -> int:
        """Exit status: 0 when it was asked to stop, 1 when something would not come up. Blocks until then."""
        self._supervisor.catch_signals()
        leftovers_end(self._layout, self._book)
        self._book.record("supervisor", os.getpid())
        status = 0
        try:
            self._start()
            self._supervisor.tend_for_ever()
        except StopAsked:
            say("Stopping ...")
        except StowageError as error:
            say(error.message)
            status = 1
        finally:
            self._supervisor.stop()
            self._book.forget("supervisor")
        say("Stopped.")
        return status

    def _start(self) -> None:
        if self._lab_hosts and (lacking := lab_lacks()):
            raise Refused(" ".join(["The lab cannot run here.", *lacking, "Without it: make up LAB=0."]))
        secrets = secrets_made(env_read(self._layout.env))
        ports = ports_pick(self._port, os.environ)
        if ports.dashboard != self._port:
            say(f"Port {self._port} is in use; taking {ports.dashboard}.")
        subnet = self._subnet_pick() if self._lab_hosts else None
        switch = str(subnet[1]) if subnet else None
        found = addresses(secrets, ports, switch, os.environ)
        env_write(self._layout.env, {**secrets, **found}, self._user)
        self._start_stores(ports, secrets, switch, {**found, **os.environ})
        self._prepare_data()
        self._start_dashboard(ports.dashboard, switch)
        for spec in worker_specs():
            self._supervisor.start(spec)
        if subnet and switch:
            self._start_lab(str(subnet), switch, ports, found)
        say(f"Ready after {time.monotonic() - self._began:.0f} s. Ctrl-C stops everything.")

    def _subnet_pick(self) -> IPv4Network:
        last = lab_file_read(self._layout)
        return subnet_pick(last.subnet if last else None, networks_used())

    def _start_stores(
        self, ports: Ports, secrets: Mapping[str, str], switch: str | None, known: Mapping[str, str]
    ) -> None:
        start, wait_for = self._supervisor.start, self._supervisor.wait_for
        waiting = []
        if ports.redis:
            redis = start(redis_spec(self._layout, ports.redis, secrets["REDIS_PASSWORD"], switch, self._user))
            waiting.append((redis, lambda: redis_answers(known["REDIS_URL"])))
        for which, port in (("raw", ports.metrics_raw), ("long", ports.metrics_long)):
            if port:
                url = known["METRICS_URL" if which == "raw" else "METRICS_LONG_URL"]
                store = start(metrics_spec(self._layout, which, port, secrets["METRICS_PASSWORD"]))
                waiting.append((store, lambda url=url: http_answers(url, "/health")))
        for part, answers in waiting:
            wait_for(part, answers, _STORE_LIMIT_S)

    def _prepare_data(self) -> None:
        self._supervisor.run_job("migrate", ["migrate", "--no-input", "--verbosity=0"])
        digest = digest_of(
            [CHECKOUT / "static", CHECKOUT / "package-lock.json", CHECKOUT / "requirements.txt"]
            + [CHECKOUT / "datacenter" / name for name in ("npm.py", "static_files.py")]
        )
        stamp = Stamp(self._layout.run, "static-files")
        if not (stamp.is_set(digest) and (self._layout.data_dir / "static").exists()):
            stamp.clear()
            self._supervisor.run_job("collectstatic", ["collectstatic", "--no-input", "--clear", "--verbosity=0"])
            stamp.set(digest)

    def _start_dashboard(self, port: int, switch: str | None) -> None:
        password = self._supervisor.run_job("first_login", ["first_login"]).strip()
        web = self._supervisor.start(web_spec(port, switch, self._open_lab_address))
        self._supervisor.wait_for(web, lambda: http_answers(f"http://127.0.0.1:{port}", "/login/"), _WEB_LIMIT_S)
        say(f"Stowage is at http://localhost:{port}")
        if password:
            say(f"First login: user admin, password {password}  (shown here until it is changed)")

    def _start_lab(self, subnet: str, switch: str, ports: Ports, found: Mapping[str, str]) -> None:
        say(f"The lab is starting (hosts: {self._lab_hosts}); they appear on the page as they are enrolled.")
        cache_dir = Path(os.environ.get("STOWAGE_CACHE_DIR") or "/var/cache/stowage")
        part = self._supervisor.start(
            lab_spec(self._layout, self._lab_hosts, subnet, ports.dashboard, self._user, cache_dir)
        )
        lab: list[LabFile] = []

        def is_ready() -> bool:
            read = lab_file_read(self._layout)
            if read is not None and read.ready and read.supervisor_pid == part.pid:
                lab[:] = [read]
            return bool(lab)

        self._supervisor.wait_for(part, is_ready, _LAB_LIMIT_S)
        if ports.redis and not redis_bind(found["REDIS_URL"], ["127.0.0.1", switch]):
            raise Refused(f"Redis would not listen on the lab's address {switch}: see {self._layout.logs}/redis.log.")
        printed = self._supervisor.run_job("enrol_lab", ["enrol_lab", str(lab[0].path)])
        tokens_write(lab[0], printed, self._user)


def leftovers_end(layout: Layout, book: PidBook) -> None:
    """Ends what a run that was killed left: its parts, known by pid and start time, and its lab."""
    for name, process in book.running().items():
        process_end(process, patience_s=10.0)
        book.forget(name)
        say(f"Ended {name} (pid {process.pid}), left by an earlier run.")
    for sentence in lab_clean(layout):
        say(sentence)
