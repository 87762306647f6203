"""Workloads that are lent for a while: what happens when their time is over, once, and what is said before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from datacenter.alerts.events import workloads_expiring
from datacenter.alerts.reading import Verdict
from datacenter.models import AlertRule
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Lease, Operation
from tests.actors import client_of
from tests.factories import container_make, host_make, user_make, vm_make
from workloads import services
from workloads.models import Workload
from workloads.services.expiry import expiries_sweep

pytestmark = pytest.mark.django_db


def over(workload: Workload, then: str = "stop", **values: Any) -> Workload:
    """Its time was over a minute ago."""
    services.workload_expire(user_make(), workload, at=timezone.now() + timedelta(hours=1), then=then)
    at = (timezone.now() - timedelta(minutes=1)).replace(microsecond=0)
    Workload.objects.filter(pk=workload.pk).update(expires_at=at, **values)
    return Workload.objects.get(pk=workload.pk)


def ended(kind: str, workload: Workload, **values: Any) -> Operation:
    """The operation of that kind is done; what came of it is seen."""
    operation = Operation.objects.get(kind=kind, state="queued")
    Operation.objects.filter(pk=operation.pk).update(state="done")
    Lease.objects.filter(operation=operation).update(operation=None)
    Workload.objects.filter(pk=workload.pk).update(**values)
    return operation


def test_it_is_stopped_once_and_may_not_be_started_before_it_is_given_more_time():
    vm = over(vm_make(host_make()))
    assert (expiries_sweep(), expiries_sweep()) == (1, 0), "the second sweep finds it under way"
    ended("stop_workload", vm, state="stopped", desired="stopped")

    assert expiries_sweep() == 0
    with pytest.raises(Refused, match="is over since"):
        services.workload_start(user_make(), vm)
    services.workload_expire(user_make(), vm, at=timezone.now() + timedelta(days=1))
    services.workload_start(user_make(), Workload.objects.get(pk=vm.pk))


def test_a_guest_that_ignores_the_request_is_cut_off_at_the_second_try():
    vm = over(vm_make(host_make()))
    expiries_sweep()
    ended("stop_workload", vm)  # it still runs
    assert expiries_sweep() == 1
    assert Operation.objects.get(state="queued").parameters["force"] is True
    ended("stop_workload", vm)
    assert expiries_sweep() == 0, "neither is asked for a third time"


@pytest.mark.parametrize("make", [vm_make, container_make])
def test_one_that_shall_be_deleted_is_stopped_first(make: Any):
    workload = over(make(host_make()), "delete")
    expiries_sweep()
    ended("stop_workload", workload, state="stopped", desired="stopped")
    assert expiries_sweep() == 1
    assert Operation.objects.get(state="queued").kind == "delete_workload"


def test_an_adopted_one_is_never_deleted_by_itself_and_says_so():
    vm = over(vm_make(host_make(), is_adopted=True, state="stopped"), "delete")
    assert expiries_sweep() == 0
    assert "Delete it by hand" in Workload.objects.get(pk=vm.pk).expiry_note


def test_what_cannot_be_done_now_is_done_later_and_says_why_meanwhile():
    host = host_make()
    vm = over(vm_make(host))
    host.last_seen_at = timezone.now() - timedelta(minutes=5)
    host.save()
    assert expiries_sweep() == 0 and "does not answer" in Workload.objects.get(pk=vm.pk).expiry_note
    host.last_seen_at = timezone.now()
    host.save()
    assert expiries_sweep() == 1


def test_without_the_account_that_set_it_nothing_is_done():
    vm = over(vm_make(host_make()), expiry_by=None)
    assert expiries_sweep() == 0
    assert "no account any more" in Workload.objects.get(pk=vm.pk).expiry_note


@pytest.mark.parametrize("at", [timedelta(0), timedelta(days=-1), timedelta(days=4000)])
def test_a_time_that_is_none_is_refused(at: timedelta):
    vm = vm_make(host_make())
    with pytest.raises(Invalid):
        services.workload_expire(user_make(), vm, at=timezone.now() + at)
    with pytest.raises(Invalid):
        services.workload_expire(user_make(), vm, at=timezone.now() + timedelta(days=1), then="burn")
    with pytest.raises(Forbidden):
        services.workload_expire(user_make("viewer"), vm, at=None)
    assert Workload.objects.get(pk=vm.pk).expires_at is None


def test_an_alert_tells_days_before_and_ends_when_it_is_off_or_has_more_time():
    vm, now = vm_make(host_make(), "web-1"), timezone.now()
    rule = AlertRule.objects.get(event="workload_expires")

    def told(expires_at: datetime | None, **values: Any) -> tuple[Verdict, str] | None:
        Workload.objects.update(expires_at=expires_at, **values)
        readings = workloads_expiring(rule, [], now)
        return (readings[0].verdict, readings[0].sentence) if readings else None

    assert told(None) is None and told(now + timedelta(days=4)) is None
    soon = told(now + timedelta(days=2))
    assert soon and soon[0] is Verdict.WRONG and "then it is stopped." in soon[1]
    assert told(now - timedelta(days=1)) == (Verdict.WRONG, "The time of web-1 is over; it is being stopped.")
    assert told(now - timedelta(days=1), state="stopped") == (Verdict.WELL, "The time of web-1 is over, and it is off.")
    Workload.objects.update(expires_at=None)
    (reading,) = workloads_expiring(rule, [str(vm.pk)], now)
    assert reading.verdict is Verdict.WELL


def test_its_page_and_the_api_set_and_tell_it():
    vm, client = vm_make(host_make()), client_of("operator")
    assert client.post(f"/workloads/{vm.pk}/expiry/", {"at": "2030-12-31T18:00", "then": "delete"}).status_code == 302
    page = client.get(f"/workloads/{vm.pk}/").content.decode()
    assert "2030-12-31 18:00 UTC" in page and 'value="2030-12-31T18:00"' in page
    client.post(f"/workloads/{vm.pk}/expiry/", {"at": "soon", "then": "stop"})
    assert Workload.objects.get(pk=vm.pk).expiry == "delete"
    answer = client.post(f"/api/workloads/{vm.pk}/expiry", {}, content_type="application/json")
    assert answer.json()["expires_at"] is None
    answer = client.post(
        f"/api/workloads/{vm.pk}/expiry", {"at": "2030-01-01T00:00:00"}, content_type="application/json"
    )
    assert answer.status_code == 422
