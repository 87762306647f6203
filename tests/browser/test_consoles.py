"""Consoles as a person uses them: real guests behind, the real Chromium in front."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, WebSocketRoute, expect

from tests.browser.consoles import (
    BOOT_MS,
    bright_pixels,
    eventually,
    guest_logs_in,
    is_connected,
    notice_says,
    open_console,
    terminal_answers,
    terminal_shows,
)
from tests.browser.fake_consoles import REPLAY
from tests.browser.test_main_job import log_in
from tests.lab.api_person import ApiPerson
from tests.lab.test_consoles import PASSWORD, somebody
from tests.proxies import free_port, nginx, proxy_run
from tests.stack import Stack

# Neither is ever freed by the main job, so a VM of our own can be on both.
HOST, OTHER = "lab-a1", "lab-b1"
CONTAINER = "proxy-1"
FOLLOW_MS = 60_000
SUPERVISOR_MS = 60_000  # it starts a part again that was killed
SILENCE_MS = 30_000  # after 27 s without a word a page gives its line up
LOST = 4000  # no code that the server knows
IDLE_S = 3.0  # a proxy that closes what is silent for so long
REPLIES = re.compile(rb"\x1b\[\d+;\d+R|\x1b\[[?>]?[\d;]*c")


@pytest.fixture(scope="module")
def person(stack: Stack) -> ApiPerson:
    return ApiPerson(stack)


@pytest.fixture(scope="module")
def login(chromium: Browser, stack: Stack) -> Any:
    """One login for all tests, as a browser keeps it."""
    context = chromium.new_context(base_url=stack.url)
    log_in(stack, context.new_page())
    yield context.storage_state()
    context.close()


@pytest.fixture
def context(chromium: Browser, stack: Stack, login: Any) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        base_url=stack.url, storage_state=login, viewport={"width": 1280, "height": 900}, accept_downloads=True
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def vm(person: ApiPerson, chromium: Browser, stack: Stack, login: Any) -> Iterator[str]:
    """The uuid of a running VM of our own, on whose serial line root has logged in."""
    image = next(row["uuid"] for row in person.get("/images") if row["format"] == "qcow2")
    wanted = {"name": "screen-vm", "image": image, "memory_mib": 128, "disk_gib": 0.5}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    made = person.workload("screen-vm")
    assert made is not None
    context = chromium.new_context(base_url=stack.url, storage_state=login)
    page = context.new_page()
    open_console(page, made["uuid"], "serial")
    guest_logs_in(page)
    context.close()
    yield made["uuid"]
    path = f"/workloads/{made['uuid']}"
    person.call("POST", f"{path}/stop?force=true")
    eventually("the VM is taken away", lambda: person.call("DELETE", path)[0] == 202)
    eventually("the VM is gone", lambda: person.workload("screen-vm") is None)


def test_a_serial_line_answers_what_is_typed(vm: str, page: Page, complaints: list[str]):
    open_console(page, vm, "serial")

    terminal_shows(page, "built-in shell")  # what was said before is replayed
    terminal_answers(page, 123456)

    assert complaints == []  # the policy refuses no style either


def test_a_screen_is_seen_and_changes_as_one_types(vm: str, page: Page, complaints: list[str], shots: Path):
    open_console(page, vm, "vnc")
    eventually("the guest's picture", lambda: bright_pixels(page) > 500, BOOT_MS / 1000)
    before = bright_pixels(page)

    page.locator("vnc-console canvas").click()
    page.keyboard.type("root\n")

    eventually("the picture changes", lambda: bright_pixels(page) > before + 500)
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.screenshot(path=shots / "console-screen.png")
    assert complaints == []


def test_a_command_runs_in_a_container(person: ApiPerson, page: Page, complaints: list[str]):
    container = person.workload(CONTAINER)
    assert container is not None
    open_console(page, container["uuid"], "exec")

    terminal_answers(page, 4241)
    page.keyboard.type("exit\r")

    expect(page.locator("[data-part=sentence]")).to_have_text("The command ended with exit status 0.")
    assert complaints == []


def test_consoles_follow_a_live_migration_by_themselves(
    person: ApiPerson, vm: str, page: Page, context: BrowserContext, complaints: list[str]
):
    open_console(page, vm, "serial")
    screen = context.new_page()
    open_console(screen, vm, "vnc")
    eventually("the guest's picture", lambda: bright_pixels(screen) > 500, BOOT_MS / 1000)

    person.done("POST", f"/workloads/{vm}/move", {"target": person.host(OTHER)["uuid"]})

    notice_says(page, f"It moved to {OTHER}; the console went with it.", FOLLOW_MS)
    notice_says(screen, f"It moved to {OTHER}; the console went with it.", FOLLOW_MS)
    terminal_answers(page, 654320)  # in the shell that was there before the move
    eventually("the picture is back", lambda: bright_pixels(screen) > 500)
    assert complaints == []


def test_a_ticket_opens_one_console_of_the_login_that_asked_for_it(
    stack: Stack, vm: str, page: Page, chromium: Browser
):
    page.goto("/")
    name, _ = somebody(stack, "operator")
    others = chromium.new_context(base_url=stack.url)
    other = others.new_page()
    log_in_as(other, name, PASSWORD)

    stolen = page.evaluate(ASK, vm)

    assert other.evaluate(USE, stolen) == 4408
    used = page.evaluate(ASK, vm)
    assert page.evaluate(USE, used) == 0
    assert page.evaluate(USE, used) == 4408
    others.close()


def test_consoles_come_back_after_a_restart_of_the_web_process(
    stack: Stack, vm: str, page: Page, context: BrowserContext
):
    open_console(page, vm, "serial")
    screen = context.new_page()
    open_console(screen, vm, "vnc")

    os.kill(stack.pid_of("web"), signal.SIGKILL)

    for one in (page, screen):
        expect(one.locator("[data-part=state]")).to_have_text("Waiting")
    for one in (page, screen):
        is_connected(one, SUPERVISOR_MS)
    terminal_answers(page, 777700)
    eventually("the picture is back", lambda: bright_pixels(screen) > 500)


def test_a_console_works_by_tls_behind_nginx_and_outlives_its_idle_time_out(
    stack: Stack, vm: str, chromium: Browser, tmp_path: Path
):
    """A second web process, told that it is behind TLS, beside the one of the run."""
    behind = free_port()
    words = ("web", "--port", str(behind), "--ping-s", "1")
    settings = {"STOWAGE_BEHIND_TLS": "1", "STOWAGE_PORT": str(behind), "ALLOWED_HOSTS": "localhost"}
    with stack.running(*words, **settings), proxy_run(nginx, tmp_path, behind, IDLE_S) as port:
        context = chromium.new_context(base_url=f"https://localhost:{port}", ignore_https_errors=True)
        page = context.new_page()
        eventually("the web process", lambda: page.goto("/login/").ok)  # type: ignore[union-attr]
        log_in_as(page, stack.username, stack.password)
        open_console(page, vm, "vnc")
        before = tickets(stack)

        time.sleep(2 * IDLE_S)  # the screen is still: only pings go through

        is_connected(page)
        assert tickets(stack) == before, "the console was closed and had to be opened anew"
        open_console(page, vm, "serial")
        terminal_answers(page, 900100)
        context.close()


# -- the browser's side alone: the server is played ------------------------------------------------------------


def test_what_a_guest_writes_sets_nothing_and_old_questions_are_not_answered(vm: str, page: Page):
    console = PlayedConsole(page)
    open_console(page, vm, "serial")
    title = page.title()

    terminal_shows(page, "true colour")
    page.wait_for_timeout(500)

    assert page.title() == title
    assert page.locator(".xterm-rows a, .xterm-link-layer a").count() == 0
    assert not REPLIES.search(console.typed), console.typed
    colour = page.locator(".xterm-rows span", has_text="true").first.evaluate("one => getComputedStyle(one).color")
    assert colour == "rgb(255, 120, 0)"
    page.locator(".xterm").click()
    page.keyboard.type("x")
    eventually("what is typed is sent", lambda: console.typed == b"x", page=page)


def test_who_only_watches_sends_nothing_until_they_take_over(vm: str, page: Page):
    console = PlayedConsole(page, writer=False, writer_name="<b>anna</b>")
    open_console(page, vm, "serial")
    expect(page.locator("[data-part=mode]")).to_have_text("you watch, <b>anna</b> writes")

    page.locator(".xterm").click()
    page.keyboard.type("rm -rf /")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.xterm') === null"), "a watcher's Tab is not kept"
    page.get_by_role("button", name="Take over").click()
    expect(page.locator("[data-part=mode]")).to_have_text("you write")
    page.locator(".xterm").click()
    page.keyboard.type("y")

    eventually("what is typed is sent", lambda: console.typed == b"y", page=page)
    assert {"write": "take"} in console.said


def test_all_keys_go_to_the_guest_but_the_one_that_leaves(vm: str, page: Page):
    console = PlayedConsole(page)
    open_console(page, vm, "serial")
    page.locator(".xterm").click()
    page.wait_for_timeout(300)

    page.keyboard.press("Tab")
    eventually("Tab is sent", lambda: console.typed == b"\t", page=page)
    page.keyboard.press("Control+Alt+KeyG")

    assert page.evaluate("document.activeElement.closest('[role=toolbar]') !== null")
    page.keyboard.press("Control+Alt+KeyG")
    assert page.evaluate("document.activeElement.closest('.xterm') !== null")
    assert console.typed == b"\t"


def test_a_line_that_died_without_a_word_is_opened_anew(vm: str, page: Page):
    """A cut network closes no socket; the page's other line to the server is silent then, too."""
    page.clock.install()
    page.route_web_socket(re.compile("/ws/live/"), lambda socket: None)  # says nothing, ever
    console = PlayedConsole(page)
    open_console(page, vm, "serial")
    asked = console.tickets

    page.clock.fast_forward(SILENCE_MS)

    eventually("another ticket", lambda: console.tickets > asked, page=page)
    is_connected(page)


def test_a_shell_whose_line_is_lost_is_not_begun_anew_unasked(person: ApiPerson, page: Page):
    """Half a command must not be typed into another shell."""
    container = person.workload(CONTAINER)
    assert container is not None
    console = PlayedConsole(page, kind="exec")
    open_console(page, container["uuid"], "exec")

    console.cut()

    expect(page.locator("[data-part=sentence]")).to_have_text("The connection was lost, and what ran in it has ended.")
    page.wait_for_timeout(2_000)
    assert console.tickets == 1
    page.get_by_role("button", name="Open it again").click()
    is_connected(page)


class PlayedConsole:
    """Plays the server of one console for a page. What the page sent is in `typed` and `said`."""

    def __init__(self, page: Page, writer: bool = True, writer_name: str = "", kind: str = "serial") -> None:
        self.typed = b""
        self.said: list[Any] = []
        self.tickets = 0
        self._first = {"kind": kind, "is_writer": writer, "writer_name": writer_name}
        self._socket: WebSocketRoute | None = None
        page.route("**/api/consoles/tickets", self._give)
        page.route_web_socket(re.compile("/live/console/"), self._play)

    def cut(self) -> None:
        """The line is lost, without a reason."""
        assert self._socket is not None
        self._socket.close(code=LOST)

    def _give(self, route: Route) -> None:
        self.tickets += 1
        route.fulfill(status=201, body='{"ticket": "played", "expires_s": 30}')

    def _play(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        socket.on_message(lambda message: self._hear(socket, message))

    def _hear(self, socket: WebSocketRoute, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.typed += message
            return
        said = json.loads(message)
        self.said.append(said)
        if said == {"ticket": "played"}:
            opened = {"name": "web-1", "host": "node-1", "viewers": 2, "is_followed": True}
            socket.send(json.dumps({"opened": opened | self._first}))
            socket.send(REPLAY)
        elif "write" in said:
            socket.send(json.dumps({"writer": True, "viewers": 2, "writer_name": "admin"}))


def tickets(stack: Stack) -> int:
    """How many were given out so far."""
    return int(stack.rows("select count(*) from workloads_console")[0][0])


def log_in_as(page: Page, name: str, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


# A ticket for the serial line of a VM.
ASK = """async (thing) => {
    const token = document.querySelector("meta[name=csrf-token]").content;
    const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
    const body = JSON.stringify({ kind: "serial", thing, view_only: true });
    const answer = await fetch("/api/consoles/tickets", { method: "POST", headers, body });
    return (await answer.json()).ticket;
}"""
# 0 where the ticket opens a console, else the code with which the socket is closed.
USE = """(ticket) => new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/live/console/`);
    socket.onopen = () => socket.send(JSON.stringify({ ticket }));
    socket.onclose = ({ code }) => done(code);
    socket.onmessage = ({ data }) => {
        if (typeof data !== "string" || !JSON.parse(data).opened) return;
        done(0);
        socket.close();
    };
})"""
