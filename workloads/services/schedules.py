"""Schedules: what shall be done later, and the doing of it when it is due. Never twice for one due time.

`django-celery-beat` rings at the due time, and a sweep each minute finds what nobody rang for. Both come here; one
row for each due time, written in the transaction that begins the operation, lets one of them through.
"""

from __future__ import annotations

import json
import zoneinfo
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, PeriodicTask

from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.credentials import password_decrypt, password_encrypt
from hosts.errors import Invalid, Refused, StowageError
from hosts.models import Operation
from hosts.publish import publish_change
from hosts.services.doors import User, name_check, refuse_unless
from workloads.due import all_due, cron_check, next_due, zone_of
from workloads.first_boot import FirstBoot
from workloads.models import Schedule, ScheduleRun, Workload
from workloads.services.backups import backup_wish
from workloads.services.bulk import BULK_VERBS
from workloads.services.wishes import NEW, wish_begin, wish_plain, wish_rehearse

RING = "workloads.schedule_ring"
MISSED_KEPT = 50  # rows for times that passed while nobody was there
WINDOW_MINUTES_MOST = 7 * 24 * 60
SCHEDULES_MOST = 1000


def schedule_create(
    user: User,
    *,
    name: str,
    verb: str,
    workload: Workload | None = None,
    wish: dict[str, Any] | None = None,
    first_boot: FirstBoot | None = None,
    at: datetime | None = None,
    cron: str = "",
    time_zone: str = "UTC",
    missed: str = Schedule.Missed.SKIP,
    window_minutes: int = 15,
) -> Schedule:
    """A schedule that acts once `at` a time, or by `cron` in `time_zone`.

    `wish` are the arguments of `vm_create` or `container_create`, images and hosts as UUIDs; of "back_up" the kind and
    how many full ones to keep. Raises Invalid with the
    field for a wish that could never be carried out.
    """
    refuse_unless(user, "operate", workload) if workload else refuse_unless(user, "operate")
    name = name_check(name)
    zone_of(time_zone)
    if verb not in BULK_VERBS and verb not in NEW:
        raise Invalid("Choose what shall be done.", field="verb")
    if (workload is None) == (verb in BULK_VERBS):
        raise Invalid("Choose the workload that it shall be done to.", field="workload")
    if verb == "back_up" and workload is not None:
        wish = backup_wish(workload, **(wish or {}))
    if bool(at) == bool(cron):
        raise Invalid("Say either when, or how often.", field="at")
    if missed not in Schedule.Missed.values:
        raise Invalid("Choose what happens to a time that was missed.", field="missed")
    if not 1 <= window_minutes <= WINDOW_MINUTES_MOST:
        raise Invalid("It may begin between one minute and seven days late.", field="window_minutes")
    if Schedule.objects.filter(name=name).exists():
        raise Invalid(f"There is a schedule {name} already. Choose another name.", field="name")
    if Schedule.objects.count() >= SCHEDULES_MOST:
        raise Refused(f"There are {SCHEDULES_MOST} schedules already. Remove some first.")
    if cron:
        cron_check(cron)
    due_at = next_due(cron, time_zone, timezone.now()) if cron else at
    if due_at is None or due_at <= timezone.now():
        raise Invalid("That time has passed, or never comes. Choose a later one.", field="cron" if cron else "at")
    schedule = Schedule(
        name=name,
        verb=verb,
        workload=workload,
        wish=wish_plain(wish or {}),
        secret_encrypted=password_encrypt(json.dumps(asdict(first_boot))) if first_boot else b"",
        cron=cron,
        time_zone=time_zone,
        missed=missed,
        window_minutes=window_minutes,
        next_due_at=due_at,
        owner=account_of(user),
        owner_name=user.get_username(),
    )
    if verb in NEW:
        wish_rehearse(user, verb, schedule.wish, first_boot=first_boot)
    with transaction.atomic():
        schedule.beat = _bell(schedule)
        schedule.save(force_insert=True)
        detail: dict[str, Any] = {"does": verb, "cron": cron, "at": due_at.isoformat(), "time_zone": time_zone}
        audit_write(user, "schedule_create", "schedule", schedule.pk, name, **detail)
        publish_change("schedule", schedule.pk, "created")
    return schedule


@transaction.atomic
def schedule_enable(user: User, schedule: Schedule, *, on: bool) -> Schedule:
    """Switches a schedule on or off. Times that pass while it is off are not missed: nobody wanted them."""
    refuse_unless(user, "operate")
    schedule = Schedule.objects.select_for_update().get(pk=schedule.pk)
    if on and not schedule.cron and (schedule.next_due_at is None or schedule.next_due_at <= timezone.now()):
        raise Refused(f"The time of {schedule.name} has passed. Make a new schedule.")
    schedule.is_enabled = on
    if on and schedule.cron:
        schedule.next_due_at = next_due(schedule.cron, schedule.time_zone, timezone.now())
    schedule.save(update_fields=["is_enabled", "next_due_at"])
    if schedule.beat is not None:
        schedule.beat.enabled = on
        schedule.beat.save()
    audit_write(user, "schedule_on" if on else "schedule_off", "schedule", schedule.pk, schedule.name)
    publish_change("schedule", schedule.pk, "changed")
    return schedule


@transaction.atomic
def schedule_delete(user: User, schedule: Schedule) -> None:
    """Removes a schedule with the record of its runs; operations that it began go on and stay known."""
    refuse_unless(user, "operate")
    audit_write(user, "schedule_delete", "schedule", schedule.pk, schedule.name)
    beat = schedule.beat
    schedule.delete()
    if beat is not None:
        beat.delete()
    publish_change("schedule", schedule.pk, "removed")


def schedules_sweep(now: datetime | None = None) -> int:
    """Does what is due and was not rung for, and takes away bells without a schedule; how many were done."""
    now = now or timezone.now()
    due = Schedule.objects.filter(is_enabled=True, next_due_at__lte=now).values_list("pk", flat=True)
    known = Schedule.objects.exclude(beat=None).values("beat")
    PeriodicTask.objects.filter(task=RING).exclude(pk__in=known).delete()
    return sum(schedule_ring(pk, now) is not None for pk in due)


def schedule_ring(pk: UUID, now: datetime | None = None) -> ScheduleRun | None:
    """Does what the schedule has due now; None when nothing is, or somebody else has just done it."""
    now = now or timezone.now()
    try:
        with transaction.atomic():
            rows = Schedule.objects.select_for_update().select_related("workload", "owner")
            schedule = rows.filter(pk=pk, is_enabled=True, next_due_at__lte=now).first()
            return _run_due(schedule, now) if schedule else None
    except IntegrityError:  # the other one's row for this time is there
        return None


def _run_due(schedule: Schedule, now: datetime) -> ScheduleRun:
    first = schedule.next_due_at
    assert first is not None
    times = [first, *(all_due(schedule.cron, schedule.time_zone, first, now) if schedule.cron else [])]
    for missed in times[:-1][-MISSED_KEPT:]:
        sentence = "It was missed: Stowage did not run then."
        ScheduleRun.objects.create(schedule=schedule, due_at=missed, begun_at=now, sentence=sentence)
    due_at = times[-1]
    run = ScheduleRun.objects.create(schedule=schedule, due_at=due_at, begun_at=now)
    is_late = now - due_at > timedelta(minutes=schedule.window_minutes)
    if is_late and schedule.missed == Schedule.Missed.SKIP:
        run.sentence = "It was missed, and is left out as the schedule says."
    else:
        try:
            with transaction.atomic():
                run.operation = _begin(schedule, due_at)
        except StowageError as error:
            run.sentence = error.message[:500]
    run.save()
    schedule.next_due_at = next_due(schedule.cron, schedule.time_zone, now) if schedule.cron else None
    schedule.is_enabled = schedule.next_due_at is not None
    schedule.save(update_fields=["next_due_at", "is_enabled"])
    publish_change("schedule", schedule.pk, "ran")
    return run


def _begin(schedule: Schedule, due_at: datetime) -> Operation:
    """The operation, with the owner's rights as they are now."""
    owner = schedule.owner
    if owner is None or not owner.is_active:
        raise Refused(f"The account of {schedule.owner_name} is gone or locked. Make the schedule anew.")
    key = f"schedule-{schedule.pk}-{due_at:%Y%m%dT%H%M%S}"
    if schedule.workload is not None:
        more = schedule.wish if schedule.verb == "back_up" else {}
        return BULK_VERBS[schedule.verb](owner, schedule.workload, **more, idempotency_key=key)
    wish = dict(schedule.wish)
    if schedule.cron:
        wish["name"] = f"{wish['name']}-{due_at.astimezone(zone_of(schedule.time_zone)):%Y%m%d-%H%M}"
    return wish_begin(owner, schedule.verb, wish, first_boot=_first_boot(schedule), idempotency_key=key)


def _first_boot(schedule: Schedule) -> FirstBoot | None:
    if not schedule.secret_encrypted:
        return None
    return FirstBoot.from_data(json.loads(password_decrypt(bytes(schedule.secret_encrypted))))


def _bell(schedule: Schedule) -> PeriodicTask:
    """What makes beat ring. Its crontab joins day of the month and day of the week by "and"; the sweep knows better."""
    values: dict[str, Any] = {"task": RING, "args": json.dumps([str(schedule.pk)]), "queue": "control"}
    if schedule.cron:
        minute, hour, day, month, weekday = schedule.cron.split()
        crontab, _ = CrontabSchedule.objects.get_or_create(
            minute=minute,
            hour=hour,
            day_of_month=day,
            month_of_year=month,
            day_of_week=weekday,
            timezone=zoneinfo.ZoneInfo(schedule.time_zone),
        )
        values["crontab"] = crontab
    else:
        assert schedule.next_due_at is not None
        clocked, _ = ClockedSchedule.objects.get_or_create(clocked_time=schedule.next_due_at.astimezone(UTC))
        values |= {"clocked": clocked, "one_off": True}
    return PeriodicTask.objects.create(name=f"schedule {schedule.name} ({schedule.pk})", **values)
