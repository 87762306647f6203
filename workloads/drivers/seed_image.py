"""A seed disk for cloud-init: a small ISO 9660 with the label it looks for, made in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pycdlib

from hosts.errors import Invalid

LABEL = "cidata"
SEED_BYTES = 1024**2
NAMES = ("meta-data", "user-data", "network-config")


WIPED = "#cloud-config\n{}\n"


def seed_wiped(image: bytes) -> bytes:
    """The disk again with nothing to do on it; its identity and network stay.

    A guest that finds another instance, or none, may begin anew at its next boot: new host keys, network by DHCP.
    Zeros where the disk cannot be read: it may still hold secrets.
    """
    files = seed_identity(image)
    return bytes(SEED_BYTES) if files is None else seed_image(files | {"user-data": WIPED})


def seed_identity(image: bytes) -> dict[str, str] | None:
    """By which instance and network the guest knows the disk, and no secret; None where it cannot be read."""
    disk, files = pycdlib.PyCdlib(), {}
    try:
        disk.open_fp(io.BytesIO(image))
        for child in disk.list_children(rr_path="/"):
            name = child.rock_ridge.name().decode() if child.rock_ridge else ""
            if name in ("meta-data", "network-config"):
                content = io.BytesIO()
                disk.get_file_from_iso_fp(content, rr_path=f"/{name}")
                files[name] = content.getvalue().decode()
    except (pycdlib.pycdlibexception.PyCdlibException, UnicodeDecodeError):
        return None
    return files


def seed_image(files: Mapping[str, str]) -> bytes:
    """The disk's bytes, always `SEED_BYTES` of them; raises Invalid when the files are others or do not fit.

    Source: cloud-init's NoCloud, which reads any block device with that label.
    """
    if not set(files) <= set(NAMES):
        raise Invalid("A seed disk holds cloud-init's files only.")
    disk = pycdlib.PyCdlib()
    disk.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, text) in enumerate(sorted(files.items())):
        content = text.encode()
        disk.add_fp(io.BytesIO(content), len(content), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    written = io.BytesIO()
    disk.write_fp(written)
    disk.close()
    image = written.getvalue()
    if len(image) > SEED_BYTES:
        raise Invalid("The first-boot data are too large for a seed disk of 1 MiB. Shorten the user-data.")
    return image.ljust(SEED_BYTES, b"\0")
