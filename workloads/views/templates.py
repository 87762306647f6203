"""Pages of templates and flavours. Templates are made by the forms of new workloads."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, page
from hosts.errors import Invalid
from workloads import services
from workloads.forms import FlavourForm
from workloads.models import Flavour, Image, Template


@page("view")
def template_list(request: HttpRequest) -> HttpResponse:
    refused = None if may(request.user, "operate") else NOT_AN_OPERATOR
    images = {str(pk): name for pk, name in Image.objects.values_list("pk", "name")}
    rows = []
    for template in Template.objects.all():
        ask = "What was made from it stays. Its other versions stay too."
        url = reverse("template-remove", args=[template.pk])
        remove = Button("remove", "Remove", url, refused, "btn-sm btn-outline-danger", "", ask)
        image = template.wish.get("image", "")
        rows.append((template, images.get(image, "an image that is gone") if template.kind == "vm" else image, remove))
    flavours = [
        (flavour, Button("remove", "Remove", reverse("flavour-remove", args=[flavour.pk]), refused, "btn-sm"))
        for flavour in Flavour.objects.all()
    ]
    context = {"rows": rows, "flavours": flavours, "may_operate": refused is None, "form": FlavourForm()}
    return render(request, "workloads/templates.html", context)


@action("operate")
def template_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    template = get_object_or_404(Template, pk=uuid)
    done_or_said(request, lambda: services.template_remove(request.user, template), f"{template} is removed.")
    return redirect("templates")


@action("operate")
def flavour_add(request: HttpRequest) -> HttpResponse:
    form = FlavourForm(request.POST)

    def act() -> None:
        if not form.is_valid():
            field, errors = next(iter(form.errors.items()))
            raise Invalid(f"{form.fields[field].label or field}: {errors[0]}", field=field)
        services.flavour_add(request.user, **form.cleaned_data)

    done_or_said(request, act, "The flavour is there for new VMs.")
    return redirect("templates")


@action("operate")
def flavour_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    flavour = get_object_or_404(Flavour, pk=uuid)
    done_or_said(request, lambda: services.flavour_remove(request.user, flavour), f"{flavour.name} is removed.")
    return redirect("templates")
