"""A whole Stowage in one thread: the engine, a broker that is a list, and planes over a data center in memory.

Time stands still unless the harness moves it, and every message can be lost, doubled or answered falsely.
"""

from __future__ import annotations

import struct
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from hosts.blobs import blob_keep
from hosts.drivers.fake import FakeDataCenter, FakeFile
from hosts.errors import Refused, Rejected, Unreachable, error_to_data
from hosts.models import Operation
from hosts.operations.journal import from_wire_name
from hosts.operations.queues import plane_of
from hosts.operations.runner import ACTIVE, Engine
from hosts.plane.config import PlaneConfig
from hosts.plane.context import PlaneContext, context_for_trial
from hosts.plane.effects import abort, effects_load, execute
from hosts.units import GIB
from workloads.drivers.base import DescribedDisk
from workloads.drivers.fake import FakeVolumes, fake_drivers
from workloads.drivers.specs import DiskSpec, ImageSource

effects_load(
    [
        "hosts.plane.host_effects",
        "hosts.plane.power_effects",
        "workloads.effects.vm",
        "workloads.effects.vm_backups",
        "workloads.effects.migrate",
        "workloads.effects.container",
        "workloads.effects.image_arrival",
        "workloads.effects.measuring",
        "workloads.effects.pool_file",
    ]
)
Mode = Literal["before", "after", "refused", "reply lost", "silent"]
SWEEPS_MOST = 400


class Crash(BaseException):
    """The runner's process dies."""


@dataclass
class Trouble:
    """What goes wrong at a step: how often, and whether in doing or undoing it."""

    step: str
    mode: Mode
    times: int = 1
    direction: str = "do"


class FakeLinks:
    """The bridges of one fake host."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self._host = world.hosts[host]

    def bridge_ensure(self, name: str, mtu: int | None = None) -> bool:
        made = name not in self._host.bridges
        self._host.bridges.add(name)
        return made

    def bridge_remove(self, name: str) -> bool:
        self._host.bridges.discard(name)
        return True

    def list_links(self) -> list[Any]:
        return []


class HarnessVolumes(FakeVolumes):
    """Volumes whose image cache is a folder of the test."""

    cache: Path

    def image_path(self, source: ImageSource) -> str:
        return str(self.cache / f"{source.image}.{source.format}")

    def image_inspect(self, path: str, image_format: str) -> int:
        return 1

    def ensure(self, disk: DiskSpec, vm_uuid: str, image_path: str | None, running: Any = None) -> bool:
        if image_path:
            self.host.files.setdefault(image_path, FakeFile("image", 1))
        return super().ensure(disk, vm_uuid, image_path, running)

    def flatten(self, source: DescribedDisk, target: Path, running: Any = None) -> None:
        target.write_bytes(qcow2_header(self.host.files_for(source.path)[source.path].size_bytes))

    def image_accept(self, file: Path, image_format: str, made: Path, running: Any) -> Path:
        made.write_bytes(qcow2_header(GIB))
        return made


def qcow2_header(size_bytes: int) -> bytes:
    """The first bytes of an empty image of that size."""
    return struct.pack(">4sIQIIQIIQQIIQQ", b"QFI\xfb", 2, 0, 0, 16, size_bytes, 0, 0, 0, 0, 0, 0, 0, 0)


class FakeControl:
    """The control plane's HTTP door as a plane sees it."""

    def secret(self, path: str) -> str:
        return '{"user-data": "#cloud-config"}' if path.endswith("/seed") else "bmc-password"

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Any = None) -> None:
        operation, step = path.split("/")[-2:]
        blob_keep(UUID(operation), step, chunks)

    def blob_fetch(self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Any = None) -> None:
        self.image_fetch(path, sha256, size_bytes, target)

    def image_fetch(self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"x")


@dataclass
class PlaneSink:
    """Reports go to the harness's queue; a plane keeps those that got lost and repeats them when asked again."""

    messages: deque[tuple[Any, ...]]

    def report(self, ticket: str, report: dict[str, Any]) -> None:
        self.messages.append(("report", report))

    def progress(self, progress: dict[str, Any]) -> None:
        self.messages.append(("progress", progress))


@dataclass
class Harness:
    """`run(operation)` carries an operation to its end, through whatever trouble was ordered."""

    world: FakeDataCenter
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    messages: deque[tuple[Any, ...]] = field(default_factory=deque)
    troubles: list[Trouble] = field(default_factory=list)
    twice: bool = False  # every command and every report is delivered twice
    on_write: Callable[[str], None] = lambda _when: None
    before_message: Callable[[Harness], None] = lambda _harness: None
    answers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # effect: plane: output
    effects: list[tuple[str, str, str]] = field(default_factory=list)  # (plane, effect, direction) as executed
    watch: Callable[[], None] = lambda: None
    _planes: dict[str, PlaneContext] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # goes with the harness: each saga's trials make hundreds
        self._temporary = tempfile.TemporaryDirectory(prefix="stowage-harness-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)

    def plane(self, key: str) -> PlaneContext:
        """The plane "host.NAME" or "site.NAME", made when it is first asked for: most trials need one or two."""
        if key not in self._planes:
            kind, _, name = key.partition(".")
            self._planes[key] = self._site_plane(name) if kind == "site" else self._host_plane(name)
        return self._planes[key]

    def _site_plane(self, name: str) -> PlaneContext:
        config = PlaneConfig(name=name, kind="site", site=name, state_dir=str(self._folder / "site"))
        drivers = fake_drivers(self.world, next(iter(self.world.hosts)))
        return self._context(name, config, {"bmc": drivers["bmc"]})

    def _host_plane(self, name: str) -> PlaneContext:
        config = PlaneConfig(name=name, state_dir=str(self._folder / name), image_cache=str(self._folder / "cache"))
        volumes = HarnessVolumes(self.world, name)
        volumes.cache = self._folder / name / "images"
        drivers = fake_drivers(self.world, name) | {"volumes": volumes, "netlink": FakeLinks(self.world, name)}
        return self._context(name, config, drivers)

    def _context(self, name: str, config: PlaneConfig, drivers: dict[str, object]) -> PlaneContext:
        context = context_for_trial(
            name,
            directory=self._folder / f"{config.kind}-{name}",
            drivers=drivers,
            control=FakeControl(),  # type: ignore[arg-type]
            sink=PlaneSink(self.messages),
            clock=lambda: self.now.timestamp(),
            config=config,
        )
        context.power_poll_s = 0.0
        return context

    # --- the engine's transport

    def ring(self, operation_id: str, delay_s: float = 0.0) -> None:
        if not delay_s:
            self.messages.append(("ring", operation_id))

    def send(self, queue: str, command: dict[str, Any]) -> None:
        self.messages.append(("command", queue, command))

    def abort(self, queue: str, operation_id: str, step: str) -> None:
        self.messages.append(("abort", queue, {"operation": operation_id, "step": step}))

    def engine(self) -> Engine:
        return Engine(self, lambda: self.now, pause_s=lambda tries: min(60.0, 2.0**tries), on_write=self.on_write)

    # --- running

    def run(self, operation: Operation) -> Operation:
        """Delivers messages and lets time pass until the operation rests; every crash is followed by a sweep."""
        self.ring(str(operation.pk))
        quiet_s = 16.0
        for _ in range(SWEEPS_MOST):
            quiet_s = 16.0 if self._deliver_all() else min(240.0, quiet_s * 2)
            operation.refresh_from_db()
            if operation.state not in ACTIVE:
                return operation
            self.now += timedelta(seconds=quiet_s)
            self._guarded(self.engine().sweep)
        raise AssertionError(f"{operation} did not end: {operation.state} {operation.progress_text}")

    def _deliver_all(self) -> int:
        """How many messages there were."""
        for count in range(2000):
            if not self.messages:
                return count
            self.before_message(self)
            self._guarded(self._deliver, *self.messages.popleft())
            self.watch()
        raise AssertionError("messages without end")

    @staticmethod
    def _guarded(act: Callable[..., Any], *arguments: Any) -> None:
        with suppress(Crash):  # the process is gone, and what it had not written or sent with it
            act(*arguments)

    def _deliver(self, kind: str, *rest: Any) -> None:
        for _ in range(2 if self.twice and kind in ("command", "report") else 1):
            if kind == "ring":
                self.engine().advance(rest[0])
            elif kind == "command":
                self._execute(*rest)
            elif kind == "report":
                self.engine().report_accept(rest[0])
            elif kind == "progress":
                self.engine().progress_accept(rest[0])
            elif kind == "abort":
                abort(self._plane(rest[0]), rest[1])

    def _plane(self, queue: str) -> PlaneContext:
        return self.plane(f"{queue.partition('.')[0]}.{plane_of(queue)}")

    def _execute(self, queue: str, command: dict[str, Any]) -> None:
        context = self._plane(queue)
        trouble = self._trouble_of(command)
        if trouble in ("before", "refused", "silent"):
            self._answer_falsely(context, command, trouble)
            return
        if queue.startswith("host.") and not self.world.hosts[context.config.name].powered:
            return  # no plane, no answer
        self.effects.append((context.config.name, command["effect"], command["direction"]))
        if answer := self.answers.get(command["effect"], {}).get(context.config.name):
            self._report(context, command, "done", answer, None)
            return
        count = len(self.messages)
        execute(context, command)
        if trouble is None:
            return
        reports = [message for message in list(self.messages)[count:] if message[0] == "report"]
        for message in reports:
            self.messages.remove(message)
        if trouble == "after":
            self._report(context, command, "failed", {}, Unreachable("The reply was lost (test)."))

    def _trouble_of(self, command: dict[str, Any]) -> Mode | None:
        step, _ = from_wire_name(command["step"])
        for trouble in self.troubles:
            if trouble.step == step and trouble.direction == command["direction"] and trouble.times:
                trouble.times -= 1
                return trouble.mode
        return None

    def _answer_falsely(self, context: PlaneContext, command: dict[str, Any], mode: Mode) -> None:
        if mode == "before":
            self._report(context, command, "failed", {}, Unreachable("The host did not do it (test)."))
        elif mode == "refused":
            error = Rejected("The host cannot do it (test).")
            self._report(context, command, "failed", {}, error)

    def _report(
        self, context: PlaneContext, command: dict[str, Any], state: str, output: dict[str, Any], error: Any
    ) -> None:
        keys = ("operation", "step", "direction", "attempt", "generation")
        self.messages.append(
            (
                "report",
                {key: command[key] for key in keys}
                | {
                    "plane": context.config.name,
                    "plane_kind": context.config.kind,
                    "state": state,
                    "output": output,
                    "error": error_to_data(error) if error else None,
                    "finished_at": self.now.timestamp(),
                },
            )
        )


def effects_of(harness: Harness, names: Iterable[str]) -> list[tuple[str, str, str]]:
    """The executed effects with these names, in order."""
    wanted = set(names)
    return [row for row in harness.effects if row[1] in wanted]


__all__ = ["Crash", "Harness", "Refused", "Trouble", "effects_of"]
