"""The house itself: floors, rooms, and what each plane may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
# Not "django" alone: Celery's kombu takes one class from django.utils where Django happens to be installed.
NOT_ON_A_HOST = {"django.conf", "django.apps", "django.db", "numpy", "numba", "ortools", "highspy"}
TOP_FOLDERS = {"datacenter", "hosts", "workloads", "templates", "static", "tests"}


def test_imports_keep_to_the_contracts():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_no_top_level_folder_beside_the_given_ones():
    tracked = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line and not line.startswith(".")}

    assert folders <= TOP_FOLDERS


def loaded_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after the statement."""
    program = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def plane_modules() -> list[str]:
    return [f"hosts.plane.{path.stem}" for path in sorted((CHECKOUT / "hosts" / "plane").glob("[a-z]*.py"))]


@pytest.mark.parametrize("module", plane_modules())
def test_a_host_plane_loads_no_django_and_no_solver(module: str):
    assert not loaded_after(f"import {module}") & NOT_ON_A_HOST
