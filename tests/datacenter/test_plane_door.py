from __future__ import annotations

from typing import Any

import pytest

from datacenter.plane_door import PlaneDoor

LAB_ADDRESS = "10.77.0.1"


async def answer(came_in_on: str, path: str, kind: str = "http", closed: str | None = LAB_ADDRESS) -> list[Any]:
    """What was sent for one request; the dashboard behind the door says "dashboard"."""
    sent: list[Any] = []

    async def dashboard(scope: Any, receive: Any, send: Any) -> None:
        await send("dashboard")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    await PlaneDoor(dashboard, closed)({"type": kind, "server": (came_in_on, 8400), "path": path}, receive, send)
    return sent


@pytest.mark.parametrize("path", ["/", "/login/", "/admin/", "/plane/v10", "/plane/v1"])
async def test_a_lab_host_finds_no_page(path: str):
    sent = await answer(LAB_ADDRESS, path)

    assert sent[0]["status"] == 404


async def test_a_lab_host_finds_the_planes_api():
    assert await answer(LAB_ADDRESS, "/plane/v1/me") == ["dashboard"]


async def test_a_lab_host_gets_no_websocket():
    assert await answer(LAB_ADDRESS, "/ws/live/", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


async def test_a_person_on_loopback_finds_every_page():
    assert await answer("127.0.0.1", "/login/") == ["dashboard"]


async def test_the_door_stands_open_where_the_operator_said_so():
    assert await answer(LAB_ADDRESS, "/login/", closed=None) == ["dashboard"]
