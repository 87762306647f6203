"""Stowage's errors as HTTP answers: one sentence, the right status, no internals."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from hosts.errors import DriverError, Forbidden, Invalid, NotFound, Refused, StowageError, TooMany

STATUS = {TooMany: 429, Refused: 409, Invalid: 422, Forbidden: 403, NotFound: 404, DriverError: 502}


def status_of(error: StowageError) -> int:
    """The HTTP status of the error's nearest listed class; 500 for a bare StowageError."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


class SentencesMiddleware:
    """Turns a StowageError that leaves a view into a page, a fragment or JSON with its sentence."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, StowageError):
            return None
        status = status_of(error)
        if request.path.startswith(("/api/", "/plane/")):
            return JsonResponse({"error": type(error).__name__, "message": error.message}, status=status)
        if "HX-Request" in request.headers or "X-Region" in request.headers:
            return HttpResponse(error.message, status=status, content_type="text/plain; charset=utf-8")
        return render(request, "error.html", {"message": error.message, "status": status}, status=status)
