"""Image bytes for planes."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from hosts.models import Plane
from hosts.plane_api import plane_view
from hosts.ranges import file_answer
from workloads.models import Image
from workloads.services.images import image_path


@plane_view("GET", "HEAD")
def image_content(request: HttpRequest, plane: Plane, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The image's bytes; its ETag is its SHA-256."""
    image = Image.objects.filter(pk=uuid).first()
    path = image_path(image) if image else None
    if image is None or path is None or not path.is_file():
        return JsonResponse({"error": "NotFound", "message": "There is no such image."}, status=404)
    return file_answer(request, path, image.size_bytes, image.sha256)
