"""Forms that make workloads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from hosts.doors import form_page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.once import FIELD, key_of, token_new
from workloads import services
from workloads.forms import ContainerForm, FirstBootForm, KeepForm, VmForm, WhenForm, filled_in
from workloads.models import Image, Template


@form_page("operate")
def vm_new(request: HttpRequest) -> HttpResponse:
    first_boot = FirstBootForm(request.POST or None)

    def wish() -> dict[str, Any]:
        return {"first_boot": first_boot.wish()}

    return _new(request, "create_vm", VmForm, services.vm_create, first_boot, wish)


@form_page("operate")
def container_new(request: HttpRequest) -> HttpResponse:
    return _new(request, "create_container", ContainerForm, services.container_create)


def _new(request: HttpRequest, verb: str, kind: Any, create: Any, more: Any = None, wish: Any = dict) -> HttpResponse:
    """Makes it now, or by a schedule, or keeps the form as a template. `more` is a part whose values `wish` gives."""
    of = "vm" if verb == "create_vm" else "container"
    template = _template_asked(request, of)
    form = kind(_posted(request), initial=filled_in(template.wish) if template else None)
    keep = KeepForm(request.POST or None, initial={"template_name": template.name} if template else None)
    when = WhenForm(request.POST or None)
    parts = [part for part in (form, more, when, keep) if part is not None]
    if request.method == "POST" and all([part.is_valid() for part in parts]):
        try:
            if _is_to_keep(request):
                name, note = keep.cleaned_data["template_name"], keep.cleaned_data["note"]
                services.template_save(request.user, name=name, kind=of, wish=form.cleaned_data, note=note)
                return redirect("templates")
            if when.is_later():
                name = f"new-{form.cleaned_data['name']}"[:63]
                wanted = {"name": name, "verb": verb, "wish": form.cleaned_data} | wish() | when.when()
                return redirect("schedule", uuid=services.schedule_create(request.user, **wanted).pk)
            operation = create(request.user, **form.cleaned_data, **wish(), idempotency_key=key_of(request))
        except StowageError as error:
            field = getattr(error, "field", None)
            if _is_to_keep(request) and field == "name":
                error.field = field = "template_name"  # type: ignore[attr-defined]
            add_error(next((part for part in parts if field in part.fields), form), error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {
        "form": form,
        "more": more,
        "when": when,
        "keep": keep,
        "template": template,
        "versions": Template.objects.filter(kind=of),
        # a form that is shown again with its errors is still the same wish
        "once_token": request.POST.get(FIELD) or token_new(),
        "references": list(Image.objects.exclude(reference="").values_list("reference", flat=True)),
        "has_images": Image.objects.filter(format__in=services.images.DISK_FORMATS).exists(),
    }
    page_of = "workloads/new_vm.html" if verb == "create_vm" else "workloads/new_container.html"
    return render(request, page_of, context, status=422 if any(part.errors for part in parts) else 200)


def _template_asked(request: HttpRequest, kind: str) -> Template | None:
    """The template that the address names; one that is gone is a form without."""
    try:
        return Template.objects.filter(pk=UUID(request.GET.get("template", "")), kind=kind).first()
    except ValueError:
        return None


def _is_to_keep(request: HttpRequest) -> bool:
    return request.POST.get("act") == "keep"


def _posted(request: HttpRequest) -> Any:
    """What was sent; a template needs no name of a workload."""
    if request.method != "POST":
        return None
    values = request.POST.copy()
    if _is_to_keep(request) and not values.get("name"):
        values["name"] = "template"
    return values
