"""Help to choose between a VM and a container, beside what both have cost here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from hosts.access import may
from hosts.doors import form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.once import FIELD, key_of, token_new
from workloads import queries, services
from workloads.choosing import advise
from workloads.forms import ChoiceForm, MeasureForm
from workloads.models import Image


@page("view")
def choose(request: HttpRequest) -> HttpResponse:
    form = ChoiceForm(request.GET if "kernel" in request.GET else None)
    context = {
        "form": form,
        "advice": advise(form.wish()) if form.is_bound and form.is_valid() else None,
        "figures": queries.creation_figures(),
        "measured": queries.measured_here(),
        "may_operate": may(request.user, "operate"),
    }
    return render(request, "workloads/choose.html", context, status=422 if form.errors else 200)


@form_page("operate")
def measure(request: HttpRequest) -> HttpResponse:
    form = MeasureForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            wanted = dict(form.cleaned_data)
            host = wanted.pop("host")
            vm, _ = services.choice_measure(request.user, host, **wanted, idempotency_key=key_of(request))
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("operation", uuid=vm.pk)
    context = {
        "form": form,
        "once_token": request.POST.get(FIELD) or token_new(),
        "references": list(Image.objects.exclude(reference="").values_list("reference", flat=True)),
    }
    return render(request, "workloads/measure.html", context, status=422 if form.errors else 200)
