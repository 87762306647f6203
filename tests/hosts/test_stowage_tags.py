from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from datacenter.models import Plan, PlanAction, Question
from hosts.models import Entry, Operation
from hosts.templatetags import stowage
from workloads.models import Workload

SPRITE = (Path(settings.BASE_DIR) / "static" / "img" / "icons.svg").read_text()


def test_every_state_has_a_tone():
    words = [*Workload.State.labels, *Operation.State.labels, *Plan.State.labels, *PlanAction.State.labels]
    words += Question.State.labels

    assert [word for word in [*words, *Entry.Kind.labels] if word not in stowage.TONES] == []


def test_every_tone_has_a_shape():
    assert [tone for tone in set(stowage.TONES.values()) if f'id="state-{tone}"' not in SPRITE] == []


def test_every_icon_that_templates_ask_for_is_drawn():
    templates = (Path(settings.BASE_DIR) / "templates").rglob("*.html")
    asked = {name for page in templates for name in re.findall(r"{% icon ['\"](\w+)['\"]", page.read_text())}

    assert len(asked) > 10
    assert [name for name in asked if f'id="{name}"' not in SPRITE] == []


def test_running_is_under_way_for_work_and_well_for_a_workload():
    assert stowage.tone("running") == "running"
    assert stowage.tone("running", "work") == "moving"


@pytest.mark.parametrize(("mib", "words"), [(None, "–"), (0, "0 MiB"), (1023, "1023 MiB"), (1536, "1.5 GiB")])
def test_memory_is_said_in_the_unit_that_fits(mib: float | None, words: str):
    assert stowage.mib(mib) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.41, "0.4 s"), (125, "2 min 5 s"), (3725, "1 h 2 min"), (-1, "0.0 s")]
)
def test_durations_are_said_shortly(seconds: float, words: str):
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert stowage.seconds_until(start, start + timedelta(seconds=seconds)) == words
