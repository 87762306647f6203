"""The newest figures for a template: one read for all that a page shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings
from django.templatetags.static import static

from datacenter.metrics.live import latest_read
from datacenter.npm import prefix, versions
from datacenter.weeks import DAYS, weeks_of

register = template.Library()


@register.simple_tag
def latest(sources: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Newest values by "host:<uuid>" and "workload:<uuid>"; what is missing or stale is left out."""
    return latest_read(sources)


@register.simple_tag
def npm(package: str, path: str) -> str:
    """Address of a file of a browser package; empty where the package is not installed."""
    version = versions(settings.BASE_DIR).get(package)
    return static(f"{prefix(package, version)}/{path}") if version else ""


@register.inclusion_tag("datacenter/_weeks.html")
def demand_weeks(workload_id: UUID) -> dict[str, Any]:
    """What a workload uses through the week, a heat map for each resource."""
    return {"weeks": weeks_of(workload_id), "days": [day[:3] for day in DAYS], "hours": range(0, 24, 3)}


@register.simple_tag
def cell_x(column: int) -> int:
    """Where a column of a heat map begins, right of the days' names."""
    return 34 + 20 * column


@register.simple_tag
def cell_y(row: int, below: int = 0) -> int:
    """Where a row of a heat map begins, below the hours' names."""
    return 16 + 19 * row + below
