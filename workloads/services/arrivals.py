"""Images from elsewhere: uploads that come in pieces and may break off, and files on the web."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import uuid as uuids
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts.audit import audit_write
from hosts.blobs import blob_path
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation
from hosts.operations.start import operation_start
from hosts.services.doors import User, name_check, refuse_if, refuse_unless
from hosts.states import why_not
from hosts.units import GIB
from workloads.drivers.download import url_check
from workloads.drivers.foreign_images import FOREIGN_FORMATS
from workloads.models import Image, ImageArrival
from workloads.sagas.import_image import ARRIVED
from workloads.services.images import VM_FORMATS, image_adopt, image_check

FILE_MOST_BYTES = 64 * GIB
PIECE_MOST_BYTES = 64 * 1024**2
OPEN_MOST = 20
KEPT = timedelta(days=2)
CHUNK_BYTES = 1024 * 1024
URL_FORMATS = (*VM_FORMATS, *FOREIGN_FORMATS)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def arrival_begin(
    user: User, *, name: str, format: str, size_bytes: int, sha256: str = "", reference: str = ""
) -> ImageArrival:
    """Opens an upload of a file of that size; its pieces come by `arrival_write`.

    With `sha256` the whole file must have that sum. Raises Invalid for what could never become an image.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if format not in ImageArrival.Format.values:
        raise Invalid(f"Choose one of the formats {', '.join(ImageArrival.Format.values)}.", field="format")
    image_check(name, Image.Format.QCOW2 if format in FOREIGN_FORMATS else format, reference)
    if not 1 <= size_bytes <= FILE_MOST_BYTES:
        raise Invalid(f"A file has 1 byte to {FILE_MOST_BYTES // GIB} GiB.", field="size_bytes")
    arrivals_forget()
    if ImageArrival.objects.count() >= OPEN_MOST:
        raise Refused(f"{OPEN_MOST} uploads are open already. Finish or give up one of them first.")
    values = {"format": format, "size_bytes": size_bytes, "sha256": _sum_check(sha256), "reference": reference}
    with transaction.atomic():
        arrival = ImageArrival.objects.create(name=name, owner_name=user.get_username(), **values)
        audit_write(user, "image_upload", "image", arrival.pk, name, size_bytes=size_bytes, format=format)
    return arrival


def arrival_write(user: User, arrival: ImageArrival, offset: int, chunks: Iterable[bytes]) -> int:
    """Appends a piece that begins at `offset`; how many bytes there are now.

    Raises Refused unless the piece begins where the last one ended, so that a repeat does no harm, and while another
    piece is being written. A piece that breaks off counts as far as it came.
    """
    refuse_unless(user, "operate")
    arrival.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with arrival.path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"Another piece of {arrival.name} is coming in just now. Wait for it.") from None
        have = os.fstat(file.fileno()).st_size
        if offset != have:
            raise Refused(f"The next piece of {arrival.name} begins at byte {have}. Go on from there.")
        most = min(arrival.size_bytes, have + PIECE_MOST_BYTES)
        for chunk in chunks:
            have += len(chunk)
            if have > most:
                file.truncate(offset)
                raise Invalid("The piece is larger than 64 MiB, or than the file was said to be.", field="file")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    arrival.save(update_fields=["touched_at"])
    return have


def arrival_finish(
    user: User, arrival: ImageArrival, *, host: Host | None = None, idempotency_key: str | None = None
) -> Image | Operation:
    """Makes the image of an upload that is complete: at once, or by an operation on a host for a foreign format.

    Blocks while the file is read for its sum. Raises Refused while bytes are missing, Invalid when the sum is another
    or the file is not what it was said to be; the upload stays then, to be given up.
    """
    refuse_unless(user, "operate")
    have = arrival.received_bytes
    if have != arrival.size_bytes:
        raise Refused(f"{have} of {arrival.size_bytes} bytes are there. Send the rest first.")
    sha256 = _sha256_of(arrival)
    if arrival.sha256 and sha256 != arrival.sha256:
        raise Invalid(
            "The file arrived with another SHA-256 than was given. Give it up, then upload it anew.", field="file"
        )
    if arrival.format not in FOREIGN_FORMATS:
        values = {"name": arrival.name, "format": arrival.format, "reference": arrival.reference}
        image = image_adopt(user, arrival.path, sha256, **values)
        arrival.delete()
        return image

    def lend(operation: Operation) -> None:
        lent = blob_path(operation.pk, ARRIVED)
        lent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.link(arrival.path, lent)

    source = {"arrival": str(arrival.pk), "url": "", "sha256": sha256, "size_bytes": have, "format": arrival.format}
    return _import(user, arrival.name, source, host, [("image_arrival", str(arrival.pk))], lend, idempotency_key)


def image_fetch(
    user: User,
    *,
    name: str,
    format: str,
    url: str,
    sha256: str = "",
    host: Host | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make an image of a disk image on the web, which a host fetches; without `host` one is chosen.

    Redirects are followed five times. Addresses of the host itself, of its link and of metadata services are refused
    when the connection is made.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if format not in URL_FORMATS:
        raise Invalid(f"By its address a disk image is fetched: {', '.join(URL_FORMATS)}.", field="format")
    image_check(name, Image.Format.QCOW2, "")
    source = {"url": url_check(url), "sha256": _sum_check(sha256), "size_bytes": 0, "format": format}
    return _import(user, name, source, host, [], None, idempotency_key)


@transaction.atomic
def arrival_give_up(user: User, arrival: ImageArrival) -> None:
    """Ends an upload; its bytes so far are thrown away."""
    refuse_unless(user, "operate")
    audit_write(user, "image_give_up", "image", arrival.pk, arrival.name)
    _drop(arrival)


def arrivals_forget() -> int:
    """Ends the uploads of which nothing has come for two days; how many."""
    old = list(ImageArrival.objects.filter(touched_at__lt=timezone.now() - KEPT))
    for arrival in old:
        _drop(arrival)
    return len(old)


def _import(
    user: User, name: str, source: dict[str, Any], host: Host | None, leases: list[Any], lend: Any, key: str | None
) -> Operation:
    host = host or _host_choose()
    refuse_if(why_not(host, "place"))
    image = str(uuids.uuid4())
    return operation_start(
        "import_image",
        user=user,
        subject=("image", image, name),
        parameters=source | {"image": image, "name": name, "host": str(host.pk)},
        host=host,
        leases=leases,
        idempotency_key=key,
        before_start=lend,
    )


def _host_choose() -> Host:
    """The one with the fewest workloads of those that take new work: reading an image takes its time."""
    hosts = [host for host in Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED) if not why_not(host, "place")]
    if not hosts:
        raise Refused("No host is there that could read the image. Switch one on first.", field="host")
    return min(hosts, key=lambda host: (host.workloads.count(), host.name))


def _sum_check(sha256: str) -> str:
    text = sha256.strip().lower()
    if text and not _SHA256.fullmatch(text):
        raise Invalid("A SHA-256 has 64 digits from 0 to 9 and a to f. Correct it, or leave it empty.", field="sha256")
    return text


def _sha256_of(arrival: ImageArrival) -> str:
    digest = hashlib.sha256()
    try:
        file = arrival.path.open("rb")
    except FileNotFoundError:
        raise Refused(f"The upload {arrival.name} was finished or given up by somebody else.") from None
    with file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _drop(arrival: ImageArrival) -> None:
    arrival.path.unlink(missing_ok=True)
    arrival.delete()
