"""The main job as a person does it: look, ask for a plan, approve it, watch it, see hosts go dark, wake one.

One story in one test, since each of its acts stands on the one before.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Locator, Page, expect

from tests.browser.ticks import TickWatch
from tests.stack import Stack

WORKLOADS = {
    "web-1", "database-1", "shop-1", "batch-1", "shop-2", "mail-1",
    "warehouse", "cache-1", "proxy-1", "api-1", "queue-1", "reports-1",
}  # fmt: skip
EXECUTION_LIMIT_S = 180
WAKE_LIMIT_S = 90
BEHIND_OUR_BACK_S = 5.0
SETTLE_MS = 40_000  # after enrolment: adoption, first samples, engines that start slowly on a busy machine
SLIDE_MS = 500  # the navigation slides away


def test_a_data_center_is_consolidated(stack: Stack, page: Page, complaints: list[str], shots: Path):
    log_in(stack, page)
    everything_is_seen(stack, page)
    pictures(page, shots, "overview")

    plan_is_proposed(page)
    hosts_that_stay_say_why(page)
    pictures(page, shots, "plan")
    guests_have_booted(stack)
    processes = {host["name"]: processes_of(host["init_pid"]) for host in stack.lab["hosts"]}

    with TickWatch(stack.data_dir) as ticks:
        plan_is_carried_out(page)
        moved = moves_of(page)
        ticks.wait_for([(vm, moved[name][1]) for name, vm in vms_of(stack).items() if name in moved])
    pictures(page, shots, "plan-done")

    freed = freed_hosts_are_dark(page)
    for name in freed:
        assert not alive(processes[name]), f"{name} was switched off, and these still live: {alive(processes[name])}"
    assert running_by_name(stack, freed) == Counter(WORKLOADS)
    no_moved_vm_was_rebooted(stack, ticks, moved)
    savings_are_shown(page)
    pictures(page, shots, "overview-after")

    host_is_woken(stack, page, sorted(freed)[0])
    pictures(page, shots, "host")
    changes_behind_our_back_show(stack, page)
    assert complaints == []


def log_in(stack: Stack, page: Page) -> None:
    page.goto("/")
    page.get_by_label("User name").fill(stack.username)
    page.get_by_label("Password").fill(stack.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def everything_is_seen(stack: Stack, page: Page) -> None:
    for host in stack.lab["hosts"]:
        tile = tile_of(page, host["name"])
        expect(tile.locator(".state").first).to_have_text("on", timeout=SETTLE_MS)
        expect(tile.locator(".load").first).to_contain_text(re.compile(r"\d+ %"), timeout=SETTLE_MS)  # a sample came
    for name in WORKLOADS:
        expect(chip_of(page, name)).to_contain_text("running", timeout=SETTLE_MS)


def plan_is_proposed(page: Page) -> None:
    began = time.monotonic()
    page.get_by_role("button", name="Ask for a plan").click()
    expect(page.get_by_role("heading", name="Proposed")).to_be_visible(timeout=60_000)
    print(f"\nplan proposed after {time.monotonic() - began:.1f} s")


def hosts_that_stay_say_why(page: Page) -> None:
    kept = page.locator("section[data-key=kept]")
    expect(kept).to_contain_text("cannot be freed: database-1 is pinned")
    expect(kept).to_contain_text("cannot be freed: warehouse: needs 5,120 MiB of memory")


def plan_is_carried_out(page: Page) -> None:
    page.get_by_role("button", name="Approve and carry out").click()
    page.locator("dialog[open]").get_by_role("button", name="Approve and carry out").click()
    began = time.monotonic()
    expect(page.get_by_role("button", name="Stop the plan")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    badge = page.locator(".page-head .state")
    expect(badge).not_to_have_text("running", timeout=EXECUTION_LIMIT_S * 1000)
    print(f"plan carried out after {time.monotonic() - began:.1f} s")
    expect(badge, page.locator("section[data-key=acts]").inner_text()).to_have_text("done")
    assert page.evaluate("window.notReloaded"), "the page was reloaded, it should be live"


def moves_of(page: Page) -> dict[str, tuple[str, str]]:
    """Workload -> (source, target), from the acts of the plan's page."""
    moved = {}
    for row in page.locator("section[data-key=acts] tbody tr").all():
        _number, verb, name, *_ = row.locator("td").first.inner_text().split()
        expect(row.locator("td[data-label=State] .state")).to_have_text("done")
        if verb == "move":
            source, target = row.locator("td[data-label=Where]").inner_text().split("→")
            moved[name] = (source.strip(), target.strip())
    assert moved
    return moved


def freed_hosts_are_dark(page: Page) -> set[str]:
    """Names of the hosts that the overview shows as switched off."""
    page.get_by_role("link", name="Overview").click()
    dark = page.locator("article.tile.is-off")
    expect(dark.first).to_be_visible()
    names = {tile.locator("header a").inner_text() for tile in dark.all()}
    assert names
    for name in names:
        expect(tile_of(page, name).locator(".state").first).to_have_text("off")
    for name in WORKLOADS:
        expect(chip_of(page, name)).to_contain_text("running", timeout=SETTLE_MS)
    return names


def savings_are_shown(page: Page) -> None:
    card = page.locator(".figure-card", has_text="Saved in a year at this rate")
    assert int(re.sub(r"\D", "", card.locator(".big").inner_text())) > 0
    card.get_by_text("How it is computed").click()
    expect(card.locator("details div")).to_contain_text("W")


def host_is_woken(stack: Stack, page: Page, name: str) -> None:
    began = time.monotonic()
    tile_of(page, name).get_by_role("link", name=name, exact=True).click()
    page.get_by_role("button", name="Wake").click()
    expect(page.locator(".page-head .state")).to_have_text("on", timeout=WAKE_LIMIT_S * 1000)
    print(f"{name} woken after {time.monotonic() - began:.1f} s")
    lab = json.loads((stack.data_dir / "lab" / "lab.json").read_text())
    (host,) = (row for row in lab["hosts"] if row["name"] == name)
    assert host["power_state"] == "On" and Path(f"/proc/{host['init_pid']}").exists()
    expect(page.locator("section[data-key=load]")).to_contain_text(re.compile(r"\d+ %"))


def changes_behind_our_back_show(stack: Stack, page: Page) -> None:
    page.get_by_role("link", name="Overview").click()
    places = places_of(stack)
    chip = chip_of(page, "web-1")
    expect(chip).to_contain_text("running")

    stack.inside(places["web-1"], "virsh", "destroy", "web-1")
    within("virsh destroy", lambda limit: expect(chip).not_to_contain_text("running", timeout=limit))
    stack.inside(places["web-1"], "virsh", "start", "web-1")
    within("virsh start", lambda limit: expect(chip).to_contain_text("running", timeout=limit))
    stack.inside(places["cache-1"], "docker", "rm", "-f", "cache-1")
    gone = page.locator(".chip", has_text=re.compile(r"\bcache-1\b.*running", re.DOTALL))
    within("docker rm", lambda limit: expect(gone).to_have_count(0, timeout=limit))


def within(what: str, expectation) -> None:
    began = time.monotonic()
    expectation(BEHIND_OUR_BACK_S * 1000)
    print(f"{what} seen after {time.monotonic() - began:.1f} s")


def tile_of(page: Page, host: str) -> Locator:
    return page.locator(f'article.tile[aria-label^="Host {host},"]')


def chip_of(page: Page, workload: str) -> Locator:
    return page.locator(".chip", has=page.get_by_text(workload, exact=True))


def guests_have_booted(stack: Stack, limit_s: float = 60.0) -> None:
    """Returns when each VM of the lab counts; a guest that is still booting proves nothing by moving."""
    until = time.monotonic() + limit_s
    logs = "lab/hosts/*/libvirt-log/qemu/*-serial.log"
    while silent := [log for log in stack.data_dir.glob(logs) if b"STOWAGE tick" not in log.read_bytes()]:
        assert time.monotonic() < until, f"These guests do not count: {silent}"
        time.sleep(0.5)


def places_of(stack: Stack) -> dict[str, str]:
    """Workload -> host, as the database has it."""
    query = "select w.name, h.name from workloads_workload w join hosts_host h on h.uuid = w.host_id"
    return dict(stack.rows(query))


def running_by_name(stack: Stack, off: set[str]) -> Counter[str]:
    """How often each workload runs, asked of libvirt and Docker on every host that is on."""
    found: Counter[str] = Counter()
    for host in (row["name"] for row in stack.lab["hosts"] if row["name"] not in off):
        found.update(stack.inside(host, "virsh", "list", "--name").split())
        found.update(stack.inside(host, "docker", "ps", "--format", "{{.Names}}").split())
    return found


def no_moved_vm_was_rebooted(stack: Stack, ticks: TickWatch, moved: dict[str, tuple[str, str]]) -> None:
    vms = vms_of(stack)
    for name in sorted(set(vms) & set(moved)):
        source, target = moved[name]
        uuid = vms[name]
        over = ticks.handover(uuid, source, target)
        print(
            f"{name}: {source} -> {target}, tick {over.last_at_source} then {over.first_at_target}, "
            f"{over.seconds_between:.2f} s between them, blackout about {max(0.0, over.seconds_between - 1):.2f} s"
        )
        count = ticks.count(uuid, source, target)
        assert count == list(range(count[0], count[0] + len(count))), f"{name} did not go on counting: {count}"
        assert over.first_at_target > 1
    assert set(vms) & set(moved), "no VM was moved"


def vms_of(stack: Stack) -> dict[str, str]:
    """VM -> its uuid as libvirt writes it."""
    rows = stack.rows("select name, uuid from workloads_workload where kind = 'vm'")
    return {name: str(UUID(raw)) for name, raw in rows}


def processes_of(init_pid: int) -> set[tuple[int, str]]:
    """(pid, start time) of what runs in the same pid namespace as a lab host's first process."""
    namespace = os.readlink(f"/proc/{init_pid}/ns/pid")
    return {(pid, started) for pid, started in all_processes() if namespace_of(pid) == namespace}


def all_processes() -> set[tuple[int, str]]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found.add((int(folder.name), fields[19]))
    return found


def namespace_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    return processes & all_processes()


def pictures(page: Page, shots: Path, name: str) -> None:
    """Pictures of the page for a person to look at: light, dark, and as on a telephone."""
    page.screenshot(path=shots / f"{name}.png", full_page=True)
    page.locator("theme-toggle button").click()
    page.screenshot(path=shots / f"{name}-dark.png", full_page=True)
    page.locator("theme-toggle button").click()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(SLIDE_MS)
    page.screenshot(path=shots / f"{name}-narrow.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
