from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hosts.errors import Refused
from hosts.plane.app import make_app
from hosts.plane.reports import Publisher, Resender
from hosts.plane.state_file import StateFile
from hosts.signing import canonical, signature_of, signing_key
from tests.hosts.plane.redis_peer import RedisPeer

KEY = signing_key("token")
STEP = {"operation": "op", "step": "first", "direction": "do", "attempt": 1}


def signed(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {name: data, "signature": signature_of(KEY, canonical(data))}


def report_keep(state: StateFile) -> tuple[str, dict[str, Any]]:
    state.step_started("op:first:do", 1)
    return state.step_finished("op:first:do", "done", STEP | {"state": "done", "output": {"n": 1}})


def test_a_report_goes_to_queue_control_under_its_name_and_is_marked_sent(
    tmp_path: Path, redis_peer: RedisPeer
) -> None:
    state = StateFile(tmp_path / "state", durable=False)
    publisher = Publisher(make_app(redis_peer.url), state, lambda: KEY).start()

    publisher.report(*report_keep(state))
    task = redis_peer.task_next("control")
    publisher.stop()

    assert task == ("hosts.effect_reported", signed("report", STEP | {"state": "done", "output": {"n": 1}}))
    assert state.reports_unsent() == []


def test_progress_goes_to_queue_control_and_only_its_newest_word_waits(tmp_path: Path, redis_peer: RedisPeer) -> None:
    publisher = Publisher(make_app(redis_peer.url), StateFile(tmp_path / "state", durable=False), lambda: KEY)
    for percent in (10.0, 20.0):
        publisher.progress(STEP | {"percent": percent})

    publisher.start()
    task = redis_peer.task_next("control")
    publisher.stop()

    assert task == ("hosts.effect_progress", signed("progress", STEP | {"percent": 20.0}))
    assert redis_peer.task_next("control", 0.05) is None


def test_a_report_is_kept_while_redis_is_down_and_sent_when_it_is_back(tmp_path: Path, redis_peer: RedisPeer) -> None:
    state = StateFile(tmp_path / "state", durable=False)
    publisher = Publisher(make_app(redis_peer.url), state, lambda: KEY).start()
    resender = Resender(make_app(redis_peer.url), state, lambda: KEY, after_s=0.0)
    redis_peer.kill()

    began = time.monotonic()
    publisher.report(*report_keep(state))
    publisher.progress(STEP | {"percent": None})
    assert time.monotonic() - began < 0.1  # whoever reports does not wait
    assert resender.send_unsent() == 0
    assert len(state.reports_unsent()) == 1

    redis_peer.start()
    assert resender.send_unsent() == 1
    publisher.stop()

    assert state.reports_unsent() == []
    report = redis_peer.report_next()
    assert report is not None and report["output"] == {"n": 1}


def test_a_plane_without_a_token_says_nothing_and_loses_nothing(tmp_path: Path, redis_peer: RedisPeer) -> None:
    def no_key() -> str:
        raise Refused("The token file cannot be read.")

    state = StateFile(tmp_path / "state", durable=False)
    report_keep(state)

    assert Resender(make_app(redis_peer.url), state, no_key, after_s=0.0).send_unsent() == 0
    assert len(state.reports_unsent()) == 1
    assert redis_peer.task_next("control", 0.05) is None
