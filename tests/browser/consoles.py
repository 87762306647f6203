"""What tests do with a console's page, and what they see there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

BOOT_MS = 90_000  # a guest without KVM on a busy machine
OPEN_MS = 30_000

# The brightness of the guest's picture, of which a text console has little and a blank one none.
_BRIGHT = """() => {
    const canvas = document.querySelector("vnc-console canvas");
    if (!canvas || !canvas.width) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let bright = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at] + data[at + 1] + data[at + 2] > 300) bright += 1;
    return bright;
}"""


def open_console(page: Page, workload: str, kind: str) -> None:
    page.goto(f"/workloads/{workload}/console/{kind}/")
    is_connected(page)


def is_connected(page: Page, limit_ms: int = OPEN_MS) -> None:
    expect(page.locator("[data-part=state]")).to_have_text("Connected", timeout=limit_ms)


def notice_says(page: Page, text: str, limit_ms: int = OPEN_MS) -> None:
    expect(page.locator("[data-part=notice]")).to_contain_text(text, timeout=limit_ms)


def terminal_shows(page: Page, text: str, limit_ms: int = OPEN_MS) -> None:
    expect(page.locator(".xterm-rows")).to_contain_text(text, timeout=limit_ms)


def guest_logs_in(page: Page) -> None:
    """Root's shell on the serial line, from the login prompt."""
    terminal_shows(page, "login:", BOOT_MS)
    page.locator(".xterm").click()
    page.keyboard.type("root\r")
    terminal_shows(page, "built-in shell", BOOT_MS)


def terminal_answers(page: Page, number: int) -> None:
    """Something computes there: the answer is not what was typed."""
    page.locator(".xterm").click()
    page.keyboard.type(f"expr {number} + 1\r")
    terminal_shows(page, str(number + 1))


def bright_pixels(page: Page) -> int:
    return int(page.evaluate(_BRIGHT))


def eventually(
    what: str, is_so: Callable[[], Any], limit_s: float = OPEN_MS / 1000, *, page: Page | None = None
) -> None:
    """Give `page` where its messages are awaited: Playwright hands them out only while it is waited in."""
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until, f"{what}: not within {limit_s:.0f} s"
        if page is None:
            time.sleep(0.2)
        else:
            page.wait_for_timeout(100)
