"""Wake drills: what proves a host, what puts it into quarantine, and what ends that."""

from __future__ import annotations

import pytest
from django.utils import timezone

from datacenter.services import placement
from hosts import services
from hosts.drivers.fake import FakeDomain
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Entry, Host, Operation, Wake
from hosts.queries import host_status, power_differs, verbs_shown
from hosts.states import why_not
from hosts.wake_times import wake_times
from tests.factories import host_make, user_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import Place, place_make
from workloads.services.capacity import Need

pytestmark = pytest.mark.django_db
ALWAYS = 10**6


@pytest.fixture
def place() -> Place:
    return place_make()


def drilled(place: Place, *troubles: Trouble) -> tuple[Operation, Host]:
    place.harness.troubles = list(troubles)
    operation = place.harness.run(services.host_wake_drill(place.user, place.beta))
    return operation, Host.objects.get(pk=place.beta.pk)


def test_a_drill_switches_the_host_off_and_on_and_records_the_seconds_between(place: Place):
    operation, host = drilled(place)

    wake = Wake.objects.get()
    asked = operation.entries.get(kind=Entry.Kind.STARTED, step="power_on").created_at
    answered = operation.entries.get(kind=Entry.Kind.DONE, step="ping").created_at
    assert operation.state == "done"
    assert (wake.passed, wake.origin, wake.began_at) == (True, "drill", asked)
    assert wake.seconds == pytest.approx((answered - asked).total_seconds())
    done = [name for _, name, _ in place.harness.effects if name.startswith("power.")]
    assert done == ["power.off", "power.read", "power.on"]
    assert (host.power, host.desired_power, host.is_cordoned, host.quarantined_at) == ("on", "on", False, None)


def test_a_host_that_is_not_empty_is_left_on_and_not_blamed(place: Place):
    place.world.hosts["beta"].domains["x"] = FakeDomain("x", "db-1", state="running")

    operation, host = drilled(place)

    assert operation.state == "failed" and "db-1 still run" in operation.message
    assert place.world.hosts["beta"].powered
    assert not Wake.objects.exists() and host.quarantined_at is None
    assert not place.harness.plane("host.beta").state.flag("quiesced")


@pytest.mark.parametrize("step", ["power_on", "ping"])
def test_a_host_that_does_not_wake_is_put_into_quarantine_with_the_reason(place: Place, step: str):
    operation, host = drilled(place, Trouble(step, "refused", ALWAYS))

    wake = Wake.objects.get()
    assert operation.state == "failed"
    assert (wake.passed, wake.seconds, wake.why_not) == (False, None, operation.message)
    assert host.quarantined_at is not None and host.quarantine_reason == operation.message
    assert host_status(host).word == "quarantined" and operation.message in host_status(host).sentence
    assert power_differs(host) == ""


def test_a_host_that_never_answers_its_ping_is_quarantined_too(place: Place):
    operation, host = drilled(place, Trouble("ping", "silent", ALWAYS))

    assert operation.state == "failed" and host.quarantined_at is not None


def test_nothing_new_is_placed_on_a_host_in_quarantine(place: Place):
    for name in ("alpha", "beta"):
        Host.objects.filter(name=name).update(quarantined_at=timezone.now(), quarantine_reason="It stayed dark.")

    with pytest.raises(Refused, match="beta is in quarantine"):
        placement.host_for(Need(0.1, 16, kind="container"))


def test_an_ordinary_wake_is_recorded_too_and_one_that_was_on_already_proves_nothing(place: Place):
    place.world.power_set("beta", False)
    Host.objects.filter(pk=place.beta.pk).update(power="off", desired_power="off")
    place.harness.run(services.host_power_on(place.user, place.beta, origin=Wake.Origin.PLAN))
    assert list(Wake.objects.values_list("origin", "passed")) == [("plan", True)]

    Host.objects.filter(pk=place.beta.pk).update(power="unknown")
    place.harness.run(services.host_power_on(place.user, place.beta))
    assert Wake.objects.count() == 1


def test_an_ordinary_wake_that_fails_quarantines_but_a_cancelled_one_does_not(place: Place):
    place.world.power_set("beta", False)
    Host.objects.filter(pk=place.beta.pk).update(power="off", desired_power="off")
    operation = services.host_power_on(place.user, place.beta)
    Operation.objects.filter(pk=operation.pk).update(cancel_requested_at=timezone.now())
    operation.refresh_from_db()
    place.harness.run(operation)
    assert not Wake.objects.exists()

    place.harness.troubles = [Trouble("ping", "refused", ALWAYS)]
    place.harness.run(services.host_power_on(place.user, place.beta))
    assert Wake.objects.get().passed is False
    assert Host.objects.get(pk=place.beta.pk).quarantined_at is not None


def test_one_drill_at_a_time_runs_in_a_site(place: Place):
    services.host_wake_drill(place.user, place.beta)

    with pytest.raises(Refused, match="beta is busy"):
        services.host_wake_drill(place.user, place.alpha)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"power": "off"}, "is off"), ({"last_seen_at": None}, "does not answer"), ({"lifecycle": "failed"}, "enrolled")],
)
def test_a_drill_is_refused_with_a_sentence(values: dict, sentence: str):
    host = host_make("alpha", **values)

    with pytest.raises(Refused, match=sentence):
        services.host_wake_drill(user_make(), host)


def test_who_may_not_operate_drills_and_lifts_nothing():
    host = host_make("alpha", quarantined_at=timezone.now())

    with pytest.raises(Forbidden):
        services.host_wake_drill(user_make("viewer"), host)
    with pytest.raises(Forbidden):
        services.host_quarantine_lift(user_make("viewer"), host, reason="x")


@pytest.mark.parametrize("wait_s", [0, -1, 3601, float("nan")])
def test_a_wait_that_makes_no_sense_is_refused_at_its_field(wait_s: float):
    with pytest.raises(Invalid) as caught:
        services.host_wake_drill(user_make(), host_make("alpha"), wait_s=wait_s)
    assert caught.value.field == "wait_s"


def test_a_quarantine_is_lifted_with_a_reason_or_after_a_passed_drill(place: Place):
    _, host = drilled(place, Trouble("power_on", "refused", ALWAYS))
    with pytest.raises(Invalid, match="has not woken since"):
        services.host_quarantine_lift(place.user, host)

    place.harness.troubles = []
    place.harness.run(services.host_power_on(place.user, host))
    host.refresh_from_db()
    assert host.quarantined_at is not None, "a person decides"
    place.harness.run(services.host_quarantine_lift(place.user, host))

    host.refresh_from_db()
    assert (host.quarantined_at, host.quarantine_reason) == (None, "")
    assert why_not(host, "lift_quarantine") == "beta is not in quarantine."


def test_a_host_that_came_up_late_takes_work_again_once_its_quarantine_is_lifted(place: Place):
    _, host = drilled(place, Trouble("ping", "refused", ALWAYS))
    assert place.harness.plane("host.beta").state.flag("quiesced")
    Host.objects.filter(pk=host.pk).update(power="on")

    place.harness.troubles = []
    place.harness.run(services.host_quarantine_lift(place.user, host, reason="seen to boot"))

    assert not place.harness.plane("host.beta").state.flag("quiesced")


def test_the_drill_has_a_button_while_the_host_is_on():
    assert "wake_drill" in verbs_shown(host_make("alpha"))
    assert "wake_drill" not in verbs_shown(host_make("beta", power="off"))


def test_times_are_wakes_that_happened():
    times = wake_times([30.0, 10.0, 20.0, 40.0])

    assert (times.count, times.median_s, times.p95_s) == (4, 20.0, 40.0)
    assert wake_times(float(n) for n in range(1, 101)).p95_s == 95.0
    assert wake_times([]).p95_s is None
