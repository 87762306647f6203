"""The API of the savings ledger."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from datacenter.ledger_view import Sum, ledger_read
from hosts.api import VIEW

router = Router(tags=["savings"])


class SumOut(Schema):
    """Energy and all that follows from it include the PUE. `measured_percent`: how much of it BMCs measured."""

    kwh: float
    predicted_kwh: float
    measured_percent: float
    money: dict[str, float]
    co2_kg: float
    hours_off: float
    hosts: list[str]


class MonthOut(SumOut):
    """Rack units and cores are those freed on average over the month, as far as it has passed."""

    month: date
    rack_units: float
    cores: float


class PlanSumOut(SumOut):
    plan: UUID | None


class LedgerOut(Schema):
    """Months and plans, newest first. Today counts as far as it has passed."""

    total: SumOut
    off_now: int
    months: list[MonthOut]
    plans: list[PlanSumOut]


@router.get("", response=LedgerOut, auth=VIEW)
def savings(request: HttpRequest) -> dict[str, Any]:
    """What plans have saved by keeping hosts off."""
    ledger = ledger_read(timezone.now())
    return {
        "total": _sum(ledger.total),
        "off_now": ledger.off_now,
        "months": [
            _sum(month.sum) | {"month": month.first, "rack_units": month.rack_units, "cores": month.cores}
            for month in ledger.months
        ],
        "plans": [_sum(line.sum) | {"plan": line.plan.pk if line.plan else None} for line in ledger.plans],
    }


def _sum(part: Sum) -> dict[str, Any]:
    return {
        "kwh": part.kwh,
        "predicted_kwh": part.predicted_kwh,
        "measured_percent": part.measured_percent,
        "money": dict(part.money),
        "co2_kg": part.co2_kg,
        "hours_off": part.hours,
        "hosts": sorted(part.hosts),
    }
