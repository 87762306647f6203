"""Disk images of other systems (VMware, Hyper-V, VirtualBox): judged by their own bytes, then made into qcow2.

A VMDK may name other files, extents or a parent, and `qemu-img` would open them; oslo.utils reads the format as
OpenStack learned to after CVE-2024-32498, and what it lets pass is refused here by the same rule. An OVA is a tar
archive with one such disk.
Source: QEMU block/vmdk.c, DMTF DSP0243 (OVF).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hosts.errors import DriverError, Refused, TimedOut
from hosts.units import GIB
from workloads.drivers.base import Running
from workloads.drivers.images import QEMU_IMG, VIRTUAL_SIZE_LIMIT_BYTES

FOREIGN_FORMATS = ("vmdk", "vhdx", "vdi", "ova")
CHUNK_BYTES = 1024 * 1024
CHECK_TIMEOUT_S = 120
MEMBERS_MOST, MANIFEST_BYTES_MOST = 50, 1024 * 1024
_LIMITS = ("prlimit", f"--as={2 * GIB}", "--")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_POLL_S = 0.2
_CUT_OFF = "The image is damaged or was cut off. Upload it again, all of it."
_SUM = re.compile(r"(SHA256|SHA1)\s*\(([^)]{1,200})\)\s*=\s*([0-9a-fA-F]{40,64})")


def foreign_judge(path: str | Path, image_format: str) -> int:
    """The virtual size in bytes of an image that is whole and names no other file; else raises Refused with why."""
    from oslo_utils.imageutils import format_inspector as oslo

    kinds = {"vmdk": oslo.VMDKInspector, "vhdx": oslo.VHDXInspector, "vdi": oslo.VDIInspector}
    inspector = kinds[image_format]()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                inspector.eat_chunk(chunk)
        inspector.finish()
        if not inspector.complete or not inspector.format_match:
            raise Refused(f"The file is not a whole {image_format.upper()} image. Upload it again, all of it.")
        inspector.safety_check()
    except (oslo.SafetyCheckFailed, oslo.ImageFormatError) as error:
        raise Refused(
            f"The file is not a {image_format.upper()} image in one file that leans on no other. Export it again as one"
            " stream-optimized file.",
            str(error)[:300],
        ) from error
    size_bytes = int(inspector.virtual_size)
    if size_bytes <= 0 or "parentfilenamehint" in getattr(inspector, "desc_text", ""):
        raise Refused("The image leans on other files (a parent or extents). Flatten it and upload it again.")
    if size_bytes > VIRTUAL_SIZE_LIMIT_BYTES:
        most_gib = VIRTUAL_SIZE_LIMIT_BYTES // GIB
        raise Refused(f"The image claims {size_bytes // GIB} GiB; at most {most_gib} GiB are allowed.")
    if image_format == "vdi":
        _vdi_check_whole(path)
    _check_whole(path, image_format)
    return size_bytes


def foreign_convert(path: str | Path, image_format: str, target: str | Path, running: Running) -> None:
    """Writes the judged image to `target` as compressed qcow2; ends early when the caller wants an end."""
    formats = ("-f", image_format, "-O", "qcow2")
    command = [*_LIMITS, QEMU_IMG, "convert", "-c", *formats, "--", str(path), str(target)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_ENVIRONMENT) as process:
        error = b""
        try:
            while process.returncode is None:
                running.check()
                with suppress(subprocess.TimeoutExpired):
                    _, error = process.communicate(timeout=_POLL_S)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise DriverError("The image could not be converted: it is damaged, or the host's disk is full.", _said(error))


@contextmanager
def ova_disk(path: Path, running: Running) -> Iterator[Path]:
    """The one disk of an OVA, unpacked beside it for as long as the block lasts, its sum compared with the manifest's.

    Raises Refused for an archive with none or several, or with members that no OVA has.
    """
    target = path.with_name(path.name + ".disk")
    try:
        with tarfile.open(path) as archive:
            members = _members(archive)
            disks = [member for member in members if member.name.lower().endswith(".vmdk")]
            if len(disks) != 1:
                raise Refused(
                    f"The OVA holds {len(disks)} VMDK disks; one with exactly one can be imported. Unpack it and upload"
                    " each disk as VMDK."
                )
            sums = _manifest(archive, members)
            with target.open("wb") as file:
                _unpack(archive, disks[0], file, sums.get(disks[0].name), running)
    except (tarfile.TarError, EOFError) as error:
        raise Refused("This is not a whole OVA (a tar archive). Upload it again, all of it.", str(error)) from error
    else:
        yield target
    finally:
        target.unlink(missing_ok=True)


def _members(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members = []
    for member in archive:
        plain = member.isreg() and os.path.basename(member.name) == member.name and member.name.isprintable()
        if not plain or len(members) >= MEMBERS_MOST:
            raise Refused("The OVA holds something else than plain files, or more than 50. It was left alone.")
        members.append(member)
    if not any(member.name.lower().endswith(".ovf") for member in members):
        raise Refused("The archive holds no OVF description, so it is no OVA. Choose its real format.")
    return members


def _manifest(archive: tarfile.TarFile, members: list[tarfile.TarInfo]) -> dict[str, tuple[str, str]]:
    """(algorithm, hex sum) by file name; empty without a manifest."""
    manifest = next((member for member in members if member.name.lower().endswith(".mf")), None)
    if manifest is None or manifest.size > MANIFEST_BYTES_MOST:
        return {}
    file = archive.extractfile(manifest)
    text = file.read().decode(errors="replace") if file else ""
    return {name: (algorithm.lower(), digest.lower()) for algorithm, name, digest in _SUM.findall(text)}


def _unpack(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: object, wanted: tuple[str, str] | None, running: Running
) -> None:
    source = archive.extractfile(member)
    assert source is not None
    digest = hashlib.new(wanted[0]) if wanted else None
    done = 0
    while chunk := source.read(CHUNK_BYTES):
        running.check()
        target.write(chunk)  # type: ignore[attr-defined]
        if digest is not None:
            digest.update(chunk)
        done += len(chunk)
        running.update("unpacking the OVA", 100.0 * done / max(1, member.size))
    if done != member.size:
        raise Refused("The OVA ends in the middle of its disk. Upload it again, all of it.")
    if digest is not None and wanted is not None and digest.hexdigest() != wanted[1]:
        raise Refused("The disk in the OVA is not the one that its manifest names. Export it again.")


def _vdi_check_whole(path: str | Path) -> None:
    """What is missing at a VDI's end qemu-img takes for zeros, without a word. Source: QEMU block/vdi.c, VdiHeader."""
    with open(path, "rb") as file:
        header = file.read(512)
        (data_offset,) = struct.unpack_from("<I", header, 0x158)
        (block_bytes,) = struct.unpack_from("<I", header, 0x178)
        (allocated,) = struct.unpack_from("<I", header, 0x184)
        if os.fstat(file.fileno()).st_size < data_offset + block_bytes * allocated:
            raise Refused(_CUT_OFF)


def _check_whole(path: str | Path, image_format: str) -> None:
    """Lets qemu-img look whether every part of the image is there; it changes nothing."""
    command = [*_LIMITS, QEMU_IMG, "check", "-f", image_format, "--output=json", "--", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHECK_TIMEOUT_S, check=False, env=_ENVIRONMENT)
    except subprocess.TimeoutExpired as error:
        raise TimedOut("The image could not be examined in time.", str(path)) from error
    found = json.loads(done.stdout) if done.stdout.strip().startswith(b"{") else {}
    if done.returncode != 0 or found.get("corruptions") or found.get("check-errors"):
        raise Refused(_CUT_OFF, _said(done.stderr))


def _said(error: bytes) -> str:
    return error.decode(errors="replace")[:500]
