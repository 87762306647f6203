"""A serial session written down on request, into a file that the server names."""

from __future__ import annotations

import asyncio

from channels.db import database_sync_to_async

from workloads.models import ConsoleLog
from workloads.services.console_logs import LOG_BYTES_MOST, log_append, log_begin, log_ended
from workloads.services.consoles import Opening

# What waits for the disk; more is left out, and the file says so.
WAITING_BYTES_MOST = 1024 * 1024
GAP = b"\r\n[... output that came faster than the disk took it is left out ...]\r\n"
FULL = b"\r\n[... the log is full ...]\r\n"


class Recording:
    """Takes output without waiting; a task writes it in a thread."""

    def __init__(self, row: ConsoleLog) -> None:
        self._row = row
        self._waiting = bytearray()
        self._size = 0
        self._news = asyncio.Event()
        self._is_stopped = False
        self._task = asyncio.create_task(self._run())

    @classmethod
    async def begin(cls, opening: Opening) -> Recording:
        return cls(await database_sync_to_async(log_begin)(opening))

    def add(self, data: bytes) -> None:
        room = LOG_BYTES_MOST - self._size
        if room <= 0:
            return
        if len(self._waiting) > WAITING_BYTES_MOST:
            if not self._waiting.endswith(GAP):
                self._waiting += GAP
            return
        self._waiting += data if len(data) < room else data[:room] + FULL
        self._size += len(data)
        self._news.set()

    async def stop(self) -> None:
        """What was taken is on the disk afterwards."""
        self._is_stopped = True
        self._news.set()
        await self._task
        await database_sync_to_async(log_ended)(self._row.pk)

    async def _run(self) -> None:
        while not self._is_stopped or self._waiting:
            await self._news.wait()
            self._news.clear()
            if self._waiting:
                data, self._waiting = bytes(self._waiting), bytearray()
                await asyncio.to_thread(log_append, self._row.pk, data)
