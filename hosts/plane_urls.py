"""Addresses for planes on the hosts floor, included under /plane/v1/."""

from __future__ import annotations

from django.urls import path, register_converter

from hosts import plane_api


class StepConverter:
    """A step's name as it travels in a command."""

    regex = r"[A-Za-z0-9_.\-]{1,100}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(StepConverter, "step")

urlpatterns = [
    path("me", plane_api.me, name="plane-me"),
    path("controllers", plane_api.controllers, name="plane-controllers"),
    path("secrets/<uuid:operation>/<step:step>", plane_api.secret, name="plane-secret"),
    path("blobs/<uuid:operation>/<step:step>", plane_api.blob, name="plane-blob"),
]
