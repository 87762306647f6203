"""The savings ledger, with figures worked out by hand."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest

from datacenter.ledger_view import ledger_read
from datacenter.metrics.store import Series
from datacenter.models import OffInterval, Plan, PlanAction, SavedDay, Tariff
from datacenter.services.ledger import days_between, ledger_keep
from hosts.errors import Unreachable
from hosts.models import Host, Operation
from tests.actors import client_of
from tests.datacenter.world import a_host, a_site

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class FakeStore:
    """Answers by the function that the query begins with."""

    def __init__(self, idle: float | None = None, off: float | None = None, away: bool = False) -> None:
        self.answers = {"quantile_over_time": idle, "avg_over_time": off}
        self.asked: list[tuple[str, float | None]] = []
        self.away = away

    def query(self, promql: str, at: float | None = None) -> list[Series]:
        if self.away:
            raise Unreachable("The metrics store does not answer.")
        self.asked.append((promql, at))
        value = self.answers[promql.partition("(")[0]]
        return [] if value is None else [Series({}, [(at or 0.0, value)])]


@pytest.fixture(autouse=True)
def tariff() -> Tariff:
    return Tariff.objects.create(site=a_site(), price_per_kwh="0.25", carbon_g_per_kwh=300, pue=1.5)


def freed(name: str = "alpha", at: datetime = NOON - timedelta(days=1), **fields) -> Host:
    """A host of 100 W idle that a plan, which predicted 120 W, has switched off."""
    host = Host.objects.filter(name=name).first() or a_host(name, power="off", desired_power="off", **fields)
    plan = Plan.objects.create(
        site=a_site(), state="done", requested_by_name="ann", savings={"before_watts": 520.0, "after_watts": 400.0}
    )
    operation = Operation.objects.create(
        kind="host_power_off", subject_kind="host", subject_id=str(host.pk), subject_name=name, state="done"
    )
    Operation.objects.filter(pk=operation.pk).update(created_at=at, finished_at=at)
    PlanAction.objects.create(plan=plan, number=1, kind="power_off", source=host, state="done", operation=operation)
    return host


def woken(host: Host, at: datetime) -> None:
    operation = Operation.objects.create(
        kind="host_power_on", subject_kind="host", subject_id=str(host.pk), subject_name=host.name, state="done"
    )
    Operation.objects.filter(pk=operation.pk).update(created_at=at)
    Host.objects.filter(pk=host.pk).update(power="on", power_read_at=at)


def keep(now: datetime = NOON, store: FakeStore | None = None) -> None:
    ledger_keep(now, store or FakeStore(), store or FakeStore())  # type: ignore[arg-type]


def rows() -> list[tuple]:
    return [(row.day, row.seconds, round(row.kwh, 9)) for row in SavedDay.objects.all()]


def test_a_host_off_for_twelve_hours_by_its_model():
    freed()  # at noon of the 26th: 12 hours of that day

    keep()

    row = SavedDay.objects.get()
    assert (row.day, row.seconds, row.watts, row.is_measured) == (date(2026, 11, 26), 43200.0, 100.0, False)
    assert row.kwh == pytest.approx(1.8)  # 100 W x 1.5 x 12 h
    assert row.predicted_kwh == pytest.approx(2.16)  # 120 W x 1.5 x 12 h
    assert row.money == pytest.approx(0.45)  # 1.8 kWh x 0.25 EUR
    assert row.co2_kg == pytest.approx(0.54)  # 1.8 kWh x 300 g
    assert row.currency == "EUR"


def test_what_a_bmc_measured_counts_less_what_the_host_draws_while_off():
    freed()
    store = FakeStore(idle=90.0, off=6.0)

    keep(store=store)

    row, interval = SavedDay.objects.get(), OffInterval.objects.get()
    assert (interval.idle_watts, interval.is_measured) == (90.0, True)
    assert (row.watts, row.is_measured, row.kwh) == (84.0, True, pytest.approx(1.512))  # 84 W x 1.5 x 12 h
    assert store.asked[0][1] == (NOON - timedelta(days=1)).timestamp(), "as it was just before"
    assert "[43200s]" in store.asked[1][0]


def test_days_are_closed_when_they_are_over_and_once_however_often_it_runs():
    freed(at=NOON - timedelta(days=3))

    keep()
    keep()

    assert [row[:2] for row in rows()] == [
        (date(2026, 11, 24), 43200.0),
        (date(2026, 11, 25), 86400.0),
        (date(2026, 11, 26), 86400.0),
    ]
    keep(NOON + timedelta(days=1))
    assert len(rows()) == 4


def test_a_closed_day_outlives_a_new_tariff_and_the_plan(tariff: Tariff):
    freed()
    keep()
    before = rows()
    Tariff.objects.update(price_per_kwh="9", pue=3)
    Plan.objects.all().delete()

    keep()

    assert rows() == before
    assert SavedDay.objects.get().money == pytest.approx(0.45)
    assert OffInterval.objects.count() == 1


def test_an_interval_ends_when_the_host_is_woken_and_the_next_plan_begins_another():
    host = freed(at=NOON - timedelta(days=2))
    woken(host, NOON - timedelta(days=2, hours=-2))
    Host.objects.filter(pk=host.pk).update(power="off")
    freed(at=NOON - timedelta(days=1))

    keep()  # nobody looked in between

    lengths = [
        (row.ended_at - row.began_at).total_seconds() if row.ended_at else None for row in OffInterval.objects.all()
    ]
    assert lengths == [None, 7200.0]
    assert [row[1] for row in rows()] == [7200.0, 43200.0]


def test_a_host_that_somebody_switched_on_by_hand_saves_no_longer():
    host = freed()
    Host.objects.filter(pk=host.pk).update(power="on", power_read_at=NOON - timedelta(hours=13))

    keep()

    assert OffInterval.objects.get().ended_at == NOON - timedelta(hours=13)
    assert rows()[0][1] == 39600.0


def test_while_nobody_knows_whether_it_is_on_the_interval_stays_open():
    host = freed()
    Host.objects.filter(pk=host.pk).update(power="unknown")

    keep()

    assert OffInterval.objects.get().ended_at is None


def test_a_store_that_is_away_loses_nothing():
    freed()
    with pytest.raises(Unreachable):
        keep(store=FakeStore(away=True))
    assert not SavedDay.objects.exists()

    keep(store=FakeStore(idle=90.0))

    assert SavedDay.objects.get().is_measured


def test_a_host_switched_off_by_hand_is_no_plans_saving():
    a_host("alpha", power="off", desired_power="off")

    keep()

    assert not OffInterval.objects.exists()


def test_days_are_cut_at_midnight_utc():
    began = datetime(2026, 11, 26, 23, 0, tzinfo=UTC)

    found = [(day, (b - a).total_seconds()) for day, a, b in days_between(began, began + timedelta(hours=26))]

    assert found == [(date(2026, 11, 26), 3600.0), (date(2026, 11, 27), 86400.0), (date(2026, 11, 28), 3600.0)]
    assert list(days_between(began, began)) == []


def test_sums_by_month_and_plan_with_today_so_far():
    freed("alpha", rack_units=2)  # off since the 26th at noon: 24 h
    freed("beta", at=NOON - timedelta(hours=6))
    keep()

    ledger = ledger_read(NOON)

    (month,) = ledger.months
    assert month.sum.kwh == pytest.approx(4.5)  # 30 h x 150 W
    assert month.sum.predicted_kwh == pytest.approx(5.4)
    assert month.sum.money == {"EUR": pytest.approx(1.125)}
    assert month.rack_units == pytest.approx((24 * 2 + 6) / (26.5 * 24))
    assert month.cores == pytest.approx(30 * 8 / (26.5 * 24))
    assert sorted(round(line.sum.kwh, 6) for line in ledger.plans) == [0.9, 3.6]
    assert (ledger.off_now, round(ledger.total.against_predicted_percent)) == (2, 83)


def test_everybody_may_read_the_page_the_api_and_the_file():
    freed()
    keep()
    client = client_of("viewer")

    page = client.get("/savings/").content.decode()
    told = client.get("/api/savings").json()
    answer = client.get("/savings/days.csv")

    assert "By month" in page and "CO₂" in page
    assert told["months"][-1]["month"] == "2026-11-01"
    assert told["plans"][0]["plan"] == str(Plan.objects.get().pk)
    lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert answer["Content-Disposition"] == 'attachment; filename="savings.csv"'
    assert (lines[0]["host"], lines[0]["kWh saved"], lines[0]["watts are"]) == ("alpha", "1.8000", "modelled")
    assert lines[0]["is closed"] == "yes" and lines[-1]["is closed"] == "no"


def test_an_empty_ledger_says_so():
    assert "Nothing saved yet" in client_of("viewer").get("/savings/").content.decode()
