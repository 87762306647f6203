"""Consoles from the websocket to the host: our ASGI application, a real gateway, and made-up VMs behind it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from hosts.models import AuditRecord, Host, Plane
from tests.actors import client_of
from tests.factories import host_make, vm_make
from tests.hosts.plane.gateway.peers import VM, Bench, bench_open
from tests.sockets import Socket
from workloads.consoles import relay, socket, watch
from workloads.models import Console, ConsoleLog, Workload
from workloads.services.console_logs import log_path
from workloads.services.consoles import console_ended

pytestmark = pytest.mark.django_db(transaction=True)


class Page(Socket):
    """A browser's page with a console."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, "/live/console/")
        self.client = client
        self.stream = b""
        self.told: list[dict[str, Any]] = []

    async def ticket(self, kind: str = "serial", **more: Any) -> str:
        body = {"kind": kind, "thing": VM, **more}
        answer = await sync_to_async(self.client.post)("/api/consoles/tickets", body, content_type="application/json")
        assert answer.status_code == 201, answer.content
        return str(answer.json()["ticket"])

    async def opens(self, kind: str = "serial", **more: Any) -> dict[str, Any]:
        assert await self.open()
        await self.say({"ticket": await self.ticket(kind, **more)})
        return await self.tells("opened")

    async def types(self, data: bytes) -> None:
        await self._peer.send_input({"type": "websocket.receive", "bytes": data})

    async def _next(self) -> None:
        """Takes one message."""
        answer = await self._peer.receive_output(10)
        if answer["type"] == "websocket.close":
            self.code = answer["code"]
        elif answer.get("bytes") is not None:
            self.stream += answer["bytes"]
        else:
            self.told.append(json.loads(answer["text"]))

    async def tells(self, key: str) -> Any:
        while not any(key in message for message in self.told):
            assert self.code is None, self.told
            await self._next()
        at = next(at for at, message in enumerate(self.told) if key in message)
        message = self.told[at]
        del self.told[: at + 1]
        return message[key]

    async def says(self, text: bytes) -> None:
        while text not in self.stream:
            assert self.code is None, (self.told, self.stream)
            await self._next()

    async def closes(self) -> int:
        while self.code is None:
            await self._next()
        return self.code


@pytest_asyncio.fixture(autouse=True)
async def watch_at_rest() -> AsyncIterator[None]:
    """The watch's thread has the database open for a moment after the last console has gone."""
    yield
    async with asyncio.timeout(10):
        while watch.WATCH.count or (watch.WATCH._task is not None and not watch.WATCH._task.done()):
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_open(tmp_path) as bench:
        yield bench


@pytest_asyncio.fixture
async def vm(bench: Bench) -> Workload:
    return await sync_to_async(vm_on)(bench)


def vm_on(bench: Bench, name: str = "alpha") -> Workload:
    """The VM of the bench as the database knows it, on a host whose gateway is the bench's."""
    place = bench.place
    at = {"console_address": place.address, "console_port": place.port, "console_sha256": place.sha256}
    host = host_make(name, **at)
    Plane.objects.create(kind="host", name=name, token_sha256=place.key)
    return vm_make(host, "web", uuid=uuid.UUID(VM), generation=4)


async def page_of(actor: str) -> Page:
    return Page(await sync_to_async(client_of)(actor))


async def test_a_serial_line_in_a_page(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")

    opened = await page.opens()
    await page.types(b"hello")
    await page.says(b"hello")

    assert (opened["kind"], opened["name"], opened["host"]) == ("serial", "web", "alpha")
    assert opened["is_writer"] is True and opened["viewers"] == 1 and opened["is_followed"] is True
    await page.leave()


async def test_a_screen_waits_for_its_page(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")
    await page.opens("vnc")
    assert await page.hears_nothing(0.3)

    await page.say({"ready": True})

    await page.says(b"RFB 003.008\n")
    await page.leave()


@pytest.mark.parametrize("first", ["{", "[]", '{"ticket": 5}', '{"ticket": "nonsense"}', '{"ready": true}', "[" * 9000])
async def test_without_a_ticket_there_is_no_console(bench: Bench, vm: Workload, first: str) -> None:
    page = await page_of("operator")
    assert await page.open()

    await page.say(first)

    assert await page.closes() == 4408
    assert bench.line.writers == []


async def test_who_brings_no_ticket_is_not_waited_for(vm: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """S49"""
    monkeypatch.setattr(socket, "TICKET_S", 0.2)
    page = await page_of("operator")
    assert await page.open()

    assert await page.closes() == 4408


async def test_a_ticket_used_twice_at_once_opens_one_console(bench: Bench, vm: Workload) -> None:
    """S11"""
    client = await sync_to_async(client_of)("operator")
    pages = [Page(client), Page(client)]
    ticket = await pages[0].ticket()
    for page in pages:
        assert await page.open()
    for page in pages:
        await page.say({"ticket": ticket})

    async def fate(page: Page) -> str:
        while page.code is None and not any("opened" in message for message in page.told):
            await page._next()
        return "opened" if page.code is None else "refused"

    assert sorted([await fate(page) for page in pages]) == ["opened", "refused"]
    for page in pages:
        await page.leave()


async def test_another_logins_ticket_opens_nothing(bench: Bench, vm: Workload) -> None:
    """S11"""
    mine, theirs = await page_of("operator"), await page_of("administrator")
    ticket = await mine.ticket()
    assert await theirs.open()

    await theirs.say({"ticket": ticket})

    assert await theirs.closes() == 4408
    assert bench.line.writers == []


async def test_a_viewers_input_goes_nowhere(bench: Bench, vm: Workload) -> None:
    """S13, and CVE-2021-36383: what the page sends about its own right counts for nothing."""
    page, other = await page_of("viewer"), await page_of("operator")
    await page.opens(view_only=True)
    await page.say({"write": "take", "view_only": False, "is_writer": True})
    await page.types(b"looking")
    await other.opens()
    await other.types(b"typing")

    await page.says(b"typing")

    assert bench.line.heard == b"typing"
    await page.leave()
    await other.leave()


@pytest.mark.parametrize(("loss", "code"), [("logout", 4401), ("role", 4403), ("vm", 4404), ("ended", 1000)])
async def test_a_console_closes_when_it_may_no_longer_be(bench: Bench, vm: Workload, loss: str, code: int) -> None:
    """S13, S21"""
    page = await page_of("operator")
    await page.opens()

    def lose() -> None:
        if loss == "logout":
            page.client.logout()
        elif loss == "role":
            User.objects.get().groups.clear()
        elif loss == "vm":
            Workload.objects.all().delete()
        else:
            console_ended(Console.objects.get().pk, "ann ended this console.")

    await sync_to_async(lose)()

    assert await page.closes() == code
    await bench.line.until(lambda: bench.line.writers == [])


async def test_a_console_follows_its_vm(bench: Bench, vm: Workload, tmp_path: Path) -> None:
    (tmp_path / "beta").mkdir()
    async with bench_open(tmp_path / "beta", "b" * 64) as other:
        page = await page_of("operator")
        await page.opens()
        await page.types(b"before")
        await page.says(b"before")

        found = other.consoles.vms[VM]
        other.consoles.vms[VM] = replace(found, generation=5)
        other.gateway._config = replace(other.gateway._config, name="beta")
        await sync_to_async(move)(other)
        await bench.line.stop()
        bench.consoles.vms.clear()

        assert await page.tells("moved") == {"host": "beta"}
        page.stream = b""
        await page.types(b"after")
        await page.says(b"after")
        assert other.line.heard == b"after"
        await page.leave()


def move(other: Bench) -> None:
    """The VM is on the other bench's host now, as a migration leaves it."""
    place = other.place
    at = {"console_address": place.address, "console_port": place.port, "console_sha256": place.sha256}
    host = host_make("beta", **at)
    Plane.objects.create(kind="host", name="beta", token_sha256=place.key)
    Workload.objects.update(host=host, generation=5)


async def test_a_line_that_comes_back_is_taken_up_again(
    bench: Bench, vm: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "NOTICE_AFTER_S", 0.0)
    page = await page_of("operator")
    await page.opens()
    await bench.line.stop()
    assert "away" in await page.tells("notice")

    bench.line.say(b"booted again. ")
    await bench.line.start()

    assert "back" in await page.tells("notice")
    await page.says(b"booted again. ")
    await page.types(b"hello")
    await page.says(b"hello")
    await page.leave()


async def test_a_console_ends_with_its_vm(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")
    await page.opens("vnc")
    await sync_to_async(Workload.objects.update)(state="stopped")

    bench.consoles.vms.clear()
    await bench.screen.stop()

    assert await page.closes() == 1000
    assert page.told[-1] == {"closed": "web is stopped."}


async def test_a_host_that_does_not_answer_is_said_so(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")
    await sync_to_async(Host.objects.update)(console_port=1)
    assert await page.open()
    await page.say({"ticket": await page.ticket()})

    assert await page.closes() == 1011
    assert "cannot be reached" in page.told[-1]["closed"]


async def test_a_session_is_written_down_on_request(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")
    await page.opens()
    await page.types(b"not this. ")
    await page.says(b"not this. ")
    await page.say({"log": "start"})
    await page.tells("notice")
    await page.types(b"but this")
    await page.says(b"but this")
    await page.say({"log": "stop"})
    await page.tells("notice")
    await page.leave()

    row = await sync_to_async(ConsoleLog.objects.get)()
    assert log_path(row.pk).read_bytes() == b"but this"
    assert (row.size_bytes, row.ended_at is not None) == (8, True)
    assert log_path(row.pk).stat().st_mode & 0o777 == 0o600


async def test_a_viewer_has_nothing_written_down(bench: Bench, vm: Workload) -> None:
    page = await page_of("viewer")
    await page.opens(view_only=True)

    await page.say({"log": "start"})

    assert "Only operators" in await page.tells("notice")
    assert not await sync_to_async(ConsoleLog.objects.exists)()
    await page.leave()


@pytest.mark.parametrize(
    "nonsense",
    ['{"resize": 5}', '{"resize": {"columns": "x"}}', '{"write": []}', '{"log": {}}', "[1]", "{", '{"ready": 1}'],
)
async def test_nonsense_changes_nothing(bench: Bench, vm: Workload, nonsense: str) -> None:
    page = await page_of("operator")
    await page.opens()

    await page.say(nonsense)
    await page.types(b"still here")

    await page.says(b"still here")
    await page.leave()


async def test_opening_and_end_are_in_the_audit_log(bench: Bench, vm: Workload) -> None:
    page = await page_of("operator")
    await page.opens()
    await page.leave()

    rows = AuditRecord.objects.order_by("id").values_list("verb", flat=True)
    async with asyncio.timeout(10):
        while "console_end" not in await sync_to_async(list)(rows):
            await asyncio.sleep(0.02)
    assert await sync_to_async(list)(rows) == ["console_ask", "console_open", "console_end"]
    assert watch.WATCH.count == 0
