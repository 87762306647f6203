"""An image as a file to take away, from where a transfer broke off if need be."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from hosts.ranges import file_answer
from workloads import services
from workloads.models import Image

ENDINGS = {Image.Format.QCOW2: "qcow2", Image.Format.RAW: "img", Image.Format.ISO: "iso"}


def download_answer(request: HttpRequest, image: Image) -> HttpResponse | StreamingHttpResponse:
    """The bytes, never as a page; the ETag is their SHA-256. Raises Forbidden, or NotFound when they are gone."""
    path = services.image_open(request.user, image)
    answer = file_answer(request, path, image.size_bytes, image.sha256)
    name = f"{image.name}.{ENDINGS.get(Image.Format(image.format), 'tar')}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
