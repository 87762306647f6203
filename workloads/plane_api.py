"""Image bytes for planes: whole or from where a transfer broke off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from hosts.models import Plane
from hosts.plane_api import plane_view
from workloads.models import Image
from workloads.services.images import image_path

CHUNK_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@plane_view
def image_content(request: HttpRequest, plane: Plane, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The image's bytes. ETag is its SHA-256; one Range is served, and If-Range holds a wrong one back.

    Source: RFC 9110 sections 13.1.5 and 14.2.
    """
    image = Image.objects.filter(pk=uuid).first()
    path = image_path(image) if image else None
    if image is None or path is None or not path.is_file():
        return JsonResponse({"error": "NotFound", "message": "There is no such image."}, status=404)
    etag, size = f'"{image.sha256}"', image.size_bytes
    first, last, status = 0, size - 1, 200
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked and request.headers.get("If-Range", etag) == etag:
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if first > last:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
    body = iter(()) if request.method == "HEAD" else _read(path, first, last - first + 1)
    answer = StreamingHttpResponse(body, status=status, content_type="application/octet-stream")
    answer["Content-Length"] = str(last - first + 1)
    answer["ETag"], answer["Accept-Ranges"] = etag, "bytes"
    if status == 206:
        answer["Content-Range"] = f"bytes {first}-{last}/{size}"
    return answer


def _read(path: Path, first: int, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while count > 0 and (chunk := file.read(min(CHUNK_BYTES, count))):
            count -= len(chunk)
            yield chunk
