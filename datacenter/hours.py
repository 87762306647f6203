"""When the autopilot may do what: windows of the week, written by an operator one a line.

    dense daily 22:00-05:00
    spread Mon-Fri 05:00-06:30
    frozen Sat,Sun 00:00-24:00

Pure: the caller gives the local time. A window that ends before it begins goes on until the next day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from hosts.errors import Invalid

DENSE, SPREAD, FROZEN = "dense", "spread", "frozen"
KINDS = (DENSE, SPREAD, FROZEN)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LINES_MOST = 50
DAY_MINUTES = 24 * 60
_LINE = re.compile(r"(\w+)\s+(\S+)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class Window:
    """`days` are 0 (Monday) to 6; `begins` and `ends` are minutes of the day, up to 1440."""

    kind: str
    days: frozenset[int]
    begins: int
    ends: int

    def holds(self, local: datetime) -> bool:
        """Whether it is open at that local time."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        return (day in self.days and minute >= self.begins) or ((day - 1) % 7 in self.days and minute < self.ends)


def windows_read(text: str) -> list[Window]:
    """The windows of the lines, empty ones left out; raises Invalid with the first line that is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > LINES_MOST:
        raise Invalid(f"That are {len(lines)} windows; {LINES_MOST} are the most.", field="windows")
    return [_window(line) for line in lines]


def _window(line: str) -> Window:
    found = _LINE.fullmatch(line)
    days = _days(found[2]) if found else None
    if found is None or found[1].lower() not in KINDS or not days:
        raise _wrong(line)
    begins, ends = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    if int(found[4]) > 59 or int(found[6]) > 59 or begins >= DAY_MINUTES or ends > DAY_MINUTES or begins == ends:
        raise _wrong(line)
    return Window(found[1].lower(), days, begins, ends)


def _days(text: str) -> frozenset[int] | None:
    """ "daily", "Mon-Fri", "Sat,Sun"; None where a word is no day."""
    if text.lower() == "daily":
        return frozenset(range(7))
    known = {name.lower(): number for number, name in enumerate(DAYS)}
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in known or last not in known:
            return None
        number, end = known[first], known[last]
        found.add(number)
        while number != end:
            number = (number + 1) % 7
            found.add(number)
    return frozenset(found)


def _wrong(line: str) -> Invalid:
    return Invalid(
        f"“{line[:60]}” is no window. Write one a line: dense, spread or frozen, then daily or days such as Mon-Fri or"
        " Sat,Sun, then hours such as 22:00-05:00.",
        field="windows",
    )


def open_kinds(windows: Iterable[Window], local: datetime) -> set[str]:
    """Which kinds are open at that local time."""
    return {window.kind for window in windows if window.holds(local)}


def next_opening(windows: Iterable[Window], local: datetime) -> tuple[str, datetime] | None:
    """What kind of window opens next after that local time, and when; None without windows."""
    found = []
    for window in windows:
        for ahead in range(8):
            day = (local + timedelta(days=ahead)).date()
            opens = datetime.combine(day, time(window.begins // 60, window.begins % 60), local.tzinfo)
            if day.weekday() in window.days and opens > local:
                found.append((opens, window.kind))
                break
    return (min(found)[1], min(found)[0]) if found else None


def why_not_packed(windows: list[Window], local: datetime) -> str:
    """Why no host may be freed now; empty when one may. Without a dense window every hour will do."""
    opened = open_kinds(windows, local)
    if FROZEN in opened:
        return "It is a frozen hour: nothing moves."
    if SPREAD in opened:
        return "It is an hour in which the work is spread."
    if DENSE not in opened and any(window.kind == DENSE for window in windows):
        return "It is outside of the hours in which hosts are freed."
    return ""
