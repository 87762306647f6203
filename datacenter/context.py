"""What every page shows around its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from datacenter.alerts.lists import alerts_firing
from datacenter.npm import prefix, versions
from hosts.access import may, role_of
from hosts.queries import operations_open


@dataclass(frozen=True)
class NavigationItem:
    """A line of the navigation; the page is at it when its path begins with one of `paths`."""

    label: str
    url: str
    icon: str
    is_here: bool
    counts: str = ""  # the kind of thing whose number stands beside it, and the template and address of that number
    count_part: str = ""
    count_url: str = ""


# label, name of the address, icon, beginnings of paths that belong to it, verb that it needs
_ITEMS = (
    ("Overview", "overview", "overview", (), "view"),
    ("Hosts", "hosts", "host", ("/hosts/",), "view"),
    ("Workloads", "workloads", "workload", ("/workloads/",), "view"),
    ("Schedules", "schedules", "clock", ("/schedules/",), "view"),
    ("Plans", "plans", "plan", ("/plans/",), "view"),
    ("Maintenance", "maintenance", "wrench", ("/maintenance/",), "view"),
    ("Autopilot", "autopilot", "play", ("/autopilot/",), "view"),
    ("Savings", "savings", "leaf", ("/savings/",), "view"),
    ("Ask the planner", "questions", "question", ("/questions/",), "view"),
    ("Operations", "operations", "operation", ("/operations/",), "view"),
    ("Recoveries", "recoveries", "power", ("/recoveries/",), "view"),
    ("Alerts", "alerts", "bell", ("/alerts/", "/alert-rules/", "/silences/", "/channels/"), "view"),
    ("Storage", "storage", "save", ("/storage/",), "view"),
    ("Backups", "backups", "copy", ("/backups/",), "view"),
    ("Images", "images", "image", ("/images/", "/templates/", "/container-images/", "/registries/"), "view"),
    ("API tokens", "tokens", "key", ("/tokens/",), "administer"),
    ("Audit log", "audit", "audit", ("/audit/",), "administer"),
    ("Admin", "admin:index", "admin", ("/admin/",), "administer"),
)
# name of an item -> what it counts, the template of the number, the name of its address
_COUNTS = {
    "operations": ("operation", "hosts/_operation_count.html", "operation-count"),
    "alerts": ("alert", "datacenter/_alert_count.html", "alert-count"),
}


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of base.html. Asks the database for nothing when nobody is logged in, and for nothing twice."""
    packages = {name: prefix(name, version) for name, version in versions(settings.BASE_DIR).items()}
    context: dict[str, Any] = {
        "npm": {
            "htmx": packages.get("htmx.org", ""),
            "tabler": packages.get("@tabler/core", ""),
            "uplot": packages.get("uplot", ""),
        }
    }
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return context
    return context | {
        "role": SimpleLazyObject(lambda: role_of(user) or ""),
        "navigation": SimpleLazyObject(lambda: navigation(request)),
        "open_count": SimpleLazyObject(lambda: operations_open().count()),
        "alert_count": SimpleLazyObject(lambda: alerts_firing().count()),
    }


def navigation(request: HttpRequest) -> list[NavigationItem]:
    """The addresses that the user may open."""
    items = []
    for label, name, icon, paths, verb in _ITEMS:
        if may(request.user, verb):
            is_here = request.path == reverse(name) or request.path.startswith(paths or ("\0",))
            counts, part, address = _COUNTS.get(name, ("", "", ""))
            count_url = reverse(address) if address else ""
            items.append(NavigationItem(label, reverse(name), icon, is_here, counts, part, count_url))
    return items
