"""The page of a host's shell: for administrators, on hosts where it was switched on."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from hosts.doors import page
from hosts.models import Host


@page("administer")
def host_shell(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host.objects.select_related("rack__site"), pk=uuid)
    return render(request, "hosts/shell.html", {"host": host, "label": f"Shell on {host.name}"})
