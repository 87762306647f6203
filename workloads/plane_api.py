"""Image bytes for planes, and what a VM is told at its first boot."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from hosts.credentials import password_decrypt
from hosts.models import Entry, Plane
from hosts.plane_api import plane_view
from hosts.ranges import file_answer
from hosts.step_secrets import secret_kind
from workloads.models import Image, Registry, VmSeed


@plane_view("GET", "HEAD")
def image_content(request: HttpRequest, plane: Plane, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The image's bytes; its ETag is its SHA-256."""
    image = Image.objects.filter(pk=uuid).first()
    path = image.path if image else None
    if image is None or path is None or not path.is_file():
        return JsonResponse({"error": "NotFound", "message": "There is no such image."}, status=404)
    return file_answer(request, path, image.size_bytes, image.sha256)


@secret_kind("seed")
def _seed_files(entry: Entry) -> str | None:
    """JSON of the seed's files by name."""
    seed = VmSeed.objects.filter(vm=entry.data["secret"]["workload"]).first()
    return None if seed is None else password_decrypt(bytes(seed.files_encrypted))


@secret_kind("registry")
def _registry_password(entry: Entry) -> str | None:
    """For the address that the command names: one that was changed since is not told what the new one is for."""
    asked = entry.data["secret"]
    registry = Registry.objects.filter(pk=asked["registry"], address=asked["address"]).first()
    return None if registry is None else password_decrypt(bytes(registry.password_encrypted))
