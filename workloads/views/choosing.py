"""Help to choose between a VM and a container, beside what both have cost here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hosts.access import may
from hosts.doors import page
from workloads import queries
from workloads.choosing import advise
from workloads.forms import ChoiceForm


@page("view")
def choose(request: HttpRequest) -> HttpResponse:
    form = ChoiceForm(request.GET if "kernel" in request.GET else None)
    context = {
        "form": form,
        "advice": advise(form.wish()) if form.is_bound and form.is_valid() else None,
        "figures": queries.creation_figures(),
        "may_operate": may(request.user, "operate"),
    }
    return render(request, "workloads/choose.html", context, status=422 if form.errors else 200)
