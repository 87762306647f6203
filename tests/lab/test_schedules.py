"""A schedule that the real beat rings for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST
from tests.stack import Stack

# Beat looks for new schedules every few seconds; the sweep comes once a minute.
RUNG_LIMIT_S = 90.0


def test_a_container_is_stopped_when_its_schedule_is_due_and_not_again(
    stack: Stack, person: ApiPerson, container: dict[str, Any]
):
    due_at = datetime.now(UTC) + timedelta(seconds=8)
    wish = {"name": "flow-stop", "verb": "stop", "workload": container["uuid"], "at": due_at.isoformat()}
    status, schedule = person.call("POST", "/schedules", wish)
    assert status == 201, schedule
    try:
        until = time.monotonic() + RUNG_LIMIT_S
        while not (runs := person.get(f"/schedules/{schedule['uuid']}")["runs"]):
            assert time.monotonic() < until, "nobody rang"
            time.sleep(0.5)
        late_s = (datetime.now(UTC) - due_at).total_seconds()
        print(f"begun {late_s:.1f} s after its time")
        assert late_s >= 0
        assert person.ended(runs[0]["operation"])["state"] == "done"
        assert "exited" in stack.inside(HOST, "docker", "inspect", "-f", "{{.State.Status}}", "flow-box")
        now = person.get(f"/schedules/{schedule['uuid']}")
        assert (len(now["runs"]), now["is_enabled"], now["next_due_at"]) == (1, False, None)
    finally:
        person.call("DELETE", f"/schedules/{schedule['uuid']}")
