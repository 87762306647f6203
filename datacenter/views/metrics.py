"""Metrics for other programs: /metrics for a Prometheus, and a Prometheus API for Grafana. Both with an API token."""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from datacenter.http_errors import status_of
from datacenter.metrics import exposition as text
from datacenter.metrics import prometheus as api
from datacenter.metrics.history import store_at
from datacenter.models import ApiToken
from datacenter.token_door import said, token_page
from hosts.errors import StowageError

# Grafana chooses its ways by this; ours are those of this version.
BUILD = {"version": "2.24.0", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}


@token_page(ApiToken.Scope.METRICS)
def exposition(request: HttpRequest) -> HttpResponse:
    return HttpResponse(text.metrics_text(store_at(settings.METRICS_URL), time.time()), content_type=text.CONTENT_TYPE)


@token_page(ApiToken.Scope.METRICS)
def prometheus(request: HttpRequest, resource: str) -> HttpResponse:
    given = dict(request.GET.lists()) | (dict(request.POST.lists()) if request.method == "POST" else {})
    if resource == "status/buildinfo":
        return JsonResponse({"status": "success", "data": BUILD})
    if resource == "metadata":
        return JsonResponse({"status": "success", "data": api.metadata(str(given.get("metric", [""])[0]))})
    try:
        question = api.question_of(resource, given, time.time())
        status, body = api.asked(question, settings.METRICS_LONG_URL if question.is_long else settings.METRICS_URL)
    except StowageError as error:
        status = status_of(error)
        return said({409: 422, 422: 400}.get(status, status), error.message)
    if status >= 500 or status in (401, 403):
        return said(502, "The metrics store refused the request.")
    return HttpResponse(body, status=status, content_type="application/json")
