"""Schedules in words."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException, get_description
from django import template

from workloads.models import Schedule

register = template.Library()

DOES = {
    "start": "start",
    "stop": "stop",
    "restart": "restart",
    "pause": "pause",
    "resume": "resume",
    "save": "save to disk",
    "back_up": "back up",
    "force_stop": "force off",
    "delete": "delete",
    "create_vm": "make the VM",
    "create_container": "make the container",
}


@register.filter
def does(schedule: Schedule) -> str:
    name = schedule.workload.name if schedule.workload else schedule.wish.get("name", "")
    said = f"{DOES.get(schedule.verb, schedule.verb)} {name}"
    if schedule.verb != "back_up":
        return said
    keep = schedule.wish.get("keep")
    kept = f", keeping {keep} full one{'s' if keep > 1 else ''}" if keep else ""
    return f"{said} ({schedule.wish.get('kind', 'incremental')}{kept})"


@register.filter
def recurs(schedule: Schedule) -> str:
    if not schedule.cron:
        return "once"
    try:
        options = Options()
        options.use_24hour_time_format = True
        said = get_description(schedule.cron, options)
    except (FormatException, MissingFieldException, WrongArgumentException):
        said = schedule.cron
    return f"{said} ({schedule.time_zone})"


@register.filter
def in_zone(when: datetime | None, zone: str) -> str:
    return when.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") if when else "–"


@register.filter
def due_there(schedule: Schedule) -> str:
    """The next due time on the clocks of the schedule's own zone."""
    return f"{in_zone(schedule.next_due_at, schedule.time_zone)} {schedule.time_zone}"
