"""What planes ask over HTTP: who they are, and the secret of one step. Bearer token, no session, no CSRF."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

import redis
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from hosts.blobs import blob_keep, blob_path
from hosts.broker_users import broker_url_for
from hosts.credentials import password_decrypt
from hosts.models import Bmc, BmcAddress, BmcProposal, Entry, Host, Operation, Plane
from hosts.operations.journal import from_wire_name
from hosts.operations.queues import plane_of
from hosts.ranges import CHUNK_BYTES, file_answer
from hosts.services.planes import plane_of_token
from hosts.step_secrets import secret_kind, secret_of

log = logging.getLogger(__name__)

_SENT = (Entry.Kind.STARTED, Entry.Kind.UNDO_STARTED)
_UNDER_WAY = (Operation.State.RUNNING, Operation.State.UNDOING)
P = ParamSpec("P")
PlaneView = Callable[Concatenate[HttpRequest, Plane, P], HttpResponse]


def plane_view(*methods: str) -> Callable[[PlaneView[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """A view for planes alone: it is given the plane whose token came with the request; others get 401."""

    def make(view: PlaneView[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def door(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            plane = plane_of_token(token) if scheme.lower() == "bearer" and token else None
            if plane is None:
                answer = JsonResponse({"error": "Unauthorised", "message": "No plane has this token."}, status=401)
                answer["WWW-Authenticate"] = "Bearer"
                return answer
            return view(request, plane, *args, **kwargs)

        return login_not_required(csrf_exempt(never_cache(require_http_methods(methods)(door))))

    return make


@plane_view("GET", "HEAD")
def me(request: HttpRequest, plane: Plane) -> HttpResponse:
    """Name, kind and site of the plane, and the broker to listen to."""
    site = plane.name
    if plane.kind == Plane.Kind.HOST:
        host = Host.objects.select_related("rack__site").filter(name=plane.name).first()
        if host is None:
            return _no_such()
        site = host.rack.site.name
    try:
        url = broker_url_for(plane)
    except redis.ResponseError as error:
        log.error(
            "The broker refuses to make a user for a plane: %s. Give the user of REDIS_URL the right to ACL SETUSER, "
            "or set PLANE_BROKER_USERS=0, and all planes share one password.",
            error,
        )
        return JsonResponse({"error": "Unreachable", "message": "The broker lets no plane in."}, status=503)
    except (redis.RedisError, OSError) as error:
        log.warning("A plane cannot be let in, the broker does not answer: %s", error)
        return JsonResponse({"error": "Unreachable", "message": "The broker does not answer."}, status=503)
    return JsonResponse({"name": plane.name, "kind": plane.kind, "site": site, "broker_url": url})


@plane_view("GET", "HEAD")
def secret(request: HttpRequest, plane: Plane, operation: UUID, step: str) -> HttpResponse:
    """The secret of a step under way, for the plane that the step was sent to and for no other."""
    entry = _step_under_way(operation, step)
    if entry is None or not _is_addressed_to(entry, plane):
        return _no_such()
    found = secret_of(entry)
    return _no_such() if found is None else JsonResponse({"secret": found})


@plane_view("GET", "HEAD")
def controllers(request: HttpRequest, plane: Plane) -> HttpResponse:
    """How a site's plane reads the power of its site's hosts, passwords included (decisions/0010)."""
    if plane.kind != Plane.Kind.SITE:
        return _no_such()
    rows = Bmc.objects.select_related("host").filter(
        host__rack__site__name=plane.name, host__lifecycle=Host.Lifecycle.ENROLLED
    )
    # a card that is only woken has no power to read, and its silence is no reading
    rows = rows.exclude(url__startswith="wol:")
    return JsonResponse({"controllers": [_controller(bmc) for bmc in rows]})


def _controller(bmc: Bmc) -> dict[str, str]:
    return {
        "host": bmc.host.name,
        "url": bmc.url,
        "system": bmc.system,
        "username": bmc.username,
        "password": password_decrypt(bytes(bmc.password_encrypted)),
    }


@secret_kind("bmc")
def _bmc_password(entry: Entry) -> str | None:
    return _password_of(Bmc.objects.filter(host=entry.data["secret"]["host"]).first())


@secret_kind("bmc_proposal")
def _proposed_password(entry: Entry) -> str | None:
    return _password_of(BmcProposal.objects.filter(operation=entry.operation_id).first())


def _password_of(bmc: BmcAddress | None) -> str | None:
    return None if bmc is None else password_decrypt(bytes(bmc.password_encrypted))


@plane_view("GET", "HEAD", "PUT")
def blob(request: HttpRequest, plane: Plane, operation: UUID, step: str) -> HttpResponse | StreamingHttpResponse:
    """Bytes of one step: left by the plane that the step was sent to, fetched by one with a later step."""
    if request.method == "PUT":
        entry = _step_under_way(operation, step)
        if entry is None or not _is_addressed_to(entry, plane):
            return _no_such()
        sha256, size_bytes = blob_keep(operation, step, iter(lambda: request.read(CHUNK_BYTES), b""))
        return JsonResponse({"sha256": sha256, "size_bytes": size_bytes})
    path = blob_path(operation, step)
    commands = Entry.objects.filter(operation_id=operation, kind__in=_SENT, operation__state__in=_UNDER_WAY)
    if not path.is_file() or not any(_is_addressed_to(entry, plane) for entry in commands):
        return _no_such()
    return file_answer(request, path, path.stat().st_size)


def _step_under_way(operation: UUID, step: str) -> Entry | None:
    """The newest command of the step, while its operation is under way."""
    name, _ = from_wire_name(step)
    commands = Entry.objects.filter(operation_id=operation, step=name, kind__in=_SENT)
    return commands.filter(operation__state__in=_UNDER_WAY).order_by("-number").first()


def _is_addressed_to(entry: Entry, plane: Plane) -> bool:
    queue = entry.data["queue"]
    return queue.startswith(f"{plane.kind}.") and plane_of(queue) == plane.name


def _no_such() -> HttpResponse:
    return JsonResponse({"error": "NotFound", "message": "There is no such thing for this plane."}, status=404)
