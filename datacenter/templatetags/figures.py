"""The newest figures for a template: one read for all that a page shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static

from datacenter.metrics.live import latest_read
from datacenter.npm import prefix, versions

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
