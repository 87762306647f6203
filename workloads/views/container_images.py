"""Pages of the container images on hosts, and of the registries that they come from."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.once import FIELD, key_of, token_new
from hosts.regions import render_page
from workloads import services
from workloads.forms import PullForm, RegistryForm
from workloads.models import HostImage, Registry
from workloads.states import why_no_image


@page("view")
def image_list(request: HttpRequest) -> HttpResponse:
    """Which host has which image, how large, used by whom; and the registries with a login."""
    is_operator = may(request.user, "operate")
    context = {
        "rows": [(image, _image_button(image, is_operator)) for image in HostImage.objects.select_related("host")],
        "registries": [(row, _registry_button(row, is_operator)) for row in Registry.objects.all()],
        "may_operate": is_operator,
    }
    return render_page(request, "workloads/container_images.html", "workloads/_container_images.html", context)


def _image_button(image: HostImage, is_operator: bool) -> Button:
    refused = why_no_image(image.host, "remove", image) if is_operator else NOT_AN_OPERATOR
    ask = f"{image.label} and its other names are removed from {image.host.name}. It can be pulled again."
    url = reverse("container-image-remove", args=[image.pk])
    return Button(f"image-{image.pk}", "Remove", url, refused, "btn-sm", "", ask)


def _registry_button(registry: Registry, is_operator: bool) -> Button:
    ask = f"The login for {registry.address} is forgotten. Images that came with it stay where they are."
    url = reverse("registry-remove", args=[registry.pk])
    return Button(f"registry-{registry.pk}", "Remove", url, None if is_operator else NOT_AN_OPERATOR, "btn-sm", "", ask)


@form_page("operate")
def image_pull(request: HttpRequest) -> HttpResponse:
    form = PullForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            operation = services.container_image_pull(
                request.user, **form.cleaned_data, idempotency_key=key_of(request)
            )
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {
        "form": form,
        "title": "Pull an image",
        "label": "Pull it",
        "lead": "The host fetches it from its registry, with the login that is known for that.",
        "once_token": request.POST.get(FIELD) or token_new(),
    }
    return render(request, "workloads/container_image_form.html", context, status=422 if form.errors else 200)


@action("operate")
def image_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    image = get_object_or_404(HostImage.objects.select_related("host"), pk=uuid)
    key = key_of(request)
    operation = done_or_said(request, lambda: services.container_image_remove(request.user, image, idempotency_key=key))
    return redirect("operation", uuid=operation.pk) if operation else redirect("container-images")


@form_page("operate")
def registry_new(request: HttpRequest) -> HttpResponse:
    return _registry(request, RegistryForm(request.POST or None), None)


@form_page("operate")
def registry_edit(request: HttpRequest, uuid: UUID) -> HttpResponse:
    registry = get_object_or_404(Registry, pk=uuid)
    initial = {"address": registry.address, "username": registry.username}
    return _registry(request, RegistryForm(request.POST or None, initial=initial), registry)


def _registry(request: HttpRequest, form: RegistryForm, registry: Registry | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            if registry is None:
                services.registry_add(request.user, **form.cleaned_data)
            else:
                services.registry_edit(request.user, registry, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("container-images")
    context = {
        "form": form,
        "title": registry.address if registry else "Add a registry",
        "label": "Keep it" if registry else "Add it",
        "lead": "Pulls from this address, and containers made from its images, use this login from then on.",
    }
    return render(request, "workloads/container_image_form.html", context, status=422 if form.errors else 200)


@action("operate")
def registry_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    registry = get_object_or_404(Registry, pk=uuid)
    done_or_said(
        request,
        lambda: services.registry_remove(request.user, registry),
        f"The login for {registry.address} is removed.",
    )
    return redirect("container-images")
