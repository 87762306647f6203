"""The API of a site's wakes; drills are begun at their host."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from datacenter.questions_api import site_found
from datacenter.wake_view import site_wakes
from hosts.api import VIEW

router = Router(tags=["wakes"])


class WakeOut(Schema):
    host: str
    origin: str
    began_at: datetime
    seconds: float | None
    passed: bool
    why_not: str
    operation: UUID | None

    @staticmethod
    def resolve_host(row: Any) -> str:
        return str(row.host.name)

    @staticmethod
    def resolve_operation(row: Any) -> UUID | None:
        return row.operation_id  # type: ignore[no-any-return]


class ProofOut(Schema):
    """`why_not` is empty for a host that is proven to wake. Seconds are its own; null where it was never timed."""

    host: UUID
    name: str
    proof: str
    why_not: str
    wakes: int
    median_s: float | None
    p95_s: float | None


class SiteWakesOut(Schema):
    """Wakes of the last 180 days; `recent` are the newest 50."""

    wakes: int
    median_s: float | None
    p95_s: float | None
    require_wake_proof: str
    wake_proof_days: int
    reserve: str
    hosts: list[ProofOut]
    recent: list[WakeOut]


@router.get("/{int:site_id}", response=SiteWakesOut, auth=VIEW)
def wakes_of_site(request: HttpRequest, site_id: int) -> dict[str, Any]:
    """Which hosts of the site are proven to wake, and how long waking takes."""
    view = site_wakes(site_found(site_id), timezone.now())
    return {
        "wakes": view.times.count,
        "median_s": view.times.median_s,
        "p95_s": view.times.p95_s,
        "require_wake_proof": view.policy.require_wake_proof,
        "wake_proof_days": view.policy.wake_proof_days,
        "reserve": view.reserve,
        "hosts": [
            {
                "host": row.host.pk,
                "name": row.host.name,
                "proof": row.word,
                "why_not": row.why_not,
                "wakes": row.times.count,
                "median_s": row.times.median_s,
                "p95_s": row.times.p95_s,
            }
            for row in view.hosts
        ],
        "recent": view.recent,
    }
