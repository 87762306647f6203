"""Schedules: due when their clocks say, done once for each time whoever rings, and missed as they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Lease, Operation
from tests.actors import client_of
from tests.factories import host_make, image_make, user_make, vm_make
from tests.saga_samples import SSH_KEY
from workloads import services
from workloads.due import all_due, cron_check, next_due
from workloads.first_boot import FirstBoot
from workloads.models import Schedule, ScheduleRun, VirtualMachine, VmSeed, Workload

SOON = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# -- when it is due


def test_a_cron_expression_is_of_its_time_zone_and_comes_out_in_utc():
    assert next_due("30 6 * * 1-5", "Europe/Vienna", at("2026-11-27T12:00:00+00:00")) == at("2026-11-30T05:30:00+00:00")


def test_a_time_that_summer_time_leaves_out_is_due_when_the_clock_jumps_and_one_that_comes_twice_is_due_once():
    spring = all_due("30 2 * * *", "Europe/Vienna", at("2026-03-28T12:00:00+00:00"), at("2026-03-30T12:00:00+00:00"))
    autumn = all_due("30 2 * * *", "Europe/Vienna", at("2026-10-24T12:00:00+00:00"), at("2026-10-26T12:00:00+00:00"))

    assert [time.isoformat() for time in spring] == ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]
    assert [time.isoformat() for time in autumn] == ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]


@pytest.mark.parametrize("text", ["0 2 * * 0", "0 0 31 12 *", "*/5 0 1 1 *"])
def test_sundays_and_the_last_of_the_month_are_understood(text: str):
    cron_check(text)


@pytest.mark.parametrize("text", ["", "* * *", "61 * * * *", "* * * * MOO", "0 0 31 2 *", "@daily", "* * * * * *"])
def test_an_expression_that_nobody_understands_is_refused_with_an_example(text: str):
    with pytest.raises(Invalid, match="half past six on weekdays"):
        cron_check(text)


# -- making one

pytestmark = pytest.mark.django_db


def a_schedule(**wish: Any) -> Schedule:
    given: dict[str, Any] = {"name": "evening", "verb": "stop", "cron": "0 20 * * *"}
    if "workload" not in wish and "wish" not in wish:
        given["workload"] = Workload.objects.get(pk=vm_make(host_make(), "mail").pk)
    return services.schedule_create(wish.pop("user", None) or user_make("operator"), **(given | wish))


def due(schedule: Schedule, ago: timedelta = timedelta()) -> datetime:
    """Makes the schedule due so long ago; the time now."""
    now = timezone.now().replace(microsecond=0)
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=now - ago)
    return now


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"verb": "explode"}, "verb"),
        ({"workload": None}, "workload"),
        ({"cron": ""}, "at"),
        ({"at": at("2099-01-01T00:00:00+00:00")}, "at"),
        ({"cron": "", "at": at("2020-01-01T00:00:00+00:00")}, "at"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"missed": "twice"}, "missed"),
        ({"window_minutes": 0}, "window_minutes"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_a_sentence_at_its_field(wish: dict[str, Any], field: str):
    with pytest.raises(Invalid) as refused:
        a_schedule(**wish)

    assert refused.value.field == field
    assert not Schedule.objects.exists() and not PeriodicTask.objects.filter(task="workloads.schedule_ring").exists()


def test_a_viewer_schedules_nothing():
    with pytest.raises(Forbidden):
        a_schedule(user=user_make("viewer"))


def test_beat_is_told_when_to_ring():
    schedule = a_schedule(time_zone="Europe/Vienna")
    once = a_schedule(name="once", cron="", at=timezone.now() + SOON, workload=schedule.workload)

    bell = PeriodicTask.objects.get(pk=schedule.beat_id)
    assert (bell.task, json.loads(bell.args)) == ("workloads.schedule_ring", [str(schedule.pk)])
    assert (bell.crontab.hour, str(bell.crontab.timezone)) == ("20", "Europe/Vienna")
    assert once.beat.one_off and once.beat.clocked.clocked_time == once.next_due_at


def test_a_bell_without_a_schedule_is_taken_away():
    schedule = a_schedule()
    Schedule.objects.all().delete()

    services.schedules_sweep()

    assert not PeriodicTask.objects.filter(pk=schedule.beat_id).exists()


# -- doing it


def test_what_is_due_is_done_once_however_often_it_is_rung_for():
    schedule = a_schedule()
    now = due(schedule)

    first = services.schedule_ring(schedule.pk, now)
    assert services.schedule_ring(schedule.pk, now) is None
    assert services.schedules_sweep(now) == 0

    assert first is not None and first.operation is not None
    assert (first.operation.kind, first.operation.subject_name) == ("stop_workload", "mail")
    assert first.operation.requested_by == schedule.owner
    assert Operation.objects.count() == ScheduleRun.objects.count() == 1
    schedule.refresh_from_db()
    assert schedule.next_due_at is not None and schedule.next_due_at > now


def test_two_rows_for_one_due_time_cannot_be():
    schedule = a_schedule()
    now = due(schedule)
    services.schedule_ring(schedule.pk, now)
    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduleRun.objects.create(schedule=schedule, due_at=now, begun_at=now)


def test_a_ring_that_finds_the_time_taken_leaves_it_at_that():
    schedule = a_schedule()
    now = due(schedule)
    ScheduleRun.objects.create(schedule=schedule, due_at=now, begun_at=now)

    assert services.schedule_ring(schedule.pk, now) is None
    assert not Operation.objects.exists()


def test_a_ring_before_its_time_does_nothing():
    schedule = a_schedule()
    assert services.schedule_ring(schedule.pk) is None


def test_once_is_once():
    schedule = a_schedule(cron="", at=timezone.now() + SOON)
    now = due(schedule)

    services.schedule_ring(schedule.pk, now)

    schedule.refresh_from_db()
    assert (schedule.is_enabled, schedule.next_due_at) == (False, None)
    with pytest.raises(Refused, match="has passed"):
        services.schedule_enable(user_make("operator"), schedule, on=True)


def test_what_was_missed_is_left_out_or_done_once_as_the_schedule_says():
    skips = a_schedule(cron="0 * * * *")
    catches = a_schedule(name="morning", cron="0 * * * *", missed="catch-up", workload=None or other_vm())
    now = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
    Schedule.objects.update(next_due_at=datetime(2026, 11, 26, 9, 0, tzinfo=UTC))

    services.schedules_sweep(now)

    assert [run.operation for run in skips.runs.all()] == [None] * 4
    assert "left out" in skips.runs.all()[0].sentence
    assert [run.operation is not None for run in catches.runs.all()] == [True, False, False, False]
    assert "missed" in catches.runs.all()[1].sentence


def other_vm() -> Workload:
    return Workload.objects.get(pk=vm_make(host_make(), "wiki").pk)


def test_a_little_late_is_not_missed():
    schedule = a_schedule(window_minutes=15)
    now = due(schedule, ago=timedelta(minutes=14))

    run = services.schedule_ring(schedule.pk, now)

    assert run is not None and run.operation is not None


def test_what_cannot_be_done_is_a_sentence_and_the_next_time_comes_all_the_same():
    schedule = a_schedule()
    Workload.objects.update(state="stopped")
    now = due(schedule)

    run = services.schedule_ring(schedule.pk, now)

    assert run is not None and run.sentence == "mail is stopped; there is nothing to stop."
    assert Schedule.objects.get().next_due_at > now
    assert not Lease.objects.filter(operation__isnull=False).exists()


def test_it_acts_with_its_owners_rights_as_they_are_then():
    owner = user_make("operator")
    schedule = a_schedule(user=owner)
    owner.groups.clear()

    run = services.schedule_ring(schedule.pk, due(schedule))
    assert run is not None and run.operation is None and "role" in run.sentence

    owner.delete()
    run = services.schedule_ring(schedule.pk, due(schedule, ago=timedelta(seconds=1)))
    assert run is not None and "is gone or locked" in run.sentence


def test_a_schedule_that_is_off_does_nothing_and_times_passed_meanwhile_are_not_missed():
    schedule = a_schedule()
    services.schedule_enable(user_make("operator"), schedule, on=False)
    now = due(schedule, ago=timedelta(days=3))
    assert services.schedules_sweep(now) == 0

    services.schedule_enable(user_make("operator"), schedule, on=True)

    assert services.schedules_sweep(now) == 0
    assert PeriodicTask.objects.get(pk=schedule.beat_id).enabled


# -- making workloads later


def a_wish(**values: Any) -> dict[str, Any]:
    return {"name": "web-9", "image": image_make(), "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1} | values


def test_a_vm_is_made_when_it_is_due_with_what_it_is_told_at_its_first_boot():
    host = host_make()
    first_boot = FirstBoot(user="ann", ssh_keys=(SSH_KEY,), password="correct horse")
    schedule = a_schedule(verb="create_vm", wish=a_wish(host=host), first_boot=first_boot)
    assert not VirtualMachine.objects.exists() and not Operation.objects.exists()
    assert b"correct horse" not in bytes(Schedule.objects.get().secret_encrypted)

    run = services.schedule_ring(schedule.pk, due(schedule))

    assert run is not None and run.operation is not None, run
    vm = VirtualMachine.objects.get()
    assert (vm.host, vm.has_seed, VmSeed.objects.count()) == (host, True, 1)
    assert vm.name.startswith("web-9-20")  # again and again: each has its due time in its name


def test_a_wish_that_could_never_be_is_refused_when_it_is_made_and_leaves_nothing():
    host_make()
    with pytest.raises(Invalid):
        a_schedule(verb="create_vm", wish=a_wish(memory_mib=1))
    with pytest.raises(Invalid):
        a_schedule(verb="create_vm", wish=a_wish(), first_boot=FirstBoot(user="ROOT"))

    assert not Schedule.objects.exists() and not VirtualMachine.objects.exists()


# -- pages


def test_the_form_of_a_new_vm_makes_it_later_when_a_time_is_given():
    host_make()
    image = image_make("tiny")
    wish = {"name": "later", "image": str(image.pk), "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1}
    when = {"at": "2099-01-01T06:30", "time_zone": "Europe/Vienna"}

    page = client_of("operator").post("/workloads/new/vm/", wish | when, follow=True).content.decode()

    schedule = Schedule.objects.get()
    assert schedule.next_due_at == at("2099-01-01T05:30:00+00:00")
    assert "make the VM later" in page and "2099-01-01 06:30 Europe/Vienna" in page
    assert not VirtualMachine.objects.exists()


def test_a_schedule_is_made_switched_off_and_deleted_on_its_pages():
    operator: Client = client_of("operator")
    vm = vm_make(host_make(), "mail")
    form = {"name": "evening", "verb": "stop", "workload": str(vm.pk), "cron": "0 20 * * 1-5"}

    page = operator.post("/schedules/new/", form, follow=True).content.decode()
    assert "At 20:00, Monday through Friday (UTC)" in page
    schedule = Schedule.objects.get()
    operator.post(f"/schedules/{schedule.pk}/enable/", {"on": "0"})
    assert not Schedule.objects.get().is_enabled
    assert "off" in operator.get("/schedules/").content.decode()
    operator.post(f"/schedules/{schedule.pk}/delete/", {"typed": "evening"})

    assert not Schedule.objects.exists() and not PeriodicTask.objects.filter(pk=schedule.beat_id).exists()


def test_a_bad_schedule_is_shown_again_with_its_sentence():
    vm = vm_make(host_make(), "mail")
    form = {"name": "evening", "verb": "stop", "workload": str(vm.pk), "cron": "never"}

    response = client_of("operator").post("/schedules/new/", form)

    assert response.status_code == 422 and "Write five fields" in response.content.decode()
