"""One open console: the browser on one side, the gateway of the thing's host on the other, wherever that is now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from hosts.console_wire import (
    CONTROL,
    ENDED,
    TRANSIENT,
    UNREACHABLE,
    ConsoleRequest,
    control_read,
    terminal_size,
)
from hosts.errors import Invalid
from workloads.consoles import watch
from workloads.consoles.browser import Browser, BrowserGone
from workloads.consoles.link import GatewayLink, LinkFailed, link_open, plain
from workloads.consoles.recording import Recording
from workloads.consoles.watch import Ending, Facts, Subject
from workloads.services.consoles import Opening

log = logging.getLogger(__name__)

FOLLOWS = ("vnc", "serial")
LIVE = ("running", "paused", "migrating", "starting", "unknown")
# So long a screen or line that was lost is looked for: a VM that restarts or moves comes back within seconds.
FOLLOW_S = 180.0
FIRST_S = 4.0
AGAIN_S = 0.2
NOTICE_AFTER_S = 1.0
INPUT_BYTES_MOST = 64 * 1024


class Relay:
    """Runs from the ticket to the end. The watch calls `found`; everything else is one task's business."""

    def __init__(self, browser: Browser, opening: Opening, session_key: str, first: Facts) -> None:
        self._browser = browser
        self._opening = opening
        self._facts = first
        self._link: GatewayLink | None = None
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._ready = asyncio.Event()
        self._recording: Recording | None = None
        self._size = terminal_size(None, None)
        self._is_writer = False
        self._has_dropped = False
        self._host = ""
        self._position: int | None = None
        self.subject = Subject(
            opening.pk, opening.kind, opening.thing_id, opening.thing_name, opening.is_view_only, session_key
        )

    def found(self, finding: Facts | Ending) -> None:
        """What the watch has just read."""
        if isinstance(finding, Facts):
            has_moved = finding.host != self._facts.host
            self._facts = finding
            if has_moved and self._link is not None and finding.host != self._host:
                self._link.close()  # the old host has nothing more to say
        elif not self._ending.done():
            self._ending.set_result(finding)

    async def run(self) -> Ending:
        """Until the console is over, for whatever reason."""
        watch.WATCH.add(self)
        serving = asyncio.create_task(self._serve())
        listening = asyncio.create_task(self._listen())
        try:
            await asyncio.wait({serving, listening, self._ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                return self._ending.result()
            if listening.done() and listening.exception() is None:
                return Ending(watch.ENDED, "The page was closed.")
            return (serving if serving.done() else listening).result()  # type: ignore[return-value]
        except BrowserGone:
            return Ending(watch.ENDED, "The page was closed.")
        except Exception:  # an edge: one console's failure must be told to its page
            log.exception("A console failed")
            return Ending(watch.SILENT, "The console failed. The log of the web process says more.")
        finally:
            watch.WATCH.remove(self)
            if self._link is not None:
                self._link.close()
            for task in (serving, listening):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            if self._recording is not None:
                await self._recording.stop()

    # -- from the host

    async def _serve(self) -> Ending:
        """Joins the thing's console, and joins it again where it follows the thing."""
        is_first, lost_at = True, time.monotonic()
        while True:
            link = await self._joined(is_first, lost_at)
            if isinstance(link, Ending):
                return link
            await self._told(link, is_first)
            is_first = False
            sentence = await self._pumped(link)
            self._link = None
            link.close()
            if self._opening.kind not in FOLLOWS:
                return Ending(watch.ENDED, sentence)
            lost_at = time.monotonic()

    async def _joined(self, is_first: bool, lost_at: float) -> GatewayLink | Ending:
        """A console at the host where the thing is now; an ending when it cannot be had for too long."""
        patience_s, noticed = FIRST_S if is_first else FOLLOW_S, is_first
        while True:
            facts, failure = self._facts, LinkFailed(UNREACHABLE, "Nobody knows where its console is now.")
            if not is_first and facts.state not in LIVE:
                return Ending(watch.ENDED, f"{facts.name} is {facts.state}.")
            if facts.place is not None:
                try:
                    self._link = await link_open(facts.place, self._request(facts, is_first))
                except LinkFailed as error:
                    failure = error
                else:
                    return self._link
            waited_s = time.monotonic() - lost_at
            if failure.kind not in TRANSIENT or waited_s > patience_s:
                code = watch.SILENT if failure.kind == UNREACHABLE else watch.ENDED
                return Ending(code, failure.sentence)
            if not noticed and waited_s > NOTICE_AFTER_S:
                noticed = True
                await self._browser.tell({"notice": f"The console of {facts.name} is away; it is waited for."})
            await asyncio.sleep(AGAIN_S)

    def _request(self, facts: Facts, is_first: bool) -> ConsoleRequest:
        is_same_host = not is_first and facts.place is not None and facts.place.host == self._host
        return ConsoleRequest(
            host=facts.place.host if facts.place else "",
            kind=self._opening.kind,
            thing=str(self._opening.thing_id),
            generation=facts.generation,
            view_only=self._opening.is_view_only,
            user=self._opening.user_name,
            challenge="",
            expires=0.0,
            command=self._opening.command,
            columns=self._size[0],
            rows=self._size[1],
            replay_from=self._position if is_same_host else None,
        )

    async def _told(self, link: GatewayLink, is_first: bool) -> None:
        """The page learns of the console; a screen's page must get ready for a new stream before it begins."""
        facts = self._facts
        self._ready.clear()
        writer = link.opened.get("writer")
        if isinstance(writer, bool):
            self._is_writer = writer
        else:
            self._is_writer = not self._opening.is_view_only
        host = facts.place.host if facts.place else facts.host
        if is_first:
            opened = {
                "kind": self._opening.kind,
                "name": facts.name,
                "host": host,
                "is_writer": self._is_writer,
                "viewers": number(link.opened.get("viewers"), 1),
                "writer_name": plain(link.opened.get("writer_name"), 150) if link.opened.get("writer_name") else "",
                "is_followed": self._opening.kind in FOLLOWS,
            }
            await self._browser.tell({"opened": opened})
        elif host != self._host or self._opening.kind == "vnc":
            await self._browser.tell({"moved": {"host": host}})
            await self._tell_writer(link.opened)
        else:
            await self._browser.tell({"notice": f"The console of {facts.name} is back."})
            await self._tell_writer(link.opened)
        self._host = host

    async def _pumped(self, link: GatewayLink) -> str:
        """Hands on what the host says until it hangs up; why it did."""
        if self._opening.kind == "vnc":
            if await self._is_ready(link):
                await self._pour(link)
            return "The screen was closed."
        try:
            return await self._pump_frames(link)
        except Invalid as error:
            return error.message

    async def _is_ready(self, link: GatewayLink) -> bool:
        """Waits for the page; False when the host has hung up before."""
        waits = [asyncio.create_task(self._ready.wait()), asyncio.create_task(link.over.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return self._ready.is_set()

    async def _pour(self, link: GatewayLink) -> None:
        """A screen's bare stream, by the shortest way that the server offers."""
        if (fast := self._browser.fast) is None:
            while data := await link.read():
                await self._browser.stream(data)
            return

        def sink(data: memoryview) -> bool:
            is_gone = fast.write(data)
            if fast.is_full:
                link.hold()
            return bool(is_gone)

        if early := link.unread():
            await self._browser.stream(early)
        fast.on_ready = link.go_on
        link.pour(sink)
        try:
            await link.over.wait()
        finally:
            fast.on_ready = None

    async def _pump_frames(self, link: GatewayLink) -> str:
        while frames := await link.frames():
            said = bytearray()
            for kind, body in frames:
                if kind != CONTROL:
                    said += body
                    continue
                if said:
                    await self._say(bytes(said))
                    said.clear()
                message = control_read(body)
                if ENDED in message:
                    self._position = number(message.get("position"), -1)
                    self._position = None if self._position < 0 else self._position
                    return plain(message[ENDED])
                await self._pass_on(message)
            if said:
                await self._say(bytes(said))
        return "The host hung up."

    async def _say(self, data: bytes) -> None:
        if self._recording is not None:
            self._recording.add(data)
        await self._browser.stream(data)

    async def _pass_on(self, message: dict[str, Any]) -> None:
        if "notice" in message:
            await self._browser.tell({"notice": plain(message["notice"])})
        if "viewers" in message:
            self._is_writer = message.get("writer") is True
            await self._tell_writer(message)

    async def _tell_writer(self, message: dict[str, Any]) -> None:
        if self._opening.kind != "serial":
            return
        name = message.get("writer_name")
        await self._browser.tell(
            {
                "writer": self._is_writer,
                "viewers": number(message.get("viewers"), 1),
                "writer_name": plain(name, 150) if name else "",
            }
        )

    # -- from the browser

    async def _listen(self) -> None:
        """Ends when the browser is gone."""
        with contextlib.suppress(BrowserGone):
            while True:
                message = await self._browser.hear()
                if isinstance(message, bytes):
                    await self._typed(message)
                else:
                    await self._asked(message)

    async def _typed(self, data: bytes) -> None:
        link = self._link
        if link is None:
            return
        if self._opening.kind == "vnc":
            # Who only looks is judged by the gateway, message by message. Nothing of a stream may be left out.
            link.write(data)
            await link.drained()
        elif not self._is_writer or self._opening.is_view_only:
            return
        elif link.is_stuck:
            if not self._has_dropped:
                await self._browser.tell({"notice": "The host takes no input now; what you type is dropped."})
            self._has_dropped = True
        else:
            self._has_dropped = False
            link.send(data[:INPUT_BYTES_MOST])

    async def _asked(self, message: dict[str, Any]) -> None:
        if message.get("ready") is True:
            self._ready.set()
        if isinstance(size := message.get("resize"), dict):
            self._size = terminal_size(size.get("columns"), size.get("rows"))
            self._tell_host({"resize": {"columns": self._size[0], "rows": self._size[1]}})
        if (wish := message.get("write")) in (True, False, "take") and not self._opening.is_view_only:
            self._tell_host({"write": wish})
        if message.get("log") in ("start", "stop") and self._opening.kind == "serial":
            await self._log(message["log"] == "start")

    def _tell_host(self, message: dict[str, Any]) -> None:
        if self._link is not None and self._opening.kind != "vnc" and not self._link.is_stuck:
            self._link.tell(message)

    async def _log(self, is_wanted: bool) -> None:
        if self._opening.is_view_only:
            await self._browser.tell({"notice": "Only operators have a session written down."})
        elif is_wanted and self._recording is None:
            self._recording = await Recording.begin(self._opening)
            await self._browser.tell({"notice": "From now on this line's output is written down."})
        elif not is_wanted and self._recording is not None:
            recording, self._recording = self._recording, None
            await recording.stop()
            await self._browser.tell({"notice": "The log of this session is kept with this VM's console logs."})


def number(value: Any, otherwise: int) -> int:
    """The value as a whole number that a page can show."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < 2**53 else otherwise
