"""Images: judged as they come in, kept as `IMAGE_DIR/<uuid>`, known by their checksum."""

from __future__ import annotations

import hashlib
import os
import tarfile
import uuid as uuids
from collections.abc import Callable, Iterable
from pathlib import Path

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from hosts.audit import audit_write
from hosts.errors import Invalid, NotFound, StowageError
from hosts.models import Operation
from hosts.services.doors import User, name_check, refuse_unless
from workloads.drivers.images import image_inspect
from workloads.models import Image, VirtualMachine
from workloads.services.containers import REFERENCE
from workloads.services.operating import operate

CHUNK_BYTES = 1024 * 1024
DISK_FORMATS = (Image.Format.QCOW2, Image.Format.RAW)
VM_FORMATS = (*DISK_FORMATS, Image.Format.ISO)


def image_register(user: User, *, path: str | Path, name: str, format: str, reference: str = "") -> Image:
    """An image from a file of this machine, which is copied; raises Invalid when it is not such an image."""
    source = Path(path)
    if not source.is_file():
        raise Invalid(f"There is no file {source}. Correct the path.", field="path")

    def chunks() -> Iterable[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return _keep(user, chunks, name=name, image_format=format, reference=reference)


def image_upload(
    user: User,
    *,
    name: str,
    format: str,
    file: UploadedFile,
    reference: str = "",
) -> Image:
    """An image from an upload; raises Invalid when it is not what it is said to be."""
    return _keep(user, lambda: file.chunks(CHUNK_BYTES), name=name, image_format=format, reference=reference)


def vm_save_image(
    user: User, vm: VirtualMachine, *, name: str, target: str = "", idempotency_key: str | None = None
) -> Operation:
    """Begins to keep a disk of a VM that is off as an image; without `target` its first disk.

    The image is compressed and holds no snapshots. Whatever is on the disk comes with it, keys and passwords too.
    Raises Refused unless the VM is off and was made by Stowage, Invalid for a name that is taken.
    """
    refuse_unless(user, "operate", vm)
    name = name_check(name)
    image_check(name, Image.Format.QCOW2, "")
    known = [disk["target"] for disk in vm.disks]
    target = target or next(iter(known), "")
    if target not in known:
        raise Invalid(f"{vm.name} has no disk {target[:20]}.", field="target")
    parameters = {"image": str(uuids.uuid4()), "name": name, "target": target}
    return operate(user, vm, "save_image", "save_image", idempotency_key, parameters)


def image_open(user: User, image: Image) -> Path:
    """The image's file, for those who may have all that is in it; raises NotFound when its bytes are gone."""
    refuse_unless(user, "operate", image)
    if not image.path.is_file():
        raise NotFound(f"The bytes of {image.name} are gone. Remove the image and add it again.")
    return image.path


@transaction.atomic
def image_remove(user: User, image: Image) -> None:
    """Removes an image; what was made from it has its own full copy and stays."""
    refuse_unless(user, "operate", image)
    audit_write(user, "image_remove", "image", image.pk, image.name)
    path = image.path
    image.delete()
    transaction.on_commit(lambda: path.unlink(missing_ok=True))


def _keep(user: User, chunks: Callable[[], Iterable[bytes]], *, name: str, image_format: str, reference: str) -> Image:
    refuse_unless(user, "operate")
    name = name_check(name)
    image_check(name, image_format, reference)
    image = Image(uuid=uuids.uuid4(), name=name, format=image_format, reference=reference)
    image.path.parent.mkdir(parents=True, exist_ok=True)
    part = image.path.with_name(image.path.name + ".part")
    try:
        image.sha256, image.size_bytes = _write(chunks(), part)
        return _add(user, image, part)
    finally:
        part.unlink(missing_ok=True)


def image_adopt(user: User, file: Path, sha256: str, *, name: str, format: str, reference: str = "") -> Image:
    """An image of a file beside the images, which becomes its own; raises Invalid, and leaves the file as it is."""
    refuse_unless(user, "operate")
    image_check(name, format, reference)
    image = Image(uuid=uuids.uuid4(), name=name, format=format, reference=reference)
    image.sha256, image.size_bytes = sha256, file.stat().st_size
    return _add(user, image, file)


def _add(user: User, image: Image, file: Path) -> Image:
    """Judges the file and makes it the image's; it is not touched when that fails."""
    image.virtual_size_bytes = _judge(file, image.format)
    os.link(file, image.path)
    try:
        os.chmod(image.path, 0o640)
        with transaction.atomic():
            image_check(image.name, image.format, image.reference)
            image.save(force_insert=True)
            audit_write(user, "image_add", "image", image.pk, image.name, sha256=image.sha256, format=image.format)
    except BaseException:
        image.path.unlink(missing_ok=True)
        raise
    file.unlink()
    return image


def image_check(name: str, image_format: str, reference: str) -> None:
    """Raises Invalid, with the field, for an image that could not be added under that name."""
    if image_format not in Image.Format.values:
        raise Invalid(f"Choose one of the formats {', '.join(Image.Format.values)}.", field="format")
    if Image.objects.filter(name=name).exists():
        raise Invalid(f"There is already an image {name}. Choose another name.", field="name")
    if image_format in VM_FORMATS:
        return
    if not REFERENCE.fullmatch(reference):
        raise Invalid("Give the name under which containers ask for it, such as team/app:1.2.", field="reference")
    if other := Image.objects.filter(reference=reference).first():
        raise Invalid(f"The image {other.name} is known as {reference} already. Choose another.", field="reference")


def _write(chunks: Iterable[bytes], part: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with part.open("wb") as file:
        os.chmod(part, 0o640)
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size_bytes


def _judge(path: Path, image_format: str) -> int:
    """The virtual size in bytes of a disk image, 0 for an archive; raises Invalid with what is wrong."""
    if path.stat().st_size == 0:
        raise Invalid("The file is empty. Choose an image.", field="file")
    if image_format in VM_FORMATS:
        try:
            return image_inspect(str(path), image_format)
        except StowageError as error:
            raise Invalid(error.message, error.detail, field="file") from error
    try:
        with tarfile.open(path) as archive:
            if archive.next() is None:
                raise Invalid("The archive is empty. Choose another file.", field="file")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Invalid("This is not a tar archive. Choose the file that `docker save` wrote.", field="file") from error
    return 0
