"""What the lab could lose right now, as its page says, against what its hosts themselves say runs there."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually
from tests.stack import Stack

LOOKED_WITHIN_S = 130.0  # a look each minute; what was begun in one is in the next


def test_everything_that_runs_on_a_host_is_either_started_elsewhere_or_waits_with_a_reason(
    stack: Stack, person: ApiPerson
):
    def told() -> dict[str, Any]:
        return {row["name"]: row for site in person.get("/losses") for row in site["hosts"] if site["site"] == "lab"}

    def is_all_accounted_for() -> bool:
        rows = told()
        for host in person.lab_hosts_on():
            runs = set(stack.inside(host["name"], "virsh", "list", "--name").split())
            runs |= set(stack.inside(host["name"], "docker", "ps", "--format", "{{.Names}}").split())
            row = rows.get(host["name"])
            if row is None:
                return False
            known = {one["name"] for one in row["waits"]}
            known |= {person.get(f"/workloads/{uuid}")["name"] for uuid in row["restarts"]}
            if not runs <= known:
                return False
        return bool(rows)

    eventually(is_all_accounted_for, LOOKED_WITHIN_S)
    waits = [one["why"] for row in told().values() for one in row["waits"]]
    assert any("starts" in why and "again by itself" in why for why in waits), "a container waits for its host"
