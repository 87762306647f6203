"""A shell on the host itself: only where the plane's configuration has "host_shell": true."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import struct
import termios

from hosts.plane.gateway.device import Device
from hosts.plane.gateway.session import Viewer
from hosts.plane.gateway.terminal import TerminalSession
from hosts.plane.processes import session_end

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# util-linux: a session of its own, with this terminal as the controlling one. Source: setsid(1)
_SETSID = ("setsid", "--ctty")


class ShellSession(TerminalSession):
    """A login shell in a session and terminal of its own; all of the session ends with the viewer."""

    def __init__(self, viewer: Viewer, master: int) -> None:
        super().__init__(viewer)
        self._device = Device(master, self.said, self._hung_up)
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def run(self, slave: int) -> None:
        account = pwd.getpwuid(os.getuid())
        shell = account.pw_shell if os.access(account.pw_shell, os.X_OK) else "/bin/sh"
        self._process = await asyncio.create_subprocess_exec(
            *_SETSID,
            shell,
            "-l",
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=account.pw_dir if os.path.isdir(account.pw_dir) else "/",
            env={
                "HOME": account.pw_dir,
                "USER": account.pw_name,
                "LOGNAME": account.pw_name,
                "SHELL": shell,
                "PATH": _PATH,
                "TERM": "xterm-256color",
                "LANG": os.environ.get("LANG", "C.UTF-8"),
            },
        )

    def start(self) -> None:
        self._device.start()
        self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        await asyncio.sleep(0.05)  # its last words are read before
        self.viewer.end(f"The shell ended with exit status {status}.", code=status)

    def _hung_up(self) -> None:
        """The terminal is closed; the exit status comes by the process."""

    def write(self, data: bytes) -> int:
        return self._device.write(data)

    def resize(self, columns: int, rows: int) -> None:
        if self._device.descriptor >= 0:
            fcntl.ioctl(self._device.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def viewer_full(self) -> None:
        self._device.pause()

    def viewer_ready(self) -> None:
        self._device.start()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._device.close()
        if self._waiting is not None and self._waiting is not asyncio.current_task():
            self._waiting.cancel()
        if self._process is not None and self._process.returncode is None:
            session_end(self._process.pid)


async def shell_open(viewer: Viewer, columns: int, rows: int) -> ShellSession:
    """A running shell. Raises OSError where there is no terminal or no shell to be had."""
    master, slave = os.openpty()
    session = ShellSession(viewer, master)
    try:
        session.resize(columns, rows)
        await session.run(slave)
    except BaseException:
        session.close()
        raise
    finally:
        os.close(slave)
    return session
