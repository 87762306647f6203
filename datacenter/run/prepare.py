"""Set-up of a checkout: Debian packages, virtual environment, browser packages.

    python3 -m datacenter.run.prepare [--lab] [--tests] [--guest]

Each step is skipped when what it rests on has not changed. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from datacenter.run import packages
from datacenter.run.stamps import Stamp, digest_of

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"  # Debian's own: libvirt's and the lab's parts are Debian's too


class SetupFailed(SystemExit):
    """Ends the set-up; the sentence says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Exit status; prints what it does, nothing where nothing is to be done."""
    parser = argparse.ArgumentParser(prog="prepare", description="Makes a checkout ready to run.")
    parser.add_argument("--lab", action="store_true", help="with what the lab needs")
    parser.add_argument("--tests", action="store_true", help="with what `make test` needs")
    parser.add_argument("--guest", action="store_true", help="with what `make test-v2` needs")
    parser.add_argument("--no-packages", action="store_true", help="leave Debian packages alone")
    asked = parser.parse_args(arguments)
    os.umask(0o022)  # the service user must be able to read what is made here
    notes = CHECKOUT / ".stowage" / "setup"
    owner = checkout_owner()
    make_notes_folder(notes, owner)
    if not asked.no_packages:
        wanted = (*packages.BASE_PACKAGES, "nodejs", "npm")
        wanted += packages.LAB_PACKAGES if asked.lab else ()
        wanted += packages.TEST_PACKAGES if asked.tests else ()
        wanted += packages.GUEST_PACKAGES if asked.guest else ()
        prepare_packages(wanted, notes)
    if os.geteuid() == 0 and owner[0] != 0:
        become(owner)
    prepare_environment(notes)
    prepare_browser_packages(notes)
    prepare_bytecode()
    return 0


def checkout_owner() -> tuple[int, int]:
    """User and group that own the checkout: what is made in it becomes theirs, also when root runs us."""
    status = CHECKOUT.stat()
    return status.st_uid, status.st_gid


def make_notes_folder(notes: Path, owner: tuple[int, int]) -> None:
    try:
        notes.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise SetupFailed(f"{CHECKOUT} belongs to another user: run make as that user, or with sudo.") from error
    if os.geteuid() == 0 and notes.stat().st_uid != owner[0]:
        for path in (notes, *notes.iterdir()):
            os.chown(path, *owner)


def become(owner: tuple[int, int]) -> None:
    """Goes on as the owner: neither pip nor npm has business being root in somebody's checkout."""
    os.setgroups([])
    os.setgid(owner[1])
    os.setuid(owner[0])
    with suppress(KeyError):  # an owner from another machine has no entry here
        os.environ["HOME"] = pwd.getpwuid(owner[0]).pw_dir


def prepare_packages(wanted: tuple[str, ...], notes: Path) -> None:
    """Installs what is missing of the wanted Debian packages. Raises SetupFailed with a sentence."""
    if not shutil.which("dpkg-query"):
        raise SetupFailed(
            "This is not a Debian system, and Stowage is tried on Debian 12 only. Install the packages that "
            "README.md lists by your system's names, then run `make up PACKAGES=0`."
        )
    missing = packages.packages_missing(wanted)
    if not missing:
        return
    root = packages.root_or_none()
    if root is None:
        raise SetupFailed(
            f"These Debian packages are missing: {' '.join(missing)}. Installing them needs root or sudo; "
            "this user has neither."
        )
    print("These Debian packages will be installed (no service is started by it; one to four minutes):")
    print(f"  {' '.join(missing)}", flush=True)
    began = time.monotonic()
    try:
        packages.packages_install(missing, root, notes)
    except subprocess.CalledProcessError as error:
        log = packages.apt_log(notes)
        print("".join(f"  {line}\n" for line in log.read_text(errors="replace").splitlines()[-15:]), end="")
        raise SetupFailed(
            f"Installing Debian packages failed, see above and {log}. Mend it with apt-get, or run the same again."
        ) from error
    print(f"  done in {time.monotonic() - began:.0f} s", flush=True)


def prepare_environment(notes: Path) -> None:
    """Makes `.venv` from requirements.txt, from nothing whenever the last making was not finished."""
    requirements = CHECKOUT / "requirements.txt"
    # A virtual environment holds its own path: a moved checkout needs a new one.
    digest = digest_of(["1", str(CHECKOUT), sys.version, requirements])
    stamp = Stamp(notes, "environment")
    home = CHECKOUT / ".venv"
    if stamp.is_set(digest) and (home / "bin" / "python").exists():
        return
    print("Making the Python environment (.venv), one to three minutes ...", flush=True)
    began = time.monotonic()
    stamp.clear()
    shutil.rmtree(home, ignore_errors=True)
    cache = os.environ.get("STOWAGE_CACHE_DIR")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-deps", "-r", str(requirements)]
    run_or_fail([PYTHON, "-m", "venv", str(home)], "Making .venv failed: is the package python3-venv installed?")
    run_or_fail(
        pip + (["--cache-dir", f"{cache}/pip"] if cache else []),
        "pip could not install requirements.txt, see above. It needs PyPI or a mirror (PIP_INDEX_URL).",
    )
    stamp.set(digest)
    print(f"  done in {time.monotonic() - began:.0f} s", flush=True)


def prepare_browser_packages(notes: Path) -> None:
    """Puts package-lock.json's packages into node_modules; none of their scripts is run."""
    digest = digest_of(["1", CHECKOUT / "package.json", CHECKOUT / "package-lock.json"])
    stamp = Stamp(notes, "browser-packages")
    if stamp.is_set(digest) and (CHECKOUT / "node_modules").is_dir():
        return
    print("Fetching the browser packages (node_modules) ...", flush=True)
    stamp.clear()
    cache = os.environ.get("STOWAGE_CACHE_DIR")
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run_or_fail(
        npm + (["--cache", f"{cache}/npm"] if cache else []),
        "npm could not fetch the browser packages, see above. It needs registry.npmjs.org or a mirror.",
    )
    stamp.set(digest)


def prepare_bytecode() -> None:
    """Compiles our modules: the service user may not write beside them, and would compile at every start."""
    python = CHECKOUT / ".venv" / "bin" / "python"
    folders = [str(CHECKOUT / name) for name in ("hosts", "workloads", "datacenter")]
    subprocess.run([str(python), "-m", "compileall", "-q", *folders], check=False, stdout=subprocess.DEVNULL)


def run_or_fail(command: list[str], sentence: str) -> None:
    if subprocess.run(command, cwd=CHECKOUT, check=False).returncode != 0:
        raise SetupFailed(sentence)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
