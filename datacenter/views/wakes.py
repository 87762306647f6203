"""The page of a site's wakes: which hosts are proven to wake, and how long that takes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from datacenter.wake_view import site_wakes
from hosts.access import may
from hosts.doors import page
from hosts.models import Site
from hosts.regions import render_page


@page("view")
def wake_page(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    context = {"view": site_wakes(site, timezone.now()), "site": site, "may_operate": may(request.user, "operate")}
    return render_page(request, "datacenter/wakes.html", "datacenter/_wakes.html", context)
