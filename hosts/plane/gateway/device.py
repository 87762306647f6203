"""A terminal device by its descriptor (a serial line's pty, a shell's), read and written without blocking."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

READ_BYTES = 64 * 1024
WAITING_BYTES_MOST = 64 * 1024


class Device:
    """Owns the descriptor. `on_data` gets what it says, `on_lost` is called once when it hangs up."""

    def __init__(self, descriptor: int, on_data: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._on_data = on_data
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._is_reading = False

    def start(self) -> None:
        if self._descriptor >= 0 and not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._descriptor, self._readable)

    def pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._descriptor)

    def write(self, data: bytes) -> int:
        """How many bytes were taken; the rest is lost, for the device takes no input now."""
        if self._descriptor < 0:
            return 0
        room = max(0, WAITING_BYTES_MOST - len(self._waiting))
        self._waiting += data[:room]
        self._writable()
        return min(room, len(data))

    def close(self) -> None:
        if self._descriptor < 0:
            return
        self.pause()
        self._loop.remove_writer(self._descriptor)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody holds the other end of the pty any more
            data = b""
        if data:
            self._on_data(data)
        else:
            self._lost()

    def _writable(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._descriptor, self._waiting)]
        except BlockingIOError:
            self._loop.add_writer(self._descriptor, self._writable)
            return
        except OSError:
            self._lost()
            return
        self._loop.remove_writer(self._descriptor)

    def _lost(self) -> None:
        if self._descriptor >= 0:
            self.close()
            self._on_lost()
