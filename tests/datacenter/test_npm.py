"""Which files of the browser packages are served, and which are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from datacenter.npm import SERVED_FOLDERS, package_dirs, prefix, versions

NEEDED = [
    ("htmx.org", "htmx.min.js"),
    ("@tabler/core", "css/tabler.min.css"),
    ("uplot", "uPlot.esm.js"),
    ("@novnc/novnc", "core/rfb.js"),
    ("@novnc/novnc", "vendor/pako/lib/zlib/inflate.js"),
    ("@xterm/xterm", "lib/xterm.mjs"),
    ("@xterm/xterm", "css/xterm.css"),
    ("@xterm/addon-fit", "lib/addon-fit.mjs"),
    ("@xterm/addon-search", "lib/addon-search.mjs"),
]


def found(package: str, path: str) -> str | None:
    version = versions(settings.BASE_DIR)[package]
    return finders.find(f"{prefix(package, version)}/{path}")


@pytest.mark.parametrize(("package", "path"), NEEDED)
def test_what_a_page_names_is_served(package: str, path: str):
    assert found(package, path) is not None


@pytest.mark.parametrize("package", SERVED_FOLDERS)
@pytest.mark.parametrize("path", ["package.json", "README.md", "src/index.js"])
def test_nothing_else_of_a_package_is_served(package: str, path: str):
    assert found(package, path) is None


def test_no_two_folders_are_served_under_one_address():
    addresses = [address for address, _ in package_dirs(settings.BASE_DIR)]

    assert len(addresses) == len(set(addresses))
    assert all(Path(folder).is_dir() for _, folder in package_dirs(settings.BASE_DIR))
