"""A file as an HTTP answer: whole, or from where a transfer broke off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

CHUNK_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def file_answer(
    request: HttpRequest, path: Path, size_bytes: int, sha256: str = ""
) -> HttpResponse | StreamingHttpResponse:
    """The bytes of the file. With `sha256` it is the ETag, and an If-Range for other bytes gets the whole.

    Source: RFC 9110 sections 13.1.5 and 14.2.
    """
    etag = f'"{sha256}"' if sha256 else ""
    first, last, status = 0, size_bytes - 1, 200
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked and request.headers.get("If-Range", etag) == etag:
        first, last = int(asked[1]), min(int(asked[2] or size_bytes - 1), size_bytes - 1)
        if first > last:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size_bytes}"})
        status = 206
    body = iter(()) if request.method == "HEAD" else _read(path, first, last - first + 1)
    answer = StreamingHttpResponse(body, status=status, content_type="application/octet-stream")
    answer["Content-Length"], answer["Accept-Ranges"] = str(last - first + 1), "bytes"
    if etag:
        answer["ETag"] = etag
    if status == 206:
        answer["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    return answer


def _read(path: Path, first: int, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while count > 0 and (chunk := file.read(min(CHUNK_BYTES, count))):
            count -= len(chunk)
            yield chunk
