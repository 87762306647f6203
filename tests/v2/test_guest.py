"""tests.v2.guest: what is put onto the guest's second disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.v2.guest import checkout_copy


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environments are links to folders that others share."""
    shared = tmp_path / "shared"
    for name, file in ((".venv", "bin/celery"), ("node_modules", "htmx/htmx.js")):
        (shared / name / file).parent.mkdir(parents=True)
        (shared / name / file).write_text(name)
    (shared / ".venv/bin/python").symlink_to("/usr/bin/python3")
    home = tmp_path / "checkout"
    (home / ".git").mkdir(parents=True)
    (home / "manage.py").write_text("manage")
    for name in (".venv", "node_modules"):
        (home / name).symlink_to(shared / name)
    return home


def test_an_environment_that_is_a_link_arrives_as_a_folder(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"

    checkout_copy(checkout, target)

    assert not (target / ".venv").is_symlink()
    assert (target / ".venv/bin/celery").read_text() == ".venv"
    assert (target / "node_modules/htmx/htmx.js").read_text() == "node_modules"


def test_the_python_of_the_environment_stays_the_systems_own(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"

    checkout_copy(checkout, target)

    assert (target / ".venv/bin/python").readlink() == Path("/usr/bin/python3")


def test_the_history_is_not_carried(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"

    checkout_copy(checkout, target)

    assert sorted(path.name for path in target.iterdir()) == [".venv", "manage.py", "node_modules"]
