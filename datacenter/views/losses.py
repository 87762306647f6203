"""What would become of a site's workloads if one of its hosts were lost right now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from datacenter.models import LossOutlook
from datacenter.snapshot import policy_of
from hosts.doors import page
from hosts.models import Host, Site
from hosts.regions import render_page
from workloads.models import Workload


@page("view")
def loss_page(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    outlook = LossOutlook.objects.filter(site=site).first()
    rows = outlook.hosts if outlook else []
    wanted = {pk for row in rows for pk in row["restarts"]}
    names = {str(pk): name for pk, name in Workload.objects.filter(pk__in=wanted).values_list("pk", "name")}
    hosts = {str(pk): name for pk, name in Host.objects.values_list("pk", "name")}
    told = [
        row | {"restarted": [(pk, names[pk], hosts.get(to, to)) for pk, to in row["restarts"].items() if pk in names]}
        for row in rows
    ]
    context = {"site": site, "outlook": outlook, "rows": told, "policy": policy_of(site)}
    return render_page(request, "datacenter/losses.html", "datacenter/_losses.html", context)
