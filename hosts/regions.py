"""A page and its live part from one view: the browser asks for the part alone when something changed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def render_page(
    request: HttpRequest, template: str, part: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page, or only its part when `<live-region>` or a filter asks (header X-Region or HX-Request)."""
    is_part = "X-Region" in request.headers or "HX-Request" in request.headers
    response = render(request, part if is_part else template, context | {"part": part}, status=status)
    patch_vary_headers(response, ["X-Region", "HX-Request"])
    # A part must never be shown in place of its page when somebody goes back.
    response["Cache-Control"] = "no-store" if is_part else "no-cache"
    return response


def text_asked(request: HttpRequest, name: str, most: int = 63) -> str:
    """A value of the query string, cut to length; without NUL, at which PostgreSQL fails and SQLite stops reading."""
    return request.GET.get(name, "").replace("\0", "")[:most]
