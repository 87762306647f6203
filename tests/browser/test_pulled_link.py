"""A cable is pulled out of a lab host: its page shows it, without a reload and within five seconds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.test_main_job import log_in
from tests.lab.cables import MANAGEMENT, SECOND, cable_pulled
from tests.stack import Stack

HOST = "lab-a1"  # it is never freed, so it is on after the main job too
PULLED_MS = 5_000
SILENT_MS = 45_000  # 15 s of silence, and the look for it


def test_a_pulled_link_shows_on_the_page_of_its_host(stack: Stack, page: Page, complaints: list[str]):
    log_in(stack, page)
    open_host(page)
    link = page.locator("tr[data-key=link-eth1] td[data-label=State]")
    expect(link).to_have_text("carrier")

    with cable_pulled(stack, HOST, SECOND):
        within("pulled cable", lambda: expect(link).to_have_text("no carrier", timeout=PULLED_MS))
        expect(page.locator(".page-head .state")).to_have_text("on")
    within("plugged in again", lambda: expect(link).to_have_text("carrier", timeout=PULLED_MS))

    bridge = page.locator(f"tr[data-key=link-{stack.lab['guest_bridge']}] td[data-label=State]")
    expect(bridge).not_to_have_text("down")
    stack.inside(HOST, "ip", "link", "set", stack.lab["guest_bridge"], "down")
    try:
        within("bridge of the VMs down", lambda: expect(bridge).to_have_text("down", timeout=PULLED_MS))
    finally:
        stack.inside(HOST, "ip", "link", "set", stack.lab["guest_bridge"], "up")
    within("bridge up again", lambda: expect(bridge).not_to_have_text("down", timeout=PULLED_MS))
    assert page.evaluate("window.notReloaded"), "the page was reloaded, it should be live"
    assert complaints == []


def test_a_host_whose_management_cable_is_pulled_is_said_not_to_answer(stack: Stack, page: Page):
    """It cuts the host plane off, so nobody can tell which link it was; its return is seen without a reload too."""
    log_in(stack, page)
    open_host(page)
    state = page.locator(".page-head .state")
    expect(state).to_have_text("on")

    with cable_pulled(stack, HOST, MANAGEMENT):
        within("management cable pulled", lambda: expect(state).to_have_text("not answering", timeout=SILENT_MS))
        # The alert about a lost host may stand beside it by then, in a notice of its own.
        expect(page.locator(".notice").filter(has_text=f"{HOST} has not been heard")).to_be_visible()
    within("host back", lambda: expect(state).to_have_text("on", timeout=SILENT_MS))
    assert page.evaluate("window.notReloaded"), "the page was reloaded, it should be live"


def test_what_changes_while_a_page_is_being_opened_is_shown(stack: Stack, page: Page):
    """Between the page's making and its first word with the server lies a moment in which no bell is heard."""
    log_in(stack, page)
    open_host(page)
    address = page.url
    link = page.locator("tr[data-key=link-eth1] td[data-label=State]")
    expect(link).to_have_text("carrier")

    with ExitStack() as pulled:

        def connect_late(socket: WebSocketRoute) -> None:
            pulled.enter_context(cable_pulled(stack, HOST, SECOND))
            until = time.monotonic() + SILENT_MS / 1000
            while has_carrier(stack) and time.monotonic() < until:
                time.sleep(0.1)
            socket.connect_to_server()

        page.route_web_socket(re.compile(r"/ws/live/"), connect_late)
        page.goto(address, wait_until="commit")
        expect(link).to_have_text("carrier")
        expect(page.locator(".link-state")).to_have_text("Live", timeout=SILENT_MS)
        within("change before the first word", lambda: expect(link).to_have_text("no carrier", timeout=PULLED_MS))


def has_carrier(stack: Stack) -> bool:
    """Whether the second link of the host has, as far as the dashboard has been told."""
    ((links,),) = stack.rows(f"select links from hosts_host where name = '{HOST}'")
    return next(link["carrier"] for link in json.loads(links) if link["name"] == "eth1")


def open_host(page: Page) -> None:
    page.goto("/hosts/")
    page.get_by_role("link", name=HOST, exact=True).click()
    expect(page.get_by_role("heading", name=HOST)).to_be_visible()
    page.evaluate("window.notReloaded = true")


def within(what: str, expectation: Callable[[], None]) -> None:
    began = time.monotonic()
    expectation()
    print(f"{what}: shown after {time.monotonic() - began:.2f} s")
