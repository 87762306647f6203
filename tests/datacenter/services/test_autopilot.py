"""The autopilot, with the real planner: what it does in each mode, and each reason not to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from datacenter.alerts.events import plans_waiting
from datacenter.alerts.reading import Verdict
from datacenter.metrics.demand import Demand
from datacenter.models import AlertRule, Autopilot, AutopilotDecision, Plan, PlanAction, Policy, Recovery
from datacenter.services.autopilot import ACCOUNT, autopilot_account, autopilot_edit, autopilot_stop
from datacenter.services.autopilot_looks import autopilots_look
from datacenter.services.plans import plan_approve, plan_request
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Host, Lease, Operation, Wake
from tests.actors import client_of
from tests.datacenter.services.test_plans import a_proposal, a_sprawled_site
from tests.datacenter.test_demanding import profiled
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db
NOON = datetime.fromisoformat("2026-11-27T12:00:00+00:00")  # a Friday


@pytest.fixture(autouse=True)
def _on_that_friday() -> Iterator[None]:
    """The clock goes on from an hour before noon: what is compared with it must not depend on the day of the test."""
    with time_machine.travel(NOON - timedelta(hours=1), tick=True):
        yield


def an_autopilot(**values: Any) -> Autopilot:
    return Autopilot.objects.create(site=a_site(), **({"packing": "automatic", "cool_down_minutes": 0} | values))


def all_proven(at: datetime) -> None:
    """Each host has woken."""
    for host in Host.objects.filter(wakes=None):
        Wake.objects.create(host=host, origin="drill", began_at=at, seconds=300.0, passed=True)


def look(
    at: datetime | None = None,
    demand: Mapping[str, Demand] | None = None,
    *,
    silent: str = "",
    proven: bool = True,
) -> AutopilotDecision:
    """One look, at which all hosts but one were heard and all are proven to wake, and the newest decision after it."""
    if proven:
        all_proven(at or timezone.now())
    Host.objects.exclude(name=silent).update(last_seen_at=at or timezone.now())
    autopilots_look(at or timezone.now(), lambda _: demand or {}, lambda _: demand or {})
    found = AutopilotDecision.objects.first()
    assert found is not None
    return found


def test_automatic_frees_hosts_by_itself_and_says_so():
    a_sprawled_site()
    an_autopilot()

    decision = look()

    plan = Plan.objects.get()
    assert (decision.outcome, decision.plan) == ("began", plan)
    assert plan.state == "running" and plan.approved_by.username == ACCOUNT and plan.is_automatic
    assert "can be switched off after 2 moves; that saves" in decision.sentence
    assert AuditRecord.objects.filter(verb="plan_approve", user__username=ACCOUNT).exists()


def test_it_frees_no_host_by_itself_that_was_never_seen_to_wake_but_proposes_it_to_a_person():
    a_sprawled_site()
    autopilot = an_autopilot()

    assert look(proven=False).sentence == "No host can be freed."

    Autopilot.objects.filter(pk=autopilot.pk).update(packing="approve", packed_at=None, looked_at=None)
    assert look(proven=False).outcome == "asked"


@pytest.mark.parametrize(("mode", "outcome"), [("recommend", "recommended"), ("approve", "asked")])
def test_it_proposes_and_waits_for_a_person(mode: str, outcome: str):
    a_sprawled_site()
    an_autopilot(packing=mode)

    first = look()
    again = look(timezone.now() + timedelta(minutes=6))

    plan = Plan.objects.get()
    assert (plan.state, plan.requested_by_name) == ("proposed", ACCOUNT)
    assert (first.outcome, again.pk, again.times) == (outcome, first.pk, 2)
    plan_approve(a_user(), plan)
    assert not Plan.objects.select_related("approved_by").get().is_automatic


def test_only_a_plan_that_asks_for_approval_raises_the_alert_and_its_end_ends_it():
    a_sprawled_site()
    row = an_autopilot(packing="recommend")
    plan = look().plan
    rule = AlertRule.objects.get(event="plan_waits")
    assert plans_waiting(rule, [], timezone.now()) == []

    Autopilot.objects.filter(pk=row.pk).update(packing="approve")
    (reading,) = plans_waiting(rule, [], timezone.now())
    assert reading.verdict is Verdict.WRONG and "waits for approval" in reading.sentence

    plan_approve(a_user(), plan)
    (reading,) = plans_waiting(rule, [str(plan.pk)], timezone.now())
    assert reading.verdict is Verdict.WELL


def test_where_two_people_are_asked_for_it_only_proposes_and_asks():
    a_sprawled_site()
    Policy.objects.create(site=a_site(), two_people=True)
    an_autopilot(packing="automatic")

    first = look()
    again = look(timezone.now() + timedelta(minutes=6))

    plan = Plan.objects.get()
    assert (plan.state, first.outcome, again.times) == ("proposed", "asked", 2)
    assert [r.verdict for r in plans_waiting(AlertRule.objects.get(event="plan_waits"), [], timezone.now())] == [
        Verdict.WRONG
    ]


def test_a_proposal_that_the_world_left_behind_is_put_aside():
    a_sprawled_site()
    an_autopilot(packing="approve")
    first = look().plan
    a_vm("newcomer", Host.objects.get(name="alpha"))

    look(timezone.now() + timedelta(minutes=6))

    assert Plan.objects.get(pk=first.pk).state == "rejected"
    assert Plan.objects.filter(state="proposed").exclude(pk=first.pk).exists()


def test_off_does_nothing_at_all():
    a_sprawled_site()
    an_autopilot(packing="off")
    autopilots_look(timezone.now(), lambda _: {}, lambda _: {})
    assert not Plan.objects.exists() and not AutopilotDecision.objects.exists()


def test_two_looks_at_once_make_one_plan():
    a_sprawled_site()
    row = an_autopilot()
    now = timezone.now()
    stale = Autopilot.objects.select_related("site").get(pk=row.pk)

    look(now)
    from datacenter.services import autopilot_looks

    assert not autopilot_looks._claim(stale, now + timedelta(seconds=1))
    look(now + timedelta(seconds=1))

    assert Plan.objects.count() == 1


def waits(sentence: str, at: datetime | None = None, *, silent: str = "") -> None:
    decision = look(at, silent=silent)
    assert decision.outcome in ("waits", "nothing") and sentence in decision.sentence, decision.sentence
    assert not Plan.objects.filter(requested_by_name=ACCOUNT).exists()


def test_it_keeps_still_in_frozen_hours_and_outside_of_dense_ones():
    a_sprawled_site()
    an_autopilot(windows="frozen Fri 11:00-13:00\ndense daily 22:00-05:00")
    waits("frozen hour", NOON)
    waits("outside of the hours", NOON + timedelta(hours=2))


def test_windows_are_of_the_sites_own_zone():
    a_sprawled_site()
    an_autopilot(windows="dense daily 12:30-13:30", time_zone="Europe/Berlin")  # 11:30 to 12:30 UTC
    assert look(NOON).outcome == "began"


def test_it_keeps_still_while_a_person_decides():
    a_sprawled_site()
    a_proposal()
    an_autopilot()
    waits("waits for a decision")


def test_it_keeps_still_while_a_plan_runs():
    a_sprawled_site()
    plan_approve(a_user(), a_proposal())
    an_autopilot()
    waits("A plan is being carried out.")


def test_it_keeps_still_while_a_host_is_lost_or_silent():
    hosts = a_sprawled_site()
    an_autopilot()
    Host.objects.filter(pk=hosts["beta"].pk).update(last_seen_at=timezone.now() - timedelta(minutes=5))
    waits("beta does not answer", silent="beta")
    Recovery.objects.create(host=hosts["beta"], lost_since=timezone.now())
    waits("its recovery is not over", timezone.now() + timedelta(seconds=20), silent="beta")


def test_it_cools_down_after_a_plan():
    a_sprawled_site()
    plan = a_proposal()
    Plan.objects.filter(pk=plan.pk).update(
        state="done", approved_at=timezone.now(), finished_at=timezone.now() - timedelta(minutes=10)
    )
    an_autopilot(cool_down_minutes=30)
    waits("The last plan ended")


def test_it_makes_no_more_moves_in_an_hour_than_allowed():
    a_sprawled_site()
    row = an_autopilot(moves_per_hour=1)
    plan = look().plan
    assert plan is not None and plan.actions.filter(kind="move").count() == 1

    PlanAction.objects.update(state="done")
    Plan.objects.update(state="done", finished_at=timezone.now())
    Autopilot.objects.filter(pk=row.pk).update(packed_at=None)
    decision = look(timezone.now() + timedelta(minutes=1))
    assert decision.outcome == "waits" and "1 that are allowed in an hour" in decision.sentence


def test_what_does_not_pay_back_is_not_done():
    a_sprawled_site()
    an_autopilot(pays_back_hours=0.1)
    waits("would be paid back only after")


def test_with_nothing_to_free_it_says_so_once():
    a_vm("web", a_host("alpha"))
    an_autopilot()
    waits("No host can be freed.")
    again = look(timezone.now() + timedelta(minutes=6))
    assert again.times == 2 and AutopilotDecision.objects.count() == 1


def test_a_plan_of_its_own_ends_where_a_frozen_hour_begins():
    a_sprawled_site()
    an_autopilot(windows="frozen Fri 13:00-14:00")
    assert look(NOON).outcome == "began"

    decision = look(NOON + timedelta(hours=1))

    assert (decision.outcome, decision.plan) == ("stopped", Plan.objects.get())
    assert Plan.objects.get().state == "stopped"


def test_a_plan_of_a_person_goes_on_in_a_frozen_hour():
    a_sprawled_site()
    plan_approve(a_user(), a_proposal())
    an_autopilot(windows="frozen daily 00:00-24:00")
    look()
    assert Plan.objects.get().state == "running"


@pytest.mark.parametrize(
    "change",
    [
        lambda: autopilot_stop(a_user()),
        lambda: autopilot_edit(a_user("administrator"), a_site(), {"packing": "recommend"}),
    ],
)
def test_nothing_is_begun_when_somebody_stops_it_while_it_plans(change: Callable[[], Any]):
    a_sprawled_site()
    an_autopilot()
    Host.objects.update(last_seen_at=timezone.now())
    all_proven(timezone.now())

    def stopped_meanwhile(_: Autopilot) -> Mapping[str, Demand]:
        change()
        return {}

    autopilots_look(timezone.now(), stopped_meanwhile, lambda _: {})

    decision = AutopilotDecision.objects.get()
    assert decision.outcome == "waits" and "changed while it looked" in decision.sentence
    assert Plan.objects.get().state == "rejected"


def test_no_host_is_woken_when_somebody_stops_it_while_it_plans():
    _, demand = an_overload()
    Host.objects.filter(name="beta").update(power="off", desired_power="off", is_cordoned=True)
    an_autopilot(packing="off", relief="automatic", overloaded_for_s=15)
    began = timezone.now()
    look(began, demand)
    Host.objects.update(last_seen_at=began + timedelta(minutes=1))

    def stopped_meanwhile(_: Autopilot) -> Mapping[str, Demand]:
        autopilot_stop(a_user())
        return demand

    autopilots_look(began + timedelta(minutes=1), lambda _: {}, stopped_meanwhile)

    assert not Operation.objects.exists()
    newest = AutopilotDecision.objects.first()
    assert newest is not None and "changed while it looked" in newest.sentence


def an_overload() -> tuple[Host, dict[str, Demand]]:
    """Two busy VMs on one host beside an empty one."""
    alpha = a_host("alpha")
    a_host("beta")
    demand = {str(a_vm(f"busy-{number}", alpha).pk): Demand(4.0, 512.0) for number in range(2)}
    return alpha, demand


def test_a_host_with_too_much_to_do_is_relieved_once_it_lasts():
    _, demand = an_overload()
    an_autopilot(packing="off", relief="automatic", overloaded_for_s=120)
    began = timezone.now()

    assert look(began, demand).outcome == "waits"
    decision = look(began + timedelta(minutes=3), demand)

    assert (decision.goal, decision.outcome) == ("relieve", "began")
    plan = Plan.objects.get()
    assert plan.actions.filter(kind="move").count() == 1 and not plan.actions.filter(kind="power_off").exists()


def test_a_peak_that_passes_moves_nothing():
    _, demand = an_overload()
    row = an_autopilot(packing="off", relief="automatic")
    look(timezone.now(), demand)
    decision = look(timezone.now() + timedelta(seconds=30), {})
    row.refresh_from_db()
    assert decision.outcome == "nothing" and row.overloaded_since is None and not Plan.objects.exists()


def test_a_host_is_woken_when_nobody_else_has_room():
    _, demand = an_overload()
    Host.objects.filter(name="beta").update(power="off", desired_power="off", is_cordoned=True)
    an_autopilot(packing="off", relief="automatic", overloaded_for_s=15)
    began = timezone.now()
    look(began, demand)
    decision = look(began + timedelta(minutes=1), demand)

    assert decision.outcome == "woke" and "beta is woken" in decision.sentence
    operation = Operation.objects.get()
    assert (operation.kind, operation.subject_name, operation.requested_by_name) == ("host_power_on", "beta", ACCOUNT)
    assert "being switched" in look(began + timedelta(minutes=2), demand).sentence


def an_overload_with_one_asleep(**values: Any) -> tuple[dict[str, Demand], datetime]:
    """Alpha has had too much to do for a minute, beta is off, and an autopilot relieves by itself."""
    _, demand = an_overload()
    Host.objects.filter(name="beta").update(power="off", desired_power="off", is_cordoned=True)
    an_autopilot(packing="off", relief="automatic", overloaded_for_s=15, **values)
    began = timezone.now()
    look(began, demand)
    return demand, began + timedelta(minutes=1)


def test_no_host_is_woken_that_would_be_of_no_help():
    demand, at = an_overload_with_one_asleep()
    Workload.objects.update(is_pinned=True, pin_reason="It stays.")
    decision = look(at, demand)
    assert decision.outcome == "failed" and "stays over its limits" in decision.sentence
    assert not Operation.objects.exists()


def test_no_host_in_maintenance_is_woken():
    demand, at = an_overload_with_one_asleep()
    Host.objects.filter(name="beta").update(is_in_maintenance=True)
    assert look(at, demand).outcome == "failed"
    assert not Operation.objects.exists()


def test_a_host_that_did_not_wake_is_not_asked_again_at_once():
    demand, at = an_overload_with_one_asleep()
    look(at, demand)
    Operation.objects.update(state="failed", finished_at=timezone.now())
    Lease.objects.all().delete()

    decision = look(at + timedelta(minutes=1), demand)

    assert decision.outcome == "failed" and Operation.objects.count() == 1
    a_host("gamma", power="off", desired_power="off", is_cordoned=True)
    assert "gamma is woken" in look(at + timedelta(minutes=2), demand).sentence


def test_a_proposal_to_free_hosts_does_not_keep_a_hot_host_waiting():
    _, demand = an_overload()
    a_host("gamma")
    for name in ("beta", "gamma"):
        a_vm(f"small-{name}", Host.objects.get(name=name))
    an_autopilot(packing="recommend", relief="automatic", overloaded_for_s=15)
    began = timezone.now()
    assert look(began, {}).outcome == "recommended"
    look(began + timedelta(minutes=1), demand)

    decision = look(began + timedelta(minutes=2), demand)

    assert (decision.goal, decision.outcome) == ("relieve", "began")


@pytest.mark.parametrize(("mode", "state"), [("automatic", "rejected"), ("approve", "planning")])
def test_a_persons_open_plan_waits_for_relief_only_where_that_acts_by_itself(mode: str, state: str):
    _, demand = an_overload()
    an_autopilot(packing="off", relief=mode, overloaded_for_s=15)
    own = plan_request(a_user(), a_site())
    look(timezone.now(), demand)
    look(timezone.now() + timedelta(minutes=1), demand)
    assert Plan.objects.get(pk=own.pk).state == state


def test_a_recommended_relief_is_forgotten_after_a_while():
    _, demand = an_overload()
    an_autopilot(packing="off", relief="recommend", overloaded_for_s=15)
    began = timezone.now()
    look(began, demand)
    plan = look(began + timedelta(minutes=1), demand).plan
    assert plan is not None

    look(began + timedelta(minutes=20), {})

    assert Plan.objects.get(pk=plan.pk).state == "rejected"


def busy_from_noon(host: Host, *names: str) -> None:
    """VMs that need little until noon, and four cores from then on."""
    for name in names:
        profiled(a_vm(name, host), range(12, 20), busy=4.0)


def test_a_host_is_woken_before_the_hour_that_needs_it():
    busy_from_noon(a_host("alpha"), "a", "b")
    a_host("beta", power="off", desired_power="off", is_cordoned=True)
    an_autopilot(packing="off", relief="automatic")

    assert look(NOON - timedelta(hours=2)).outcome == "nothing"
    decision = look(NOON - timedelta(minutes=50))

    assert (decision.goal, decision.outcome) == ("relieve", "woke")
    assert decision.sentence.startswith("beta is woken: by what is usual within an hour, alpha stays over its limits")
    assert Operation.objects.get().subject_name == "beta"


def test_without_the_right_to_wake_it_says_which_host_should_be():
    busy_from_noon(a_host("alpha"), "a", "b")
    a_host("beta", power="off", desired_power="off", is_cordoned=True)
    an_autopilot(packing="off", relief="recommend")
    assert "beta should be woken" in look(NOON).sentence
    assert not Operation.objects.exists()


def test_hosts_that_are_needed_again_too_soon_are_not_freed():
    for name in ("alpha", "beta"):
        busy_from_noon(a_host(name), f"vm-{name}")
    row = an_autopilot()
    waits("By what is usual within 2 hours, the hosts would be needed again", NOON - timedelta(minutes=50))
    Autopilot.objects.filter(pk=row.pk).update(packed_at=None)
    assert look(NOON + timedelta(hours=9)).outcome == "began"


def test_in_spread_hours_it_wakes_what_it_switched_off_and_nothing_else():
    a_sprawled_site()
    account = autopilot_account()
    for name in ("beta", "gamma"):
        Host.objects.filter(name=name).update(power="off", desired_power="off", is_cordoned=True)
    plan = Plan.objects.create(
        site=a_site(), state="done", approved_by=account, approved_at=timezone.now() - timedelta(hours=9)
    )
    PlanAction.objects.create(
        plan=plan, number=1, kind="power_off", state="done", source=Host.objects.get(name="gamma")
    )
    an_autopilot(windows="spread daily 00:00-24:00")

    decision = look()

    assert (decision.goal, decision.outcome) == ("spread", "woke") and "gamma is woken" in decision.sentence
    assert Operation.objects.get().subject_name == "gamma"


def test_settings_that_cannot_be_are_refused_at_their_field():
    admin, site = a_user("administrator"), a_site()
    for values, field in (
        ({"windows": "sometimes"}, "windows"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"packing": "maybe"}, "packing"),
        ({"moves_per_hour": 0}, "moves_per_hour"),
        ({"pays_back_hours": -1.0}, "pays_back_hours"),
    ):
        with pytest.raises(Invalid) as caught:
            autopilot_edit(admin, site, values)
        assert caught.value.field == field
    with pytest.raises(Forbidden):
        autopilot_edit(a_user("operator"), site, {"packing": "automatic"})
    assert not Autopilot.objects.exists()


def test_a_person_of_that_name_is_not_taken_for_it():
    User.objects.create_user(ACCOUNT, password="long-enough-1")
    with pytest.raises(Refused, match="Rename it"):
        autopilot_edit(a_user("administrator"), a_site(), {"packing": "automatic"})


def test_nobody_logs_in_as_the_autopilot():
    account = autopilot_account()
    assert not account.has_usable_password() and autopilot_account().pk == account.pk


def test_one_switch_stops_it_everywhere():
    a_sprawled_site()
    an_autopilot()
    look()

    assert autopilot_stop(a_user()) == ["berlin"]

    assert Plan.objects.get().state == "stopped"
    assert not Autopilot.objects.get().is_on
    with pytest.raises(Forbidden):
        autopilot_stop(a_user("viewer"))


def test_the_page_tells_what_it_did_and_why():
    a_sprawled_site()
    an_autopilot(windows="dense daily 22:00-05:00")
    look(NOON)

    page = client_of("viewer").get("/autopilot/").content.decode()

    assert "outside of the hours in which hosts are freed" in page and "dense daily 22:00-05:00" in page


def test_the_settings_page_keeps_and_refuses():
    client, site = client_of("administrator"), a_site()
    values = {"packing": "approve", "relief": "off", "time_zone": "Europe/Berlin", "windows": "dense daily 22:00-05:00"}
    values |= {"cool_down_minutes": "10", "moves_per_hour": "5", "pays_back_hours": "4", "overloaded_for_s": "60"}

    wrong = client.post(f"/sites/{site.pk}/autopilot/", values | {"windows": "at times"})
    assert wrong.status_code == 422 and "is no window" in wrong.content.decode()
    assert client.post(f"/sites/{site.pk}/autopilot/", values).status_code == 302

    row = Autopilot.objects.get()
    assert (row.packing, row.moves_per_hour, row.windows) == ("approve", 5, "dense daily 22:00-05:00")


def test_a_person_may_ask_for_a_plan_over_its_proposal():
    a_sprawled_site()
    an_autopilot(packing="recommend")
    first = look().plan
    plan_request(a_user(), a_site())
    assert Plan.objects.get(pk=first.pk).state == "rejected"
