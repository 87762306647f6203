"""The lab's images, built from Debian packages once and kept outside of the checkout.

An image's file name carries a hash of its recipe and of the versions of its packages: a new kernel in Debian
or a changed script makes a new file, everything else finds the old one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts.errors import Rejected, Unreachable
from hosts.lab import container_image, debs, guest_image

_KEPT = 3


@dataclass(frozen=True)
class BuiltImage:
    """An image file; `format` is "qcow2", or "docker-archive" as `docker load` reads it."""

    name: str
    path: Path
    format: str
    sha256: str
    size_bytes: int

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": str(self.path),
            "format": self.format,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Images:
    """What the lab's workloads start from; `container_root` is the same image for `docker import`,
    `kernel` the guest's, for the trial of KVM."""

    guest: BuiltImage
    container: BuiltImage
    container_root: Path
    kernel: Path

    def describe(self) -> dict[str, Any]:
        """The part of lab.json about images."""
        return {
            "guest": self.guest.describe(),
            "container": self.container.describe()
            | {"reference": container_image.REFERENCE, "root_path": str(self.container_root)},
        }


def images_build(cache_dir: Path, say: Callable[[str], None]) -> Images:
    """The images, from the cache or built now (about 10 s). Safe to call from two processes at once."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = _find(cache_dir) or _build(cache_dir, say)
    return _read(folder)


def _find(cache_dir: Path) -> Path | None:
    """The folder of the wanted images; without apt's lists the newest with the same recipe will do."""
    recipe, versions = _recipe_hash(), _versions()
    folders = sorted(cache_dir.glob(f"lab-{recipe}-*"), key=lambda path: path.stat().st_mtime)
    if versions is None:
        return folders[-1] if folders else None
    wanted = cache_dir / f"lab-{recipe}-{_hash(repr(sorted(versions.items())))}"
    return wanted if wanted in folders else None


def _build(cache_dir: Path, say: Callable[[str], None]) -> Path:
    kernel, versions = debs.cloud_kernel_package(), _versions()
    if kernel is None or versions is None:
        raise Unreachable("The lab's images need Debian packages that apt does not know. Run apt-get update.")
    began = time.monotonic()
    say("building the guest and container images from Debian packages")
    target = cache_dir / f"lab-{_recipe_hash()}-{_hash(repr(sorted(versions.items())))}"
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache_dir) as scratch:
        unpacked, work, out = (Path(scratch, name) for name in ("unpacked", "work", "out"))
        for folder in (unpacked, work, out):
            folder.mkdir()
        debs.unpack([kernel, *guest_image.PACKAGES], unpacked)
        guest_image.guest_image_make(unpacked, work, out / "tiny.qcow2")
        (out / "tiny.vmlinuz").write_bytes((work / "vmlinuz").read_bytes())
        container_image.container_image_make(unpacked, out / "tiny.docker.tar", out / "tiny.root.tar")
        for path in out.iterdir():
            path.with_name(path.name + ".sha256").write_text(_sha256(path))
        os.chmod(out, 0o755)
        os.rename(out, target)
    _forget_old(cache_dir)
    say(f"built the images in {time.monotonic() - began:.1f} s: {target}")
    return target


def _read(folder: Path) -> Images:
    def image(name: str, file: str, kind: str) -> BuiltImage:
        path = folder / file
        try:
            digest = path.with_name(f"{file}.sha256").read_text()
            return BuiltImage(name, path, kind, digest, path.stat().st_size)
        except OSError as error:
            raise Rejected(f"The cached images in {folder} are damaged: remove that folder.") from error

    return Images(
        guest=image("tiny", "tiny.qcow2", "qcow2"),
        container=image("tiny-container", "tiny.docker.tar", "docker-archive"),
        container_root=folder / "tiny.root.tar",
        kernel=folder / "tiny.vmlinuz",
    )


def _versions() -> dict[str, str] | None:
    """Versions of all packages in the images; None when apt does not know each of them."""
    kernel = debs.cloud_kernel_package()
    if kernel is None:
        return None
    wanted = [kernel, *guest_image.PACKAGES]
    versions = debs.candidate_versions(wanted)
    return versions if set(versions) == set(wanted) else None


def _recipe_hash() -> str:
    return _hash(guest_image.recipe() + container_image.recipe())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget_old(cache_dir: Path) -> None:
    folders = sorted(cache_dir.glob("lab-*"), key=lambda path: path.stat().st_mtime)
    for folder in folders[:-_KEPT]:
        shutil.rmtree(folder)
