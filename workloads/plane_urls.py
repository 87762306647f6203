"""Addresses for planes on the workloads floor, included under /plane/v1/."""

from __future__ import annotations

from django.urls import path

from workloads import plane_api

urlpatterns = [path("images/<uuid:uuid>/content", plane_api.image_content, name="plane-image")]
