"""What cannot be, as a person meets it in the browser: a sentence that says what to do, and nothing done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_main_job import log_in
from tests.lab.second_plane import second_plane
from tests.lab.test_bad_input import junk, leaning_image
from tests.stack import Stack

HOST = "lab-a1"
TWIN = "twin"
OPERATION_MS = 60_000
SEEN_MS = 20_000  # what was changed by hand is in the inventory


@pytest.fixture(scope="module")
def desk(chromium: Browser, stack: Stack) -> Iterator[Page]:
    """One page for all of them, logged in."""
    context = chromium.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    page = context.new_page()
    log_in(stack, page)
    yield page
    context.close()


def everything(stack: Stack) -> list[object]:
    """What a refused wish could have left in the inventory."""
    return [
        stack.rows(f"select {columns} from {table} order by 1")
        for table, columns in (
            ("hosts_host", "name, lifecycle, machine_id"),
            ("hosts_bmc", "url, system, username, password_encrypted"),
            ("hosts_bmcproposal", "id"),
            ("hosts_plane", "name, token_sha256"),
            ("hosts_lease where operation_id is not null", "thing_kind, thing_id"),
            ("workloads_workload", "uuid, host_id, desired"),
            ("workloads_sighting", "workload_id, host_id"),
            ("workloads_image", "uuid"),
            ("workloads_imagearrival", "uuid"),
        )
    ]


def fill(page: Page, values: dict[str, str]) -> None:
    for label, value in values.items():
        page.get_by_label(label, exact=True).fill(value)


def refused(page: Page, sentence: str) -> None:
    """The form is there again, with the sentence at its field or above it."""
    said = page.locator(".field-error, [role=alert]").filter(has_text=sentence)
    expect(said.first).to_be_visible()


def failed_with(page: Page, sentence: str) -> None:
    """The page of an operation, which ends without a reload."""
    expect(page.locator(".page-head .state")).to_have_text("failed", timeout=OPERATION_MS)
    expect(page.get_by_role("alert")).to_contain_text(sentence)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        pytest.param({"Name": "warehouse"}, "warehouse is the name of a container", id="name taken"),
        pytest.param(
            {"Memory in MiB": "10000000"}, "more memory than any host has", id="more memory than any host has"
        ),
        pytest.param({"Disk in GiB": "100000"}, "is larger than the pool", id="disk larger than the pool"),
    ],
)
def test_a_vm_that_cannot_be_is_a_sentence_in_its_form(stack: Stack, desk: Page, wish: dict[str, str], sentence: str):
    before = everything(stack)

    desk.goto("/workloads/new/vm/")
    desk.get_by_label("Image", exact=True).select_option(index=1)
    fill(desk, {"Name": "never", **wish})
    desk.get_by_role("button", name="Create and start").click()

    refused(desk, sentence)
    assert everything(stack) == before


def test_a_container_of_an_image_that_does_not_exist_fails_with_its_name(stack: Stack, desk: Page):
    before = everything(stack)

    desk.goto("/workloads/new/container/")
    fill(desk, {"Name": "never", "Image": "stowage/no-such-image:9"})
    desk.get_by_label("Host", exact=True).select_option(label=HOST)
    desk.get_by_role("button", name="Create and start").click()

    failed_with(desk, "stowage/no-such-image:9")
    assert "never" not in stack.inside(HOST, "docker", "ps", "-a", "--format", "{{.Names}}").split()
    assert everything(stack) == before


def test_a_file_that_is_no_image_of_its_own_is_a_sentence_in_its_form(stack: Stack, desk: Page, tmp_path: Path):
    before = everything(stack)

    for make, sentence in ((junk, "not a qcow2 image"), (leaning_image, "leans on other files")):
        desk.goto("/images/new/")
        form = desk.locator("piece-upload")
        form.get_by_label("Name", exact=True).fill("never")
        form.get_by_label("What it is").select_option("qcow2")
        form.get_by_label("File", exact=True).set_input_files(make(tmp_path))
        form.get_by_role("button", name="Upload").click()
        refused(desk, sentence)

    expect(desk.locator("piece-upload").get_by_role("button", name="Upload")).to_be_enabled()
    assert everything(stack) == before


def test_a_host_whose_name_is_taken_is_a_sentence_in_its_form(stack: Stack, desk: Page):
    before = everything(stack)

    enrol(desk, HOST, {})

    refused(desk, f"There is already a host {HOST}. Choose another name")
    assert everything(stack) == before


def enrol(page: Page, name: str, bmc: dict[str, str]) -> None:
    page.goto("/hosts/enrol/")
    page.get_by_label("Rack", exact=True).select_option(index=1)
    fill(page, {"Name": name, "Management address": "192.0.2.9", **bmc})
    page.get_by_role("button", name="Enrol the host").click()


def test_a_failed_enrolment_is_corrected_and_a_machine_is_not_enrolled_twice(stack: Stack, desk: Page):
    """One story: wrong credentials, corrected on the host's page; then the machine turns out to be a known one."""
    before = everything(stack)
    bridges = stack.inside(HOST, "ls", "/sys/class/net")
    bmc = stack.lab["hosts"][0]["bmc"]

    stranger = {"BMC address": bmc["url"], "BMC user": bmc["username"], "BMC system": str(uuid.uuid4())}
    enrol(desk, TWIN, stranger | {"BMC password": "wrong"})
    desk.get_by_role("link", name=f"To {TWIN}").click()
    expect(desk.locator(".page-head .state")).to_have_text("enrolment failed", timeout=OPERATION_MS)
    expect(desk.locator(".notice:visible")).to_contain_text("does not accept the user or the password")

    desk.get_by_role("link", name="Correct it and try again").click()
    assert desk.get_by_label("BMC password").input_value() == ""
    assert desk.get_by_label("BMC address").input_value() == bmc["url"]
    fill(desk, {"BMC password": bmc["password"], "BMC system": bmc["system"]})
    desk.get_by_role("button", name="Try again").click()
    refused(desk, f"This is the BMC of {HOST}")
    fill(desk, {"BMC address": ""})
    desk.get_by_role("button", name="Try again").click()
    token = desk.locator("#token").inner_text()

    with second_plane(stack, HOST, TWIN, token):
        desk.get_by_role("link", name="Watch the enrolment").click()
        failed_with(desk, f"This machine is enrolled already, as {HOST}")
    desk.get_by_role("link", name=f"To {TWIN}").click()
    expect(desk.locator(".notice:visible")).to_contain_text("Use that entry")
    assert stack.rows(
        "select count(*) from workloads_sighting s join hosts_host h on h.uuid = s.host_id where h.name = 'twin'"
    ) == [(0,)]

    desk.get_by_role("button", name="Remove from the inventory").click()
    desk.locator("dialog[open] input[name=typed]").fill(TWIN)
    desk.locator("dialog[open]").get_by_role("button", name="Remove from the inventory").click()
    expect(desk.locator(".notice:visible")).to_contain_text(f"{TWIN} is no longer in the inventory")
    assert stack.inside(HOST, "ls", "/sys/class/net") == bridges
    assert everything(stack) == before


def test_a_bmc_that_does_not_let_us_in_is_not_kept(stack: Stack, desk: Page):
    before = everything(stack)
    bmc = stack.lab["hosts"][0]["bmc"]

    desk.goto("/hosts/")
    desk.get_by_role("link", name=HOST, exact=True).click()
    desk.get_by_role("link", name="Change the BMC").click()
    assert desk.get_by_label("BMC password").input_value() == ""
    fill(desk, {"BMC password": "wrong"})
    desk.get_by_role("button", name="Try it and keep it").click()

    failed_with(desk, "The BMC does not accept the user or the password. Correct them.")
    assert everything(stack) == before

    desk.get_by_role("link", name=f"To {HOST}").click()
    desk.get_by_role("link", name="Change the BMC").click()
    fill(desk, {"BMC password": bmc["password"]})
    desk.get_by_role("button", name="Try it and keep it").click()
    expect(desk.locator(".page-head .state")).to_have_text("done", timeout=OPERATION_MS)


@pytest.fixture
def plan(desk: Page) -> Iterator[str]:
    """The address of a proposal, which is put aside afterwards."""
    desk.goto("/")
    desk.get_by_role("button", name="Ask for a plan").click()
    expect(desk.get_by_role("heading", name="Proposed")).to_be_visible(timeout=OPERATION_MS)
    address = desk.url
    yield address
    desk.goto(address)
    desk.get_by_role("button", name="Reject").click()
    expect(desk.locator(".page-head .state")).to_have_text("rejected")


@pytest.fixture
def stranger(stack: Stack, desk: Page, plan: str) -> Iterator[str]:
    """The name of a container that somebody made by hand after the plan, once it is in the inventory."""
    name = f"by-hand-{uuid.uuid4().hex[:6]}"
    stack.inside(HOST, "docker", "run", "-d", "--name", name, "stowage/tiny:1")
    try:
        desk.goto(f"/workloads/?q={name}")
        expect(desk.locator("tbody tr", has_text=name)).to_contain_text("running", timeout=SEEN_MS)
        yield name
    finally:
        stack.inside(HOST, "docker", "rm", "-f", name)


def test_a_plan_older_than_the_world_is_refused_and_nothing_is_done(stack: Stack, desk: Page, plan: str, stranger: str):
    operations = "select count(*) from hosts_operation"
    before = stack.rows(operations)

    desk.goto(plan)
    desk.get_by_role("button", name="Approve and carry out").click()
    desk.locator("dialog[open]").get_by_role("button", name="Approve and carry out").click()

    refused(desk, f"The data center has changed since this plan was made: {stranger} is new")
    expect(desk.get_by_role("alert").first).to_contain_text("Ask for a new plan")
    expect(desk.locator(".page-head .state")).to_have_text("proposed")
    token = desk.locator("meta[name=csrf-token]").get_attribute("content") or ""
    number = plan.rstrip("/").rpartition("/")[2]
    answer = desk.request.post(f"/api/plans/{number}/approve", headers={"X-CSRFToken": token, "Referer": plan})
    assert (answer.status, answer.json()["error"]) == (409, "Refused")
    assert "Ask for a new plan" in answer.json()["message"]
    assert stack.rows(operations) == before
    acts = f"select distinct state from datacenter_planaction where plan_id = '{number.replace('-', '')}'"
    assert stack.rows(acts) == [("waiting",)]
