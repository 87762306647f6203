"""The supervisor: starts the embedded parts in order, keeps them running, and stops what it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType

from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.part import Part, PartSpec, ending, log_open, spawn
from datacenter.run.pids import PidBook
from datacenter.run.service_user import ServiceUser
from hosts.errors import Refused

_TICK_S = 0.1
# A part that dies this often before it answers once will not come up.
_TRIES = 4


class StopAsked(Exception):
    """Somebody asked the run to end (Ctrl-C, `make down`); never shown."""


def say(text: str) -> None:
    """One line to the operator's terminal; a terminal that was closed is no reason to stop badly."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


class Supervisor:
    """The parts of one run. `tend` must be called often; every wait here does so."""

    def __init__(self, layout: Layout, user: ServiceUser) -> None:
        self._layout = layout
        self._user = user
        self._book = PidBook(layout.run)
        self._parts: list[Part] = []
        self._job: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1

    # -- starting -------------------------------------------------------------------------------------

    def start(self, spec: PartSpec) -> Part:
        """Starts a part and keeps it running from now on. Raises Refused when its program is not there."""
        part = Part(spec, self._user, self._layout, self._book)
        try:
            part.start()
        except FileNotFoundError as error:
            raise Refused(f"The program {spec.command[0]} is missing: run `make up`, which installs it.") from error
        self._parts.append(part)
        return part

    def wait_for(self, part: Part, answers: Callable[[], bool], limit_s: float) -> None:
        """Returns when the part answers. Raises Refused after `limit_s`, or when it keeps dying; StopAsked."""
        until = time.monotonic() + limit_s
        while not answers():
            self.tend()
            if part.deaths >= _TRIES or time.monotonic() > until:
                raise Refused(f"{part.spec.name} does not come up. {part.last_words()}")
            time.sleep(_TICK_S)

    def run_job(self, name: str, words: Iterable[str], limit_s: float = 600.0) -> str:
        """What a command of manage.py printed, once it ended well; it runs as the service user.

        Parts are tended meanwhile. Raises Refused with the last line of its log, StopAsked.
        """
        spec = PartSpec(name, (sys.executable, str(CHECKOUT / "manage.py"), *words))
        log = self._layout.logs / f"{name}.log"
        errors = log_open(log, self._user)
        reading, writing = os.pipe()
        try:
            self._job = spawn(spec, self._user, self._layout, writing, errors)
        finally:
            os.close(writing)
            os.close(errors)
        try:
            with os.fdopen(reading, "rb") as output:
                os.set_blocking(output.fileno(), False)
                printed = self._job_output(output.fileno(), time.monotonic() + limit_s)
            if self._job.returncode != 0:
                last = Part(spec, self._user, self._layout, self._book).last_words()
                raise Refused(f"`manage.py {name}` failed ({ending(self._job.returncode)}). {last}")
        finally:
            self._job_end()
        return printed

    def _job_output(self, descriptor: int, until: float) -> str:
        assert self._job is not None
        printed = b""
        while True:
            ended = self._job.poll() is not None  # asked before reading: what it wrote last is still read
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(descriptor, 65536):
                    printed += chunk
            if ended:
                return printed.decode()
            if time.monotonic() > until:
                raise Refused("A command took too long; see the logs.")
            self.tend()
            time.sleep(_TICK_S / 2)

    def _job_end(self) -> None:
        if self._job is not None and self._job.poll() is None:
            self._job.terminate()
            try:
                self._job.wait(10)
            except subprocess.TimeoutExpired:
                self._job.kill()
                self._job.wait()
        self._job = None

    # -- running --------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Starts again what died, and says so. Raises StopAsked when the run is to end."""
        if self._asked:
            raise StopAsked
        now = time.monotonic()
        for part in self._parts:
            sentence = part.tend(now)
            if sentence:
                say(sentence)

    def tend_for_ever(self) -> None:
        """Keeps the parts running until StopAsked."""
        while True:
            self.tend()
            time.sleep(_TICK_S)

    # -- stopping -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ends every part that was started, wave by wave from the last; a second Ctrl-C shortens the patience."""
        asked_before = self._asked
        for wave in sorted({part.spec.wave for part in self._parts}, reverse=True):
            parts = [part for part in self._parts if part.spec.wave == wave]
            for part in parts:
                part.ask_to_end()
            began = time.monotonic()
            for part in reversed(parts):
                until = began + (0.0 if self._asked > asked_before else part.spec.patience_s)
                if part.end(until):
                    say(f"{part.spec.name} did not end by itself and was killed.")
        self._parts.clear()
