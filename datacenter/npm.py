"""Browser packages: which files of node_modules are served, and under which address.

Only the folders that a browser needs are served, under `npm/<name>@<version>/`, so that an address
changes with its package's version and nothing else of node_modules is reachable.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

# package -> folders inside it that a browser needs, each by its name below the package's address ("": at it)
SERVED_FOLDERS = {
    "htmx.org": {"": "dist"},
    "@tabler/core": {"": "dist"},
    "uplot": {"": "dist"},
    "@novnc/novnc": {"core": "core", "vendor": "vendor"},
    "@xterm/xterm": {"lib": "lib", "css": "css"},
    "@xterm/addon-fit": {"lib": "lib"},
    "@xterm/addon-search": {"lib": "lib"},
}


@cache
def versions(checkout: Path) -> dict[str, str]:
    """Version of each served package as installed; a package that is not installed is left out."""
    found = {}
    for name in SERVED_FOLDERS:
        manifest = checkout / "node_modules" / name / "package.json"
        if manifest.exists():
            found[name] = json.loads(manifest.read_text())["version"]
    return found


def prefix(name: str, version: str) -> str:
    """Static path of the package, for example `npm/htmx.org@2.0.6`."""
    return f"npm/{name.replace('/', '-').lstrip('@')}@{version}"


def package_dirs(checkout: Path) -> list[tuple[str, str]]:
    """Pairs of prefix and folder for STATICFILES_DIRS."""
    return [
        (f"{prefix(name, version)}/{below}".rstrip("/"), str(checkout / "node_modules" / name / folder))
        for name, version in versions(checkout).items()
        for below, folder in SERVED_FOLDERS[name].items()
    ]
