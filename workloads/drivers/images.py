"""Judging an image by its own bytes, before any tool opens it.

A qcow2 header may point at any file of the host (backing file, external data file), and `qemu-img` follows it:
`backing=/etc/passwd` was read through `convert` (pitfalls M44, CVE-2024-32498). So the header is read here first,
the format is declared and never probed, and qemu-img runs last, under limits.
Source: QEMU docs/interop/qcow2.txt.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from dataclasses import dataclass
from typing import BinaryIO

from hosts.errors import Refused, TimedOut
from hosts.units import GIB

QEMU_IMG = "qemu-img"
INFO_TIMEOUT_S = 20
# As Nova limits it since CVE-2015-5162. By prlimit, not preexec_fn: that can deadlock in a threaded process.
_LIMITS = ("prlimit", f"--as={1 * GIB}", "--cpu=8", "--")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
VIRTUAL_SIZE_LIMIT_BYTES = 1024 * GIB

_MAGIC = b"QFI\xfb"
# ISO 9660 (ECMA-119 8.1), and the volume recognition of UDF (ECMA-167 part 2): after 16 sectors of 2,048 bytes.
_ISO_SIGNS, _ISO_SIGN_AT = (b"CD001", b"BEA01"), 16 * 2048 + 1
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQ")
_INCOMPATIBLE_DIRTY, _INCOMPATIBLE_DATA_FILE = 1, 4
_EXTENSION_BACKING_FORMAT, _EXTENSION_DATA_FILE = 0xE2792ACA, 0x44415441
_NOT_AN_IMAGE = "The file is not a {} image. Import it again with its real format."


@dataclass(frozen=True)
class Qcow2Header:
    """What the header says; `names_other_files` is the danger."""

    version: int
    virtual_size_bytes: int
    is_encrypted: bool
    names_other_files: bool
    snapshots: int


def qcow2_header_read(file: BinaryIO) -> Qcow2Header | None:
    """The header at the file's start, or None when it is no qcow2 image."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:4] != _MAGIC:
        return None
    fields = _HEADER.unpack(head)
    version, backing_offset, virtual_size, encryption = fields[1], fields[2], fields[5], fields[6]
    snapshots, incompatible, header_bytes = fields[11], fields[13], 72
    if version not in (2, 3):
        return None
    if version == 3:
        file.seek(100)
        header_bytes = int.from_bytes(file.read(4), "big")
    else:
        incompatible = 0  # version 2 ends at byte 72; what follows is no feature mask
    names_other = bool(backing_offset) or bool(incompatible & _INCOMPATIBLE_DATA_FILE)
    names_other = names_other or _has_telling_extension(file, header_bytes)
    return Qcow2Header(version, virtual_size, encryption != 0, names_other, snapshots)


def _has_telling_extension(file: BinaryIO, offset: int) -> bool:
    """Whether a header extension names another file; one that cannot be read counts as one that does."""
    if not 72 <= offset <= 64 * 1024:
        return True
    file.seek(offset)
    for _ in range(64):
        head = file.read(8)
        if len(head) < 8:
            return True
        kind, length = struct.unpack(">II", head)
        if kind == 0:
            return False
        if kind in (_EXTENSION_BACKING_FORMAT, _EXTENSION_DATA_FILE) or length > 64 * 1024:
            return True
        file.seek((length + 7) & ~7, os.SEEK_CUR)
    return True


def image_inspect(path: str, image_format: str, limit_bytes: int = VIRTUAL_SIZE_LIMIT_BYTES) -> int:
    """The virtual size in bytes of an image that is safe to copy.

    Raises Refused with what is wrong: missing, not of its format, leaning on other files, encrypted, too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Refused("The image is missing on the host. Import it again.", f"{path}: {error}") from error
    with os.fdopen(handle, "rb") as file:
        if image_format == "iso":
            return _iso_judge(file, path, limit_bytes)
        if image_format == "qcow2":
            _qcow2_judge(qcow2_header_read(file), path)
        elif file.read(4) == _MAGIC:
            raise Refused(_NOT_AN_IMAGE.format("raw"), f"{path} begins like a qcow2 image")
    size_bytes = _info_size(path, image_format)
    if size_bytes <= 0:
        raise Refused(_NOT_AN_IMAGE.format(image_format), f"{path} has size {size_bytes}")
    if size_bytes > limit_bytes:
        raise Refused(f"The image claims {size_bytes // GIB} GiB; at most {limit_bytes // GIB} GiB are allowed.")
    return size_bytes


def _iso_judge(file: BinaryIO, path: str, limit_bytes: int) -> int:
    """Its bytes as they are: a CD-ROM is only ever given to a guest as raw, so that no header of it leads anywhere."""
    size_bytes = os.fstat(file.fileno()).st_size
    file.seek(_ISO_SIGN_AT)
    if file.read(5) not in _ISO_SIGNS:
        raise Refused("The file is not the ISO of a CD or DVD. Add it again with its real format.", path)
    if size_bytes > limit_bytes:
        raise Refused(f"The ISO has {size_bytes // GIB} GiB; at most {limit_bytes // GIB} GiB are allowed.")
    return size_bytes


def qcow2_size_judged(path: str) -> int:
    """The virtual size in bytes of a qcow2 image by its header alone, for one that was inspected before.

    Raises Refused as `image_inspect`; it starts no program.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Refused("The image is missing on the host. Import it again.", f"{path}: {error}") from error
    with os.fdopen(handle, "rb") as file:
        return _qcow2_judge(qcow2_header_read(file), path).virtual_size_bytes


def _qcow2_judge(header: Qcow2Header | None, path: str) -> Qcow2Header:
    if header is None:
        raise Refused(_NOT_AN_IMAGE.format("qcow2"), path)
    if header.names_other_files:
        raise Refused("The image leans on other files (a backing or data file). Flatten it and import it again.")
    if header.is_encrypted:
        raise Refused("The image is encrypted. Decrypt it and import it again.")
    return header


def _info_size(path: str, image_format: str) -> int:
    command = [*_LIMITS, QEMU_IMG, "info", "-f", image_format, "--force-share", "--output=json", "--", path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=INFO_TIMEOUT_S, check=False, env=_ENVIRONMENT)
    except subprocess.TimeoutExpired as error:
        raise TimedOut("The image could not be examined in time.", path) from error
    if done.returncode != 0:
        raise Refused(_NOT_AN_IMAGE.format(image_format), done.stderr.decode(errors="replace")[:500])
    info = json.loads(done.stdout)
    if info.get("backing-filename") or "data-file" in str(info.get("format-specific", "")):
        raise Refused("The image leans on other files (a backing or data file). Flatten it and import it again.")
    return int(info["virtual-size"])
