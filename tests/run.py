"""`make test`: every part in its turn, seconds for each, and failure when any of them failed.

    python -m tests.run [PART ...]

A later part runs also when an earlier one failed: one run tells everything.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")

# part -> (its commands, the seconds after which it has failed)
PARTS: dict[str, tuple[list[tuple[str, ...]], int]] = {
    "contracts": ([(str(BIN / "lint-imports"), "--no-cache")], 300),
    "lint": ([(str(BIN / "ruff"), "check", "."), (str(BIN / "ruff"), "format", "--check", ".")], 120),
    "types": ([(str(BIN / "mypy"),)], 600),
    "migrations": ([(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")], 120),
    "unit": ([(*PYTEST, "-m", "not lab and not browser")], 600),
    # One run for both: the lab is started once.
    "lab": ([(*PYTEST, "-m", "lab or browser", "-rs")], 2400),
}
NEEDS_ROOT = {"lab"}


def main(asked: Sequence[str]) -> int:
    """Exit status: 0 when all asked parts (without any: all) passed."""
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        print(f"No such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}.")
        return 2
    results = []
    for name in asked or PARTS:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        failure = part_run(name)
        results.append((name, time.monotonic() - began, failure))
    print("\n== seconds per part")
    for name, seconds, failure in results:
        print(f"{name:12} {seconds:7.1f}  {failure or 'passed'}")
    return 1 if any(failure for _, _, failure in results) else 0


def part_run(name: str) -> str | None:
    """Why the part failed; None when it passed. Its output goes to the terminal."""
    commands, limit_s = PARTS[name]
    until = time.monotonic() + limit_s
    failure = None
    for command in commands:
        as_root = ("sudo", "--preserve-env=STOWAGE_CACHE_DIR,STOWAGE_TEST_LAB") if needs_sudo(name) else ()
        code = run_until((*as_root, *command), until)
        if code is None:
            return f"FAILED: not done after {limit_s} s"
        if code != 0:
            failure = f"FAILED: exit status {code}"
    return failure


def needs_sudo(name: str) -> bool:
    return name in NEEDS_ROOT and os.geteuid() != 0


def run_until(command: Sequence[str], until: float) -> int | None:
    """The command's exit status; None when it had to be ended at `until` (monotonic)."""
    with tempfile.TemporaryDirectory(prefix="stowage-checks-") as data_dir:
        child = subprocess.Popen(command, cwd=CHECKOUT, env={**os.environ, **checks_environment(data_dir)})
        try:
            return child.wait(max(1.0, until - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # SIGINT lets pytest run its teardown, which takes the lab down.
            child.send_signal(2)
            try:
                child.wait(90)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            return None


def checks_environment(data_dir: str) -> dict[str, str]:
    """Settings for commands that only look at the code: no secret of a running Stowage is used."""
    return {
        "SECRET_KEY": "checks-only",
        "CREDENTIALS_KEY": base64.urlsafe_b64encode(b"checks-only-checks-only-checks!!").decode(),
        "STOWAGE_DATA_DIR": data_dir,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
