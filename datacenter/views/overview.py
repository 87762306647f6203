"""The first page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from datacenter.queries import overview as overview_read
from datacenter.services.savings import site_saving
from datacenter.views.plans import ask_button
from hosts.access import may
from hosts.doors import page
from hosts.regions import render_page

LEGEND = ("running", "stopped", "paused", "migrating", "crashed", "unknown")


@page("view")
def overview(request: HttpRequest) -> HttpResponse:
    sites = overview_read()
    context = {
        "sites": [
            (view, site_saving(view.site, view.hosts, view.values), [ask_button(request, view.site)]) for view in sites
        ],
        "on_count": sum(view.on_count for view in sites),
        "host_count": sum(view.host_count for view in sites),
        "has_hosts": any(view.racks for view in sites),
        "legend": LEGEND,
        "may_administer": may(request.user, "administer"),
    }
    return render_page(request, "datacenter/overview.html", "datacenter/_overview.html", context)
