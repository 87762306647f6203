"""What cannot be, through the API and against real controllers: a sentence that says what to do, and nothing left."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.stack import Stack

# No lab is in this network (RFC 5737).
ADDRESS = "192.0.2.7"


def enrol(person: ApiPerson, name: str, **wish: Any) -> dict[str, Any]:
    rack = person.get("/hosts/racks")[0]["id"]
    status, begun = person.call("POST", "/hosts", {"name": name, "rack_id": rack, "management_address": ADDRESS} | wish)
    assert status == 201, begun
    return begun


@pytest.fixture(scope="module", autouse=True)
def absent(person: ApiPerson) -> Iterator[dict[str, Any]]:
    """An enrolment for which nobody ever starts a host plane; it fails while the other tests run."""
    begun = enrol(person, "absent", management_address="192.0.2.8", wait_s=1)
    yield begun
    person.ended(begun["operation"])
    person.call("DELETE", f"/hosts/{begun['host']}")


def inventory(stack: Stack) -> list[Any]:
    """What an enrolment writes, but for the one that goes on beside the others."""
    return [
        stack.rows(query)
        for query in (
            "select name, lifecycle, machine_id from hosts_host where name != 'absent' order by name",
            "select url, system from hosts_bmc order by url, system",
            "select count(*) from hosts_bmcproposal",
            "select kind, name from hosts_plane where name != 'absent' order by name",
            "select count(*) from hosts_poolmount",
        )
    ]


def lab_bmc(stack: Stack) -> dict[str, str]:
    """A system that the lab's BMC does not have, with the right user and password."""
    bmc = stack.lab["hosts"][0]["bmc"]
    known = {f"bmc_{name}": bmc[name] for name in ("url", "username", "password")}
    return known | {"bmc_system": str(uuid.uuid4())}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param({"bmc_password": "wrong"}, "does not accept the user or the password", id="wrong BMC credentials"),
        pytest.param({"bmc_url": "http://127.0.0.1:9"}, "cannot be reached. Check its address", id="wrong BMC URL"),
        pytest.param({}, "knows no such system. Check its address", id="wrong BMC system"),
    ],
)
def test_an_enrolment_with_a_wrong_bmc_fails_and_leaves_nothing(
    stack: Stack, person: ApiPerson, wrong: dict[str, str], sentence: str
):
    before = inventory(stack)

    begun = enrol(person, "wrong-bmc", **(lab_bmc(stack) | wrong))
    ended = person.ended(begun["operation"])

    assert ended["state"] == "failed"
    assert sentence in ended["message"]
    assert sentence in person.host("wrong-bmc")["status_sentence"]
    assert person.call("DELETE", f"/hosts/{begun['host']}")[0] == 204
    assert inventory(stack) == before


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        pytest.param({"name": "lab-a1"}, "already a host lab-a1", id="name taken"),
        pytest.param({"management_address": "lab-a1"}, "IPv4 or IPv6 address", id="address that is none"),
        pytest.param({"bmc_url": "127.0.0.1"}, "URL such as https://", id="BMC URL that is none"),
    ],
)
def test_a_host_that_cannot_be_enrolled_is_refused_at_once(
    stack: Stack, person: ApiPerson, wish: dict[str, str], sentence: str
):
    before = inventory(stack)
    rack = person.get("/hosts/racks")[0]["id"]

    wanted = {"name": "never", "rack_id": rack, "management_address": ADDRESS} | wish
    status, answer = person.call("POST", "/hosts", wanted)

    assert (status, answer["error"]) == (422, "Invalid")
    assert sentence in answer["message"]
    assert inventory(stack) == before


def test_the_bmc_of_another_host_is_refused_naming_it(stack: Stack, person: ApiPerson):
    before = inventory(stack)
    rack, known = person.get("/hosts/racks")[0]["id"], stack.lab["hosts"][0]
    bmc = {f"bmc_{name}": value for name, value in known["bmc"].items()}

    wanted = {"name": "never", "rack_id": rack, "management_address": ADDRESS} | bmc
    status, answer = person.call("POST", "/hosts", wanted)

    assert status == 422
    assert f"the BMC of {known['name']}" in answer["message"]
    assert inventory(stack) == before


def test_a_bmc_is_changed_only_for_one_that_answers(stack: Stack, person: ApiPerson):
    known = stack.lab["hosts"][0]
    bmc, path = known["bmc"], f"/hosts/{person.host(known['name'])['uuid']}/bmc"
    kept = "select url, system, username, password_encrypted from hosts_bmc order by url, system"
    before = stack.rows(kept)

    status, operation = person.call("PUT", path, bmc | {"password": "wrong"})

    assert status == 202
    ended = person.ended(operation["uuid"])
    assert (ended["state"], "does not accept the user" in ended["message"]) == ("failed", True)
    assert stack.rows(kept) == before
    assert stack.rows("select count(*) from hosts_bmcproposal") == [(0,)]
    person.done("PUT", path, bmc)
    assert stack.rows(kept) != before  # encrypted anew


def leaning_image(folder: Path) -> Path:
    base, leaning = folder / "base.qcow2", folder / "leaning.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", leaning], check=True)
    return leaning


def junk(folder: Path) -> Path:
    file = folder / "notes.txt"
    file.write_text("these are notes, not a disk")
    return file


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(junk, "not a qcow2 image", id="not an image"),
        pytest.param(leaning_image, "leans on other files", id="qcow2 with a backing file"),
    ],
)
def test_a_file_that_is_no_image_of_its_own_is_refused_and_not_kept(
    stack: Stack, person: ApiPerson, tmp_path: Path, make: Any, sentence: str
):
    def kept() -> tuple[Any, ...]:
        return person.get("/images"), sorted((stack.data_dir / "images").iterdir())

    before = kept()

    status, answer = person.upload("/images", {"name": "never", "format": "qcow2"}, make(tmp_path))

    assert (status, answer["error"]) == (422, "Invalid")
    assert sentence in answer["message"]
    assert kept() == before


def test_a_host_that_nobody_answers_for_fails_its_enrolment_with_what_to_do(
    stack: Stack, person: ApiPerson, absent: dict[str, Any]
):
    """Last, for it takes its time: the command's deadline, and the patience after it."""
    ended = person.ended(absent["operation"])

    assert ended["state"] == "failed"
    assert "Nobody answers on host absent. Is it reachable" in ended["message"]
    assert person.host("absent")["status_sentence"] == ended["message"]
    assert stack.rows("select count(*) from hosts_lease where operation_id is not null") == [(0,)]
    status, answer = person.call("POST", f"/hosts/{absent['host']}/power-off")
    assert (status, "is not enrolled" in answer["message"]) == (409, True)
    assert person.call("DELETE", f"/hosts/{absent['host']}")[0] == 204
    assert stack.rows("select count(*) from hosts_plane where name = 'absent'") == [(0,)]
