"""The door of other programs: an API token in the header `Authorization: Bearer`, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from datacenter.models import ApiToken
from datacenter.services.tokens import token_of

SECRET_MOST = 200
IN_ADDRESS = ("token", "access_token", "api_key", "apikey", "authorization")
View = Callable[..., HttpResponse]


def token_page(scope: ApiToken.Scope) -> Callable[[View], View]:
    """The view answers GET and POST of programs with a token of that scope. A login opens nothing here, so no page
    of somebody else's can make a browser read it."""

    def closed(view: View) -> View:
        @csrf_exempt
        @login_not_required
        @require_http_methods(["GET", "HEAD", "POST"])
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if any(name.lower() in IN_ADDRESS for name in request.GET):
                return said(400, "A token in an address ends up in logs. Send it as Authorization: Bearer <token>.")
            kind, _, secret = request.headers.get("Authorization", "").partition(" ")
            known = kind.lower() == "bearer" and len(secret) <= SECRET_MOST and token_of(secret.strip(), scope)
            if not known:
                answer = said(401, "Send an API token that is valid as Authorization: Bearer <token>.")
                answer["WWW-Authenticate"] = 'Bearer realm="Stowage"'
                return answer
            answer = view(request, *args, **kwargs)
            answer["Cache-Control"] = "no-store"
            return answer

        return guarded

    return closed


def said(status: int, sentence: str, kind: str = "") -> JsonResponse:
    """An error as Prometheus says it, which Grafana shows as it is."""
    kinds = {400: "bad_data", 401: "unauthorized", 404: "not_found", 422: "bad_data"}
    data = {"status": "error", "errorType": kind or kinds.get(status, "unavailable"), "error": sentence}
    return JsonResponse(data, status=status)
