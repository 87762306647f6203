"""Terminals in containers: a command of one's own (exec), or the container's own output and input (attach)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hosts.console_wire import ConsoleRequest
from hosts.plane.gateway.engine import Demultiplexer, Engine, EngineStream
from hosts.plane.gateway.session import Refusal, Viewer
from hosts.plane.gateway.terminal import TerminalSession
from hosts.plane.processes import session_end

log = logging.getLogger(__name__)

# The best shell that the container has, as a login shell.
LOGIN_SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh -l; fi")
_NOT_FOUND = (126, 127)
KILL_TRIES, KILL_AGAIN_S = 50, 0.1


class EngineSession(TerminalSession):
    """A stream of the engine's, with the resizing that belongs to it."""

    def __init__(self, viewer: Viewer, engine: Engine, resize_path: str, tasks: set[asyncio.Task[Any]]) -> None:
        super().__init__(viewer)
        self.engine = engine
        self.stream = EngineStream(self.said, self._lost)
        self._resize_path = resize_path
        self._tasks = tasks
        self._resizing: asyncio.Task[None] | None = None
        self._size: tuple[int, int] | None = None
        self.is_closed = False

    def start(self) -> None:
        self.stream.start()

    def write(self, data: bytes) -> int:
        return self.stream.write(data)

    def viewer_full(self) -> None:
        self.stream.pause()

    def viewer_ready(self) -> None:
        self.stream.resume()

    def resize(self, columns: int, rows: int) -> None:
        """One question at a time; of sizes that come meanwhile only the last counts."""
        self._size = (columns, rows)
        if self._resizing is None or self._resizing.done():
            self._resizing = self.later(self._resize())

    async def _resize(self) -> None:
        while self._size is not None:
            (columns, rows), self._size = self._size, None
            try:
                await self.engine.ask("POST", f"{self._resize_path}/resize?h={rows}&w={columns}")
            except Refusal as refusal:
                log.debug("A terminal keeps its size: %s", refusal.sentence)

    def _lost(self) -> None:
        if not self.is_closed:
            self.later(self.over())

    async def over(self) -> None:
        self.viewer.end("The container's stream has ended.")

    def later(self, work: Any) -> asyncio.Task[None]:
        """The work as a task that outlives this session: what was started must be ended."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        self.is_closed = True
        self.stream.close()


class ExecSession(EngineSession):
    """A command in a container. Docker leaves it running when its viewer goes, so it is killed here (M37)."""

    def __init__(self, viewer: Viewer, engine: Engine, exec_id: str, tasks: set[asyncio.Task[Any]]) -> None:
        super().__init__(viewer, engine, f"/exec/{exec_id}", tasks)
        self._exec_id = exec_id

    async def over(self) -> None:
        code = None
        try:
            code = (await self.engine.ask("GET", f"/exec/{self._exec_id}/json")).get("ExitCode")
        except Refusal as refusal:
            log.debug("How a command ended is not known: %s", refusal.sentence)
        if code in _NOT_FOUND:
            self.viewer.end(f"The command cannot be run in this container (exit status {code}).", code=code)
        else:
            ending = "The command ended." if code is None else f"The command ended with exit status {code}."
            self.viewer.end(ending, code=code)

    def close(self) -> None:
        if not self.is_closed:
            self.later(self._kill())
        super().close()

    async def _kill(self) -> None:
        """A command that is still on its way to running is waited for: it would begin without its viewer."""
        for _ in range(KILL_TRIES):
            try:
                found = await self.engine.ask("GET", f"/exec/{self._exec_id}/json")
            except Refusal as refusal:
                log.warning("A command in a container may go on without its viewer: %s", refusal.sentence)
                return
            if found.get("Running") and (pid := int(found.get("Pid") or 0)) > 1:
                await asyncio.to_thread(session_end, pid)
                return
            if found.get("ExitCode") is not None:
                return
            await asyncio.sleep(KILL_AGAIN_S)


class AttachSession(EngineSession):
    """The container's own output, and its input where it was made with one."""

    def __init__(self, viewer: Viewer, engine: Engine, found: dict[str, Any], tasks: set[asyncio.Task[Any]]) -> None:
        super().__init__(viewer, engine, f"/containers/{found['Id']}", tasks)
        self._container = found["Id"]
        config = found["Config"]
        self.has_input = bool(config.get("OpenStdin"))
        self.has_terminal = bool(config.get("Tty"))
        self._demultiplexer = None if self.has_terminal else Demultiplexer()
        self._has_told = False

    def said(self, data: bytes) -> None:
        self.viewer.send(self._demultiplexer.feed(data) if self._demultiplexer else data)

    def write(self, data: bytes) -> int:
        if self.has_input:
            return super().write(data if self.has_terminal else data.replace(b"\r", b"\n"))
        if not self._has_told:
            self._has_told = True
            self.viewer.tell({"notice": "This container was made without an input. Open a shell in it instead."})
        return len(data)

    def resize(self, columns: int, rows: int) -> None:
        if self.has_terminal:
            super().resize(columns, rows)

    async def over(self) -> None:
        self.viewer.end("The container ended, or closed its output.")


async def exec_open(
    viewer: Viewer, engine: Engine, request: ConsoleRequest, tasks: set[asyncio.Task[Any]]
) -> ExecSession:
    """A session on a command that has just been started. Raises Refusal."""
    found = await engine.container(request.thing, request.generation)
    order = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": True,
        "Cmd": list(request.command or LOGIN_SHELL),
        "Env": ["TERM=xterm-256color"],
    }
    exec_id = str((await engine.ask("POST", f"/containers/{found['Id']}/exec", order))["Id"])
    session = ExecSession(viewer, engine, exec_id, tasks)
    try:
        await engine.stream(f"/exec/{exec_id}/start", {"Detach": False, "Tty": True}, session.stream)
    except BaseException:
        session.close()
        raise
    session.resize(request.columns, request.rows)
    return session


async def attach_open(
    viewer: Viewer, engine: Engine, request: ConsoleRequest, tasks: set[asyncio.Task[Any]]
) -> AttachSession:
    """A session on the container's own streams. Raises Refusal."""
    found = await engine.container(request.thing, request.generation)
    session = AttachSession(viewer, engine, found, tasks)
    stdin = int(session.has_input)
    path = f"/containers/{found['Id']}/attach?stream=1&stdout=1&stderr=1&stdin={stdin}"
    await engine.stream(path, None, session.stream)
    session.resize(request.columns, request.rows)
    return session
