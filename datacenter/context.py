"""What every page shows around its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

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
    count_url: str = ""


# label, name of the address, icon, beginnings of paths that belong to it, verb that it needs
_ITEMS = (
    ("Overview", "overview", "overview", (), "view"),
    ("Hosts", "hosts", "host", ("/hosts/",), "view"),
    ("Workloads", "workloads", "workload", ("/workloads/",), "view"),
    ("Plans", "plans", "plan", ("/plans/",), "view"),
    ("Ask the planner", "questions", "question", ("/questions/",), "view"),
    ("Operations", "operations", "operation", ("/operations/",), "view"),
    ("Images", "images", "image", ("/images/",), "view"),
    ("API tokens", "tokens", "key", ("/tokens/",), "administer"),
    ("Audit log", "audit", "audit", ("/audit/",), "administer"),
    ("Admin", "admin:index", "admin", ("/admin/",), "administer"),
)


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
    }


def navigation(request: HttpRequest) -> list[NavigationItem]:
    """The addresses that the user may open."""
    return [
        NavigationItem(
            label,
            reverse(name),
            icon,
            request.path == reverse(name) or request.path.startswith(paths or ("\0",)),
            reverse("operation-count") if name == "operations" else "",
        )
        for label, name, icon, paths, verb in _ITEMS
        if may(request.user, verb)
    ]
