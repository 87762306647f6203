"""What planes ask over HTTP: who they are, and the secret of one step. Bearer token, no session, no CSRF."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from hosts.credentials import password_decrypt
from hosts.models import Bmc, Entry, Host, Operation, Plane
from hosts.operations.journal import from_wire_name
from hosts.operations.runner import plane_of
from hosts.services.planes import plane_of_token

P = ParamSpec("P")
PlaneView = Callable[Concatenate[HttpRequest, Plane, P], HttpResponse]


def plane_view(view: PlaneView[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A view for planes alone: it is given the plane whose token came with the request; others get 401."""

    @wraps(view)
    def door(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        plane = plane_of_token(token) if scheme.lower() == "bearer" and token else None
        if plane is None:
            answer = JsonResponse({"error": "Unauthorised", "message": "No plane has this token."}, status=401)
            answer["WWW-Authenticate"] = "Bearer"
            return answer
        return view(request, plane, *args, **kwargs)

    return login_not_required(csrf_exempt(never_cache(require_safe(door))))


@plane_view
def me(request: HttpRequest, plane: Plane) -> HttpResponse:
    """Name, kind and site of the plane, and the broker to listen to."""
    site = plane.name
    if plane.kind == Plane.Kind.HOST:
        host = Host.objects.select_related("rack__site").filter(name=plane.name).first()
        if host is None:
            return _no_such()
        site = host.rack.site.name
    return JsonResponse({"name": plane.name, "kind": plane.kind, "site": site, "broker_url": settings.PLANE_BROKER_URL})


@plane_view
def secret(request: HttpRequest, plane: Plane, operation: str, step: str) -> HttpResponse:
    """The secret of a step under way, for the plane that the step was sent to and for no other."""
    name, _ = from_wire_name(step)
    entry = (
        Entry.objects.filter(
            operation_id=operation,
            step=name,
            kind__in=(Entry.Kind.STARTED, Entry.Kind.UNDO_STARTED),
            operation__state__in=(Operation.State.RUNNING, Operation.State.UNDOING),
        )
        .order_by("-number")
        .first()
    )
    if entry is None or not _is_addressed_to(entry, plane):
        return _no_such()
    reference = entry.data.get("secret") or {}
    bmc = Bmc.objects.filter(host=reference["host"]).first() if reference.get("kind") == "bmc" else None
    if bmc is None:
        return _no_such()
    return JsonResponse({"secret": password_decrypt(bytes(bmc.password_encrypted))})


def _is_addressed_to(entry: Entry, plane: Plane) -> bool:
    queue = entry.data["queue"]
    return queue.startswith(f"{plane.kind}.") and plane_of(queue) == plane.name


def _no_such() -> HttpResponse:
    return JsonResponse({"error": "NotFound", "message": "There is no such thing for this plane."}, status=404)
