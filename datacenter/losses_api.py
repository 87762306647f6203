"""N+k as it is now, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Router, Schema

from datacenter.models import LossOutlook
from hosts.api import VIEW

router = Router(tags=["losses"])


class HostLostOut(Schema):
    """`restarts`: where each workload would be started, by UUIDs; `waits`: what would not, and why."""

    host: str
    name: str
    restarts: dict[str, str]
    waits: list[dict[str, str]]
    caution: str


class LossesOut(Schema):
    """`survivable`: any so many hosts may be lost at once, and everything has room on the others."""

    site: str
    looked_at: datetime
    survivable: int
    sentence: str
    safe: list[str]
    hosts: list[HostLostOut]

    @staticmethod
    def resolve_site(row: Any) -> str:
        return str(row.site.name)


@router.get("", response=list[LossesOut], auth=VIEW)
def loss_list(request: HttpRequest) -> QuerySet[LossOutlook]:
    """What each site can lose right now, as it was looked at last; a look each minute."""
    return LossOutlook.objects.select_related("site")
