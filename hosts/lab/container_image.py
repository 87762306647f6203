"""The container image `stowage/tiny:1`: a busybox that ticks, answers on port 8080 and works a little.

It is written as the archive that `docker load` reads, and as a plain root file system for `docker import`.
Each second it prints `STOWAGE tick <n>`. LOAD_PERCENT in its environment is how much of one CPU it burns.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

REFERENCE = "stowage/tiny:1"
PACKAGES = ("busybox-static",)

START = """\
#!/bin/sh
export LOAD=${LOAD_PERCENT:-0}
mkdir -p /tmp/www
hostname > /tmp/www/index.html
httpd -p 8080 -h /tmp/www
/bin/load &
n=0
trap 'exit 0' TERM INT
while true; do
    n=$((n + 1))
    echo "STOWAGE tick $n"
    sleep 1 & wait $!
done
"""

LOAD = """\
#!/bin/sh
hundredths() { read up rest < /proc/uptime; echo ${up%.*}${up#*.}; }
[ "${LOAD:-0}" -gt 0 ] || exit 0
[ "$LOAD" -le 95 ] || LOAD=95
while true; do
    end=$(( $(hundredths) + LOAD ))
    while [ $(hundredths) -lt $end ]; do i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; done
    usleep $(( (100 - LOAD) * 10000 ))
done
"""


def recipe() -> str:
    """Everything that the image depends on apart from package versions."""
    return repr((REFERENCE, PACKAGES, START, LOAD))


def container_image_make(unpacked: Path, archive: Path, root: Path) -> None:
    """Writes the image to `archive` (docker load) and its file system to `root` (docker import)."""
    layer = root_tar(unpacked)
    root.write_bytes(layer)
    archive.write_bytes(image_archive(layer))


def root_tar(unpacked: Path) -> bytes:
    """The image's only layer. Equal inputs give equal bytes."""
    busybox = next(path for path in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if path.exists())
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        files = {"bin/busybox": busybox.read_bytes(), "bin/start": START.encode(), "bin/load": LOAD.encode()}
        for path, content in files.items():
            _add_file(tar, path, content, 0o755)
        _add_file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        for name in applets:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return out.getvalue()


def image_archive(layer: bytes) -> bytes:
    """A `docker load` archive with one layer. Source: moby, image/spec/v1.2.md."""
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": {
                "Cmd": ["/bin/start"],
                "Env": ["PATH=/bin"],
                "ExposedPorts": {"8080/tcp": {}},
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "stowage lab"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [REFERENCE], "Layers": [layer_name]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add_file(tar, config_name, config, 0o644)
        _add_file(tar, layer_name, layer, 0o644)
        _add_file(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)
    return out.getvalue()


def _add_file(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
