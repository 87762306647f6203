"""Storage as the lab's hosts have it: the shared pool, whose each file is, and the end of one that nobody owns."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, eventually
from tests.stack import Stack

SHARED = "/var/lib/stowage/shared"
LEFT = "44444444-4444-4444-4444-444444444444-vda.qcow2.1700000000.stowage-left"
SEEN_WITHIN_S = 20.0  # a new file is told with the next observation


def shared_pool(person: ApiPerson) -> dict[str, Any]:
    return next(pool for pool in person.get("/storage") if pool["shared"])


def files_of(person: ApiPerson) -> dict[str, dict[str, Any]]:
    return {file["name"]: file for file in shared_pool(person)["files"]}


def test_files_are_shown_with_their_owner_and_one_of_nobody_is_removed(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    names = {row["name"] for row in stack.lab["hosts"]}
    on = {row["name"] for row in person.get("/hosts") if row["power"] == "on"}
    assert names & on <= set(shared_pool(person)["hosts"]) <= names
    eventually(lambda: any(file["owner"] == vm["uuid"] for file in files_of(person).values()), SEEN_WITHIN_S)
    disk = next(file for file in files_of(person).values() if file["owner"] == vm["uuid"])
    status, answer = person.call("DELETE", f"/storage/files/{disk['uuid']}")
    assert status == 409 and "It is a disk of flow-vm" in answer["message"]

    stack.inside(HOST, "sh", "-c", f"echo left > {SHARED}/{LEFT}; echo iso > {SHARED}/by-hand.iso")
    try:
        eventually(lambda: {LEFT, "by-hand.iso"} <= files_of(person).keys(), SEEN_WITHIN_S)
        status, answer = person.call("DELETE", f"/storage/files/{files_of(person)['by-hand.iso']['uuid']}")
        assert status == 409 and "not made by Stowage" in answer["message"]

        person.done("DELETE", f"/storage/files/{files_of(person)[LEFT]['uuid']}")

        assert LEFT not in stack.inside(HOST, "ls", SHARED)
        assert LEFT not in files_of(person)
    finally:
        stack.inside(HOST, "rm", "-f", f"{SHARED}/{LEFT}", f"{SHARED}/by-hand.iso")
    eventually(lambda: "by-hand.iso" not in files_of(person), SEEN_WITHIN_S)
