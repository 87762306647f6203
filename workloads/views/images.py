"""Pages of images: what there is, what is on its way in, and how more come."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, must_have_typed, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.models import Operation
from hosts.once import FIELD, key_of, token_new
from workloads import services
from workloads.forms import FetchForm, ImageForm
from workloads.models import Image, ImageArrival


@page("view")
def image_list(request: HttpRequest) -> HttpResponse:
    is_operator = may(request.user, "operate")
    refused = None if is_operator else NOT_AN_OPERATOR
    ask = "What was made from it has a copy of its own and stays."
    rows = [
        (image, Button("remove", "Remove", _url("image-remove", image), refused, "btn-sm", "", ask, image.name))
        for image in Image.objects.all()
    ]
    arrivals = [
        (arrival, Button("give-up", "Give up", _url("image-give-up", arrival), refused, "btn-sm"))
        for arrival in ImageArrival.objects.all()
    ]
    return render(request, "workloads/images.html", {"rows": rows, "arrivals": arrivals, "may_operate": is_operator})


@form_page("operate")
def image_new(request: HttpRequest) -> HttpResponse:
    """The file in one piece, for a browser that does not send it in pieces."""
    form = ImageForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _uploaded(request, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("operation", uuid=made.pk) if isinstance(made, Operation) else redirect("images")
    context = {"form": form, "fetch": FetchForm(auto_id="fetch_%s"), "once_token": token_new()}
    return render(request, "workloads/new_image.html", context, status=422 if form.errors else 200)


def _uploaded(request: HttpRequest, *, file: UploadedFile, **values: Any) -> Image | Operation:
    arrival = services.arrival_begin(request.user, size_bytes=file.size or 0, **values)
    try:
        at = 0
        for chunk in file.chunks(services.arrivals.PIECE_MOST_BYTES):
            at = services.arrival_write(request.user, arrival, at, [chunk])
        return services.arrival_finish(request.user, arrival, idempotency_key=key_of(request))
    except StowageError:
        services.arrival_give_up(request.user, arrival)
        raise


@form_page("operate")
def image_fetch(request: HttpRequest) -> HttpResponse:
    fetch = FetchForm(request.POST or None, auto_id="fetch_%s")
    if request.method == "POST" and fetch.is_valid():
        try:
            operation = services.image_fetch(request.user, **fetch.cleaned_data, idempotency_key=key_of(request))
        except StowageError as error:
            add_error(fetch, error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {"form": ImageForm(), "fetch": fetch, "once_token": request.POST.get(FIELD) or token_new()}
    return render(request, "workloads/new_image.html", context, status=422 if fetch.errors else 200)


@action("operate")
def image_give_up(request: HttpRequest, uuid: UUID) -> HttpResponse:
    arrival = get_object_or_404(ImageArrival, pk=uuid)
    success = f"The upload of {arrival.name} is given up."
    done_or_said(request, lambda: services.arrival_give_up(request.user, arrival), success)
    return redirect("images")


@action("operate")
def image_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    image = get_object_or_404(Image, pk=uuid)

    def act() -> None:
        must_have_typed(request, image.name)
        services.image_remove(request.user, image)

    done_or_said(request, act, f"{image.name} is removed.")
    return redirect("images")


def _url(name: str, row: Image | ImageArrival) -> str:
    return reverse(name, args=[row.pk])
