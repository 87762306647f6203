"""Windows of the autopilot: read from lines, asked at a local time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from datacenter.hours import next_opening, open_kinds, why_not_packed, windows_read
from hosts.errors import Invalid

TEXT = "dense daily 22:00-05:00\n\nspread mon-fri 05:00-06:30\nFROZEN Sat,Sun 0:00-24:00"


@pytest.mark.parametrize(
    ("moment", "kinds"),
    [
        ("2026-11-27 21:59", set()),  # a Friday
        ("2026-11-27 22:00", {"dense"}),
        ("2026-11-28 04:59", {"dense", "frozen"}),
        ("2026-11-27 05:00", {"spread"}),
        ("2026-11-27 06:29", {"spread"}),
        ("2026-11-27 06:30", set()),
        ("2026-11-29 12:00", {"frozen"}),
        ("2026-11-30 02:00", {"dense"}),  # Monday, begun on Sunday
    ],
)
def test_windows_are_open_when_they_say(moment: str, kinds: set[str]):
    assert open_kinds(windows_read(TEXT), datetime.fromisoformat(moment)) == kinds


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on():
    windows = windows_read("dense Fri 23:00-01:00")
    assert open_kinds(windows, datetime(2026, 11, 28, 0, 30)) == {"dense"}
    assert open_kinds(windows, datetime(2026, 11, 27, 0, 30)) == set()


def test_days_go_around_the_week():
    assert windows_read("frozen Sat-Mon 10:00-11:00")[0].days == {5, 6, 0}


@pytest.mark.parametrize(
    "line",
    [
        "dense",
        "often daily 1:00-2:00",
        "dense someday 1:00-2:00",
        "dense daily 24:00-25:00",
        "dense daily 1:60-2:00",
        "dense daily 1:00-1:00",
        "dense daily 1-2",
        "dense Mon- 1:00-2:00",
        "frozen Mon,,Tue 1:00-2:00",
        "x" * 5000,
    ],
)
def test_what_is_no_window_is_said(line: str):
    with pytest.raises(Invalid, match="is no window") as caught:
        windows_read(f"dense daily 22:00-05:00\n{line}")
    assert caught.value.field == "windows" and len(caught.value.message) < 300


def test_no_more_windows_than_anybody_reads():
    with pytest.raises(Invalid, match="50 are the most"):
        windows_read("dense daily 22:00-05:00\n" * 51)


def test_why_hosts_are_not_freed_now():
    noon = datetime(2026, 11, 27, 12, 0)
    assert why_not_packed([], noon) == ""
    assert "outside" in why_not_packed(windows_read("dense daily 22:00-05:00"), noon)
    assert "frozen" in why_not_packed(windows_read("frozen daily 11:00-13:00"), noon)
    assert "spread" in why_not_packed(windows_read("spread daily 11:00-13:00"), noon)


def test_the_next_hours_are_named_with_their_time():
    zone = ZoneInfo("Europe/Berlin")
    windows = windows_read(TEXT)
    friday = datetime(2026, 11, 27, 12, 0, tzinfo=zone)
    assert next_opening(windows, friday) == ("dense", datetime(2026, 11, 27, 22, 0, tzinfo=zone))
    assert next_opening(windows, friday.replace(hour=22)) == ("frozen", datetime(2026, 11, 28, 0, 0, tzinfo=zone))
    assert next_opening(windows_read("frozen Fri 12:00-13:00"), friday) == ("frozen", friday.replace(month=12, day=4))
    assert next_opening([], friday) is None
