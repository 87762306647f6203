"""Carries out effects inside a lab host, one JSON command per line on stdin, one JSON report per line on stdout.

Run in a lab host's namespaces, it is the host plane without Celery: the same registry, context and drivers.
Images and blobs come from a folder that stands in for the control plane's HTTP door.

    python -m tests.lab.effect_server HOSTD_JSON STATE_DIR STORE_DIR
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hosts.errors import Rejected
from hosts.plane.config import config_read
from hosts.plane.context import context_for_trial
from hosts.plane.effects import effects_load, execute

EFFECTS = ["workloads.effects.vm", "workloads.effects.container"]


class FolderControl:
    """The control plane's bytes, kept as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def secret(self, path: str) -> str:
        raise LookupError(path)

    def image_fetch(self, image: str, sha256: str, size_bytes: int, path: str | Path, progress: Any = None) -> None:
        self._fetch(self._folder / image, sha256, Path(path))

    def blob_send(self, path: str, chunks: Iterable[bytes], progress: Any = None) -> None:
        with (self._folder / path.replace("/", "-")).open("wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def blob_fetch(self, path: str, sha256: str, size_bytes: int, target: str | Path, progress: Any = None) -> None:
        self._fetch(self._folder / path.replace("/", "-"), sha256, Path(target))

    @staticmethod
    def _fetch(source: Path, sha256: str, target: Path) -> None:
        with source.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise Rejected("The bytes arrived damaged.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def main(arguments: list[str]) -> int:
    config_file, state_dir, store_dir = arguments
    config = replace(config_read(config_file), state_dir=state_dir)
    effects_load(EFFECTS)
    context = context_for_trial(config.name, directory=state_dir, control=FolderControl(Path(store_dir)), config=config)
    for line in sys.stdin:
        report = execute(context, json.loads(line))
        sink: Any = context.sink
        progresses, sink.progresses = sink.progresses, []
        print(json.dumps({"report": report, "progresses": progresses}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
