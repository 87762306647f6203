"""Consoles on real QEMU and Docker, through web process and gateway, as a browser opens them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.console_person import ConsoleSocket, Login, screen_greet, screen_pixels
from tests.stack import Stack

# lab-a1 is the one host of the lab with a shell for administrators.
HOST, OTHER = "lab-a1", "lab-b1"
PASSWORD = "for-this-test-only"
LOGGED_OUT, FORBIDDEN, REFUSED, ENDED = 4401, 4403, 4408, 1000


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Login:
    return Login(stack.url, stack.username, stack.password)


def somebody(stack: Stack, role: str) -> tuple[str, Login]:
    """Name and login of a fresh user of that role."""
    name = f"{role}-{secrets.token_hex(3)}"
    make = (
        "from django.contrib.auth.models import Group, User; "
        f"User.objects.create_user({name!r}, password={PASSWORD!r}).groups.add(Group.objects.get(name={role!r}))"
    )
    stack.manage("shell", "-c", make)
    return name, Login(stack.url, name, PASSWORD)


@pytest.fixture(scope="module")
def vm(person: ApiPerson) -> Iterator[dict[str, Any]]:
    """A running VM whose guest asks for a login on its serial line."""
    image = next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")
    wanted = {"name": "console-vm", "image": image, "memory_mib": 128, "disk_gib": 0.5}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("console-vm")
    assert made is not None
    yield made
    person.call("POST", f"/workloads/{made['uuid']}/stop?force=true")
    for _ in range(100):
        if person.call("DELETE", f"/workloads/{made['uuid']}")[0] == 202:
            return


@pytest.fixture(scope="module")
def container(person: ApiPerson) -> Iterator[dict[str, Any]]:
    wanted = {"name": "console-box", "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.5}
    person.done("POST", "/workloads/containers", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("console-box")
    assert made is not None
    yield made
    person.call("POST", f"/workloads/{made['uuid']}/stop")
    for _ in range(100):
        if person.call("DELETE", f"/workloads/{made['uuid']}")[0] == 202:
            return


async def test_a_log_is_followed_and_stays_to_be_read_when_the_container_is_off(
    person: ApiPerson, admin: Login, container: dict[str, Any]
):
    async with console(admin, "log", container["uuid"], view_only=True) as log:
        await log.stream_has(b"tick 1")
        await log.stream_has(b"tick 3")
    async with console(admin, "log", container["uuid"], view_only=True, command=["10"]) as log:
        await log.stream_has(b"tick 3")

    person.done("POST", f"/workloads/{container['uuid']}/stop")
    async with console(admin, "log", container["uuid"], view_only=True) as log:
        await log.stream_has(b"tick 1")
    person.done("POST", f"/workloads/{container['uuid']}/start")


async def test_processes_and_file_changes_are_looked_at(
    stack: Stack, person: ApiPerson, admin: Login, container: dict[str, Any]
):
    stack.inside(HOST, "docker", "exec", "console-box", "touch", "/made-here")
    async with console(admin, "top", container["uuid"], view_only=True) as top:
        await top.stream_has(b"PID")
        await top.stream_has(b"sleep")
    async with console(admin, "diff", container["uuid"], view_only=True) as diff:
        await diff.stream_has(b"/made-here")


@asynccontextmanager
async def console(login: Login, kind: str, thing: str, **more: Any) -> AsyncIterator[ConsoleSocket]:
    """An open console; its `opened` is in `console.opened`."""
    one = await ConsoleSocket.open(login, login.ticket(kind, thing, **more))
    try:
        one.opened = await one.message("opened")
        yield one
    finally:
        await one.close()


async def log_in_to(line: ConsoleSocket) -> None:
    """A shell of root's on the serial line, whatever state it was left in; the guest ticks in between."""
    mark = secrets.token_hex(3)
    for _ in range(30):
        before = len(line.heard.stream)
        await line.type(f"\x03\recho shell-$((40 + 2))-{mark}\r")
        await asyncio.sleep(0.5)
        said = line.heard.stream[before:]
        if f"shell-42-{mark}".encode() in said:
            return
        if b"login: " in said:
            await line.type("\rroot\r")
            await asyncio.sleep(0.5)
    raise AssertionError(f"no shell: {bytes(line.heard.stream[-500:])!r}")


def host_of(person: ApiPerson, workload: dict[str, Any]) -> str:
    return str(person.get(f"/workloads/{workload['uuid']}")["host"])


# -- serial lines


async def test_what_is_typed_into_a_serial_line_is_answered(admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "serial", vm["uuid"]) as line:
        assert line.opened["is_writer"] and line.opened["is_followed"]
        await log_in_to(line)

        await line.type("echo answer-$((40 + 2))\r")

        await line.stream_has("answer-42")


async def test_a_serial_line_begins_with_what_it_said_before(admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "serial", vm["uuid"]) as line:
        await log_in_to(line)
        await line.type("echo before-$((40 + 2))\r")
        await line.stream_has("before-42")

    async with console(admin, "serial", vm["uuid"]) as later:
        await later.stream_has("before-42")

        assert later.heard.stream.count(b"before-42") == 1


async def test_one_viewer_of_a_line_writes_and_hands_over(stack: Stack, admin: Login, vm: dict[str, Any]) -> None:
    name, operator = somebody(stack, "operator")
    async with console(admin, "serial", vm["uuid"]) as first, console(operator, "serial", vm["uuid"]) as second:
        await log_in_to(first)
        assert not second.opened["is_writer"] and second.opened["writer_name"] == stack.username

        await second.type("echo not-$((40 + 2))\r")
        await first.type("echo first-$((40 + 2))\r")
        await second.stream_has("first-42")
        assert b"not-42" not in second.heard.stream

        await second.say({"write": "take"})
        await second.until(lambda: any(message.get("writer") for message in second.heard.messages))
        await first.until(lambda: {"writer": False, "viewers": 2, "writer_name": name} in first.heard.messages)
        await second.type("echo second-$((40 + 2))\r")
        await first.stream_has("second-42")


async def test_a_viewer_looks_at_a_line_and_types_nothing_into_it(
    stack: Stack, admin: Login, vm: dict[str, Any]
) -> None:
    _, viewer = somebody(stack, "viewer")
    assert viewer.call("POST", "/api/consoles/tickets", {"kind": "serial", "thing": vm["uuid"]}).status_code == 403
    async with console(viewer, "serial", vm["uuid"], view_only=True) as looking:
        assert not looking.opened["is_writer"]
        await looking.say({"write": "take"})
        await looking.type("\recho never-$((40 + 2))\r")

        async with console(admin, "serial", vm["uuid"]) as line:
            await log_in_to(line)
            await line.type("echo seen-$((40 + 2))\r")
            await looking.stream_has("seen-42")

        assert b"never-42" not in looking.heard.stream


async def test_a_line_is_written_down_on_request(admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "serial", vm["uuid"]) as line:
        await log_in_to(line)
        await line.say({"log": "start"})
        await line.message("notice")
        await line.type("echo kept-$((40 + 2))\r")
        await line.stream_has("kept-42")
        await line.say({"log": "stop"})
        await line.message("notice")

    row = admin.call("GET", f"/api/consoles/logs?thing={vm['uuid']}").json()[0]
    kept = admin.call("GET", f"/api/consoles/logs/{row['uuid']}")
    assert b"kept-42" in kept.content and "attachment" in kept.headers["Content-Disposition"]
    assert admin.call("DELETE", f"/api/consoles/logs/{row['uuid']}").status_code == 204
    assert admin.call("GET", f"/api/consoles/logs/{row['uuid']}").status_code == 404


# -- screens


async def test_a_screen_gives_its_picture_to_several_viewers(admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "vnc", vm["uuid"]) as one, console(admin, "vnc", vm["uuid"], view_only=True) as two:
        screen = await screen_greet(one)
        assert "console-vm" in screen.name
        pixels = await screen_pixels(one, screen)
        assert await screen_greet(two) == screen
        seen = await screen_pixels(two, screen)

        assert len(pixels) == screen.width * screen.height * 4
        assert len(set(pixels)) > 1, "the picture is empty"
        changed = sum(one != two for one, two in zip(pixels, seen, strict=True))
        assert changed < len(pixels) / 100, "two viewers see different screens"  # a cursor blinks


async def test_no_byte_of_a_screen_is_sent_before_the_page_is_ready(admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "vnc", vm["uuid"]) as one:
        await asyncio.sleep(0.5)
        assert one.heard.stream == b""

        await one.say({"ready": True})

        assert await one.take(12) == b"RFB 003.008\n"


def test_qemu_listens_on_no_network(stack: Stack, vm: dict[str, Any]) -> None:
    """S31: screens and serial lines are unix sockets; over the network only the gateway answers, with TLS."""
    for host in (HOST, OTHER):
        assert "qemu" not in stack.inside(host, "ss", "-lntp")


# -- containers and hosts


async def test_a_command_in_a_container_has_a_terminal_of_the_pages_size(
    admin: Login, container: dict[str, Any]
) -> None:
    async with console(admin, "exec", container["uuid"]) as shell:
        await shell.say({"resize": {"columns": 101, "rows": 33}})
        await shell.type("until stty size | grep '33 101'; do sleep 0.1; done; echo exec-$((40 + 2))\r")
        await shell.stream_has("exec-42")
        await shell.type("exit 3\r")

        assert await shell.until_closed() == ENDED
        assert "exit status 3" in shell.heard.messages[-1]["closed"]


async def test_a_command_in_a_container_ends_with_its_viewer(
    stack: Stack, admin: Login, container: dict[str, Any]
) -> None:
    async with console(admin, "exec", container["uuid"], command=["sleep", "7177"]):
        await eventually(lambda: "sleep 7177" in stack.inside(HOST, "ps", "ax"))

    await eventually(lambda: "sleep 7177" not in stack.inside(HOST, "ps", "ax"))


async def test_the_output_of_a_container_is_heard(admin: Login, container: dict[str, Any]) -> None:
    async with console(admin, "attach", container["uuid"]) as output:
        await output.stream_has("STOWAGE tick")


async def test_a_frozen_engine_costs_its_own_consoles_alone(
    stack: Stack, admin: Login, vm: dict[str, Any], container: dict[str, Any]
) -> None:
    async with console(admin, "serial", vm["uuid"]) as line:
        await log_in_to(line)
        stack.inside(HOST, "pkill", "-STOP", "dockerd")
        try:
            waiting = await ConsoleSocket.open(admin, admin.ticket("exec", container["uuid"]))
            for number in range(5):
                await line.type(f"echo still-$(({number} + 100))\r")
                await line.stream_has(f"still-{number + 100}")
            await waiting.until_closed(60)
            assert "does not answer" in waiting.heard.messages[-1]["closed"]
        finally:
            stack.inside(HOST, "pkill", "-CONT", "dockerd")


async def test_a_shell_on_a_host_ends_with_all_that_it_began(stack: Stack, admin: Login, person: ApiPerson) -> None:
    async with console(admin, "shell", person.host(HOST)["uuid"]) as shell:
        await shell.type("hostname; sleep 7277 & \n")
        await shell.stream_has(HOST)
        await eventually(lambda: "sleep 7277" in stack.inside(HOST, "ps", "ax"))

    await eventually(lambda: "sleep 7277" not in stack.inside(HOST, "ps", "ax"))


def test_a_host_that_does_not_allow_shells_has_none(stack: Stack, admin: Login, person: ApiPerson) -> None:
    answer = admin.call("POST", "/api/consoles/tickets", {"kind": "shell", "thing": person.host(OTHER)["uuid"]})
    _, operator = somebody(stack, "operator")
    refused = operator.call("POST", "/api/consoles/tickets", {"kind": "shell", "thing": person.host(HOST)["uuid"]})

    assert answer.status_code == 409 and "not enabled" in answer.json()["message"]
    assert refused.status_code == 403


# -- through a migration, and through restarts


async def test_consoles_follow_their_vm_to_another_host(admin: Login, person: ApiPerson, vm: dict[str, Any]) -> None:
    source = host_of(person, vm)
    target = OTHER if source == HOST else HOST
    async with console(admin, "serial", vm["uuid"]) as line, console(admin, "vnc", vm["uuid"]) as screen:
        await log_in_to(line)
        await line.type("kept=$((40 + 2))\r")
        before = await screen_greet(screen)

        move = {"target": person.host(target)["uuid"]}
        await asyncio.to_thread(person.done, "POST", f"/workloads/{vm['uuid']}/move", move)

        assert await line.message("moved", 60) == {"host": target}
        await line.type("\recho after-$kept\r")
        await line.stream_has("after-42", 60)
        assert await screen.message("moved", 60) == {"host": target}
        screen.heard.stream.clear()
        assert await screen_greet(screen) == before
        assert len(set(await screen_pixels(screen, before))) > 1


async def test_consoles_come_back_after_their_gateway_was_killed(
    stack: Stack, admin: Login, person: ApiPerson, vm: dict[str, Any]
) -> None:
    async with console(admin, "serial", vm["uuid"]) as line:
        await log_in_to(line)
        stack.inside(host_of(person, vm), "pkill", "-KILL", "-f", "lane consoles")

        await line.until(lambda: any("is back" in m.get("notice", "") for m in line.heard.messages), 60)

        await line.type("\recho back-$((40 + 2))\r")
        await line.stream_has("back-42")


# -- tickets and rights


async def test_a_ticket_is_good_once_and_for_its_login_alone(stack: Stack, admin: Login, vm: dict[str, Any]) -> None:
    """S11"""
    ticket = admin.ticket("serial", vm["uuid"])
    _, operator = somebody(stack, "operator")
    same_user = Login(stack.url, stack.username, stack.password)
    for other in (operator, same_user):
        stolen = await ConsoleSocket.open(other, ticket)
        assert await stolen.until_closed() == REFUSED

    first = await ConsoleSocket.open(admin, ticket)
    await first.message("opened")
    second = await ConsoleSocket.open(admin, ticket)

    assert await second.until_closed() == REFUSED
    await first.close()


@pytest.mark.parametrize("loss", ["logout", "role", "account", "password"])
async def test_an_open_console_closes_when_its_user_may_no_longer(stack: Stack, vm: dict[str, Any], loss: str) -> None:
    """S13, S21"""
    name, operator = somebody(stack, "operator")
    user = f"from django.contrib.auth.models import User; user = User.objects.get(username={name!r}); "
    acts = {
        "role": "user.groups.clear()",
        "account": "user.is_active = False; user.save()",
        "password": "user.set_password('another-one-now'); user.save()",
    }
    async with console(operator, "serial", vm["uuid"]) as line:
        if loss == "logout":
            await asyncio.to_thread(operator.log_out)
        else:
            await asyncio.to_thread(stack.manage, "shell", "-c", user + acts[loss])

        assert await line.until_closed() == (FORBIDDEN if loss == "role" else LOGGED_OUT)
        assert "closed" in line.heard.messages[-1]


async def test_an_administrator_ends_somebody_elses_console(stack: Stack, admin: Login, vm: dict[str, Any]) -> None:
    """S59"""
    name, operator = somebody(stack, "operator")
    async with console(operator, "serial", vm["uuid"]) as line:
        row = next(row for row in admin.call("GET", "/api/consoles").json() if row["user"] == name)
        assert admin.call("POST", f"/api/consoles/{row['uuid']}/end").status_code == 204

        assert await line.until_closed() == ENDED
        assert stack.username in line.heard.messages[-1]["closed"]


async def test_a_foreign_page_opens_no_console(admin: Login, vm: dict[str, Any]) -> None:
    """S12"""
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused:
        await ConsoleSocket.open(admin, admin.ticket("serial", vm["uuid"]), origin="https://evil.example")
    assert refused.value.response.status_code == 403


async def test_each_console_is_in_the_audit_log(stack: Stack, admin: Login, vm: dict[str, Any]) -> None:
    async with console(admin, "serial", vm["uuid"]):
        pass

    def verbs() -> list[str]:
        rows = stack.rows("select verb from hosts_auditrecord where thing_name = 'console-vm' order by id desc limit 3")
        return [verb for (verb,) in rows]

    await eventually(lambda: verbs() == ["console_end", "console_open", "console_ask"])


# -- the end of a VM; last, for the others need it


async def test_a_console_ends_with_its_vm(admin: Login, person: ApiPerson, vm: dict[str, Any]) -> None:
    async with console(admin, "serial", vm["uuid"]) as line, console(admin, "vnc", vm["uuid"]) as screen:
        await asyncio.to_thread(person.done, "POST", f"/workloads/{vm['uuid']}/stop?force=true")

        assert await line.until_closed() == ENDED
        assert await screen.until_closed() == ENDED
        assert "stopped" in line.heard.messages[-1]["closed"]
    answer = admin.call("POST", "/api/consoles/tickets", {"kind": "serial", "thing": vm["uuid"]})
    assert answer.status_code == 409 and "Start it first" in answer.json()["message"]


async def eventually(is_so: Any, limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.1)
