"""A lab of two empty hosts for the tests of drivers, shared by all of them."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.plane.pools import pool_identity
from tests.lab.effects_inside import EffectsInside
from tests.lab.faults import table
from tests.lab.flow import container, person, tiny, vm
from tests.lab.test_lab_itself import RunningLab, lab_clean, lab_start

__all__ = ["container", "driver_lab", "person", "tiny", "vm"]  # fixtures


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What each fault came to."""
    for number, line in enumerate(table.lines()):
        terminalreporter.section("faults") if number == 0 else None
        terminalreporter.write_line(line)


class DriverLab:
    """Two lab hosts that carry out effects, and the images they fetch."""

    def __init__(self, lab: RunningLab, store_dir: Path) -> None:
        self.lab = lab
        self.store_dir = store_dir
        self.hosts = [self.effects(number) for number in (0, 1)]
        for host in self.hosts:
            for pool in json.loads(Path(host.host["config_file"]).read_text())["pools"]:
                pool_identity(host.path(pool["path"]))

    def effects(self, number: int) -> EffectsInside:
        """A new process inside the host, with the state of those before it."""
        return EffectsInside(self.lab.description["hosts"][number], Path("/var/lib/stowage/trial"), self.store_dir)

    def image(self, name: str) -> dict[str, Any]:
        """The lab's "guest" or "container" image as a command names it."""
        built = self.lab.description["images"][name]
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        if not (self.store_dir / number).exists():
            shutil.copyfile(built["path"], self.store_dir / number)
        return {"image": number, "sha256": built["sha256"], "size_bytes": built["size_bytes"], "format": "qcow2"}

    def inside(self, number: int, *command: str) -> str:
        return self.lab.inside(self.hosts[number].name, *command)


@pytest.fixture(scope="session")
def driver_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverLab]:
    if os.geteuid() != 0:
        pytest.skip("the lab makes namespaces")
    data_dir = tmp_path_factory.mktemp("drivers") / "lab"
    lab = lab_start(data_dir, "--hosts", "2", "--no-seed")
    store_dir = data_dir.parent / "store"
    store_dir.mkdir()
    drivers = DriverLab(lab, store_dir)
    try:
        yield drivers
    finally:
        for host in drivers.hosts:
            host.close()
        lab.stop()
        lab_clean(data_dir)
