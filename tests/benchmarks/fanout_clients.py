"""A thousand open pages in one process: each watches one object and notes when its samples arrive.

    python -m tests.benchmarks.fanout_clients PLAN_JSON

Prints "ready" when all are open and watch, then, after the time given, one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect

AT_ONCE = 20


class Clients:
    """All of them; only what comes after `begin` counts."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.latencies_s: list[float] = []
        self.bytes = 0
        self.counts = [0] * plan["clients"]
        self.is_counting = False

    async def open(self) -> list[asyncio.Task[None]]:
        turns = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(self._open_one(number, turns) for number in range(self.plan["clients"])))

    async def _open_one(self, number: int, turns: asyncio.Semaphore) -> asyncio.Task[None]:
        async with turns:
            socket = await connect(
                self.plan["url"],
                additional_headers={"Cookie": self.plan["cookie"]},
                origin=self.plan["origin"],
                compression=None,
                open_timeout=60,
                ping_interval=None,
            )
            objects = self.plan["objects"]
            await socket.send(json.dumps({"watch": [objects[number % len(objects)]]}))
            # at once: a client that does not read answers no pings either
            return asyncio.create_task(self._listen(number, socket))

    async def _listen(self, number: int, socket: ClientConnection) -> None:
        async for text in socket:
            now = time.time()
            if not self.is_counting:
                continue
            for values in json.loads(text).get("samples", {}).values():
                self.latencies_s.append(now - values["at"])
                self.counts[number] += 1
                self.bytes += len(text)


async def run(plan: dict[str, Any]) -> None:
    clients = Clients(plan)
    began = time.monotonic()
    tasks = await clients.open()
    opened_s = time.monotonic() - began
    print("ready", flush=True)
    await asyncio.sleep(plan["settle_s"])
    clients.is_counting = True
    cpu, began = time.process_time(), time.monotonic()
    print("counting", flush=True)
    await asyncio.sleep(plan["seconds"])
    clients.is_counting = False
    told = sorted(clients.latencies_s)
    ended = sum(task.done() for task in tasks)
    print(
        json.dumps(
            {
                "deliveries": len(told),
                "seconds": time.monotonic() - began,
                "p50_s": told[len(told) // 2],
                "p99_s": told[int(len(told) * 0.99)],
                "most_s": told[-1],
                "fewest": min(clients.counts),
                "bytes": clients.bytes / len(told),
                "ended": ended,
                "opened_s": opened_s,
                "client_share": (time.process_time() - cpu) / (time.monotonic() - began),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    uvloop.run(run(json.loads(Path(sys.argv[1]).read_text())))
