"""Charts in a real browser over a real lab: they move with the samples, are zoomed, and are taken away."""

from __future__ import annotations

import csv
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.test_main_job import log_in
from tests.stack import Stack

HOST = "lab-a1"  # it is never freed, so it is on after the main job too
PICTURE = "chart => chart.querySelector('canvas').toDataURL()"


def test_a_chart_moves_with_the_samples_is_zoomed_and_taken_away(
    stack: Stack, page: Page, complaints: list[str], tmp_path: Path
):
    log_in(stack, page)
    cpu = open_charts(page)
    chart = cpu.element_handle()

    said, picture = cpu.get_attribute("aria-label"), cpu.evaluate(PICTURE)
    page.wait_for_function(f"([chart, before]) => ({PICTURE})(chart) !== before", arg=[chart, picture], timeout=15_000)
    expect(cpu).not_to_have_attribute("aria-label", said or "", timeout=15_000)
    assert page.evaluate("window.notReloaded"), "the page was reloaded, it should be live"

    drag(page, cpu)
    expect(page.locator("[data-said]")).to_contain_text(" to 20")
    assert "start=" in page.url and "end=" in page.url

    cpu.locator(".u-over").dblclick()
    expect(page.locator("[data-said]")).to_contain_text("to now, moving")

    with page.expect_download() as download:
        page.get_by_role("button", name="CPU as CSV").click()
    download.value.save_as(tmp_path / "cpu.csv")
    heads, *rows = csv.reader((tmp_path / "cpu.csv").open())
    assert heads[:2] == ["Time (UTC)", "CPU in use (cores)"]
    assert rows and rows[-1][0].endswith("Z")
    with page.expect_download() as download:
        page.get_by_role("button", name="CPU as a picture").click()
    download.value.save_as(tmp_path / "cpu.png")
    assert (tmp_path / "cpu.png").read_bytes().startswith(b"\x89PNG")
    assert complaints == []


def test_two_hosts_are_compared_in_one_chart(stack: Stack, page: Page, complaints: list[str]):
    log_in(stack, page)
    cpu = open_charts(page)
    other = next(host["name"] for host in stack.lab["hosts"] if host["name"] != HOST)

    page.get_by_label("Compare with a host or workload").fill(other)
    page.get_by_role("button", name="Compare").click()

    expect(cpu.locator(".u-legend")).to_contain_text(f"{HOST}: CPU in use")
    expect(cpu.locator(".u-legend")).to_contain_text(f"{other}: CPU in use")
    assert complaints == []


def open_charts(page: Page) -> Locator:
    """The last five minutes of a host; gives the chart of its CPU."""
    page.get_by_role("link", name="Hosts").click()
    page.get_by_role("link", name=HOST, exact=True).first.click()
    page.get_by_role("link", name="All charts").click()
    page.evaluate("window.notReloaded = true")
    with page.expect_response(lambda answer: "/cpu?" in answer.url):
        page.get_by_role("button", name="5 min").click()
    cpu = page.locator("section", has=page.get_by_role("heading", name="CPU", exact=True)).locator("load-chart")
    expect(cpu.locator("canvas")).to_be_visible()
    return cpu


def drag(page: Page, chart: Locator) -> None:
    """Over the end of the chart, where a young lab has samples."""
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + 30, steps=4)
    page.mouse.up()
