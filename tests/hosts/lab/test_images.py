"""hosts.lab's image making: archives that the other side can read, equal each time."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from hosts.errors import Rejected
from hosts.lab import container_image, guest_image, images, newc

_BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Packages as if unpacked: a busybox, and two kernel modules of which the first needs the second."""
    if _BUSYBOX is None:
        pytest.skip("needs busybox")
    (tmp_path / "bin").mkdir()
    shutil.copy(_BUSYBOX, tmp_path / "bin/busybox")
    modules = tmp_path / "lib/modules/6.1/kernel"
    modules.mkdir(parents=True)
    (modules / "virtio_blk.ko").write_bytes(b"\x7fELF\0depends=virtio-ring\0license=GPL\0")
    (modules / "virtio-ring.ko").write_bytes(b"\x7fELF\0depends=\0license=GPL\0")
    return tmp_path


def test_cpio_reads_the_archive(tmp_path: Path) -> None:
    if not shutil.which("cpio"):
        pytest.skip("needs cpio")
    content = newc.archive([newc.directory("etc"), newc.file("etc/a", b"odd"), newc.symlink("b", "etc/a")])

    listed = subprocess.run(["cpio", "-t", "--quiet"], input=content, capture_output=True, check=True)

    assert listed.stdout.decode().split() == ["etc", "etc/a", "b"]


def test_a_module_comes_after_what_it_needs(unpacked: Path) -> None:
    assert list(guest_image.modules_in_order(unpacked / "lib/modules")) == ["virtio_ring", "virtio_blk"]


def test_equal_inputs_give_equal_images(unpacked: Path) -> None:
    assert guest_image.initramfs(unpacked) == guest_image.initramfs(unpacked)
    layer = container_image.root_tar(unpacked)
    assert container_image.root_tar(unpacked) == layer
    assert container_image.image_archive(layer) == container_image.image_archive(layer)


def test_the_container_archive_is_whole(unpacked: Path) -> None:
    layer = container_image.root_tar(unpacked)

    with tarfile.open(fileobj=io.BytesIO(container_image.image_archive(layer))) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))
        assert archive.extractfile(manifest["Layers"][0]).read() == layer

    assert manifest["RepoTags"] == ["stowage/tiny:1"]
    assert config["config"]["Cmd"] == ["/bin/start"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as root:
        assert root.getmember("bin/sh").linkname == "busybox"
        assert root.getmember("bin/start").mode == 0o755


def test_a_changed_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images._recipe_hash()

    monkeypatch.setattr(guest_image, "TICK", guest_image.TICK + "# more\n")

    assert images._recipe_hash() != before


def test_damaged_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="remove that folder"):
        images._read(tmp_path)
