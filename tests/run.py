"""`make test`: every part in its turn, seconds for each, and failure when any of them failed.

    python -m tests.run [PART ...]

A later part runs also when an earlier one failed: one run tells everything.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
# Unit tests share nothing, so each core runs a part of them, and one process more while others wait for a child of
# theirs; more than four spend their time on starting.
ON_EVERY_CORE = (f"--numprocesses={min(4, (os.cpu_count() or 2) + 1)}", "--dist=worksteal")

# part -> (its commands, the seconds after which it has failed)
PARTS: dict[str, tuple[list[tuple[str, ...]], int]] = {
    "contracts": ([(str(BIN / "lint-imports"), "--no-cache")], 300),
    "lint": ([(str(BIN / "ruff"), "check", "."), (str(BIN / "ruff"), "format", "--check", ".")], 120),
    "types": ([(str(BIN / "mypy"),)], 600),
    "migrations": ([(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")], 120),
    "unit": (
        [
            (
                *PYTEST,
                "-m",
                "not lab and not browser and not guest and not trial and not fault",
                "--timeout=60",
                *ON_EVERY_CORE,
            )
        ],
        600,
    ),
    # As needful as unit tests and as little to set up, but they take as long as all the others.
    "trials": ([(*PYTEST, "-m", "trial", "--timeout=120", *ON_EVERY_CORE)], 600),
    # One run for both: the lab is started once.
    "lab": ([(*PYTEST, "-m", "lab or browser", "-rs", "--timeout=900")], 2400),
    # All of tests/lab/test_faults.py, once for each seed: it chooses at which step a failpoint strikes.
    "faults": (
        [
            (
                "env",
                f"STOWAGE_FAULT_SEED={seed}",
                *PYTEST,
                "tests/lab/test_faults.py",
                "-m",
                "lab or fault",
                "--timeout=600",
            )
            for seed in (1, 2, 3)
        ],
        3 * 3600,
    ),
    "guest": ([(*PYTEST, "-m", "guest", "-rP", "--timeout=3000")], 3600),
}
LONG = {"faults", "guest"}  # run when asked for by name
NEEDS_ROOT = {"lab", "faults", "guest"}
# What sudo must not drop.
PASSED_ON = ("STOWAGE_CACHE_DIR", "STOWAGE_TEST_LAB")


def main(asked: Sequence[str]) -> int:
    """Exit status: 0 when all asked parts (without any: all) passed."""
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        print(f"No such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}.")
        return 2
    results = [part_measure(name) for name in asked or (name for name in PARTS if name not in LONG)]
    print("\n== seconds per part")
    for name, seconds, failure, counts in results:
        print(f"{name:12} {seconds:7.1f}  {failure or 'passed':28} {counts}")
    return 1 if any(failure for _, _, failure, _ in results) else 0


def part_measure(name: str) -> tuple[str, float, str | None, str]:
    """The part's name, its seconds, why it failed (None: it passed), and pytest's counts where it is pytest's."""
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stowage-checks-") as folder:
        failure = part_run(name, checks_environment(folder))
        summary = Path(folder) / "summary"
        counts = summary.read_text() if summary.exists() else ""
    return name, time.monotonic() - began, failure, counts


def part_run(name: str, environment: dict[str, str]) -> str | None:
    """Why the part failed; None when it passed. Its output goes to the terminal."""
    commands, limit_s = PARTS[name]
    until = time.monotonic() + limit_s
    failure = None
    for command in commands:
        as_root = ("sudo", f"--preserve-env={','.join((*PASSED_ON, *environment))}") if needs_sudo(name) else ()
        code = run_until((*as_root, *command), environment, until)
        if code is None:
            return f"FAILED: not done after {limit_s} s"
        if code != 0:
            failure = f"FAILED: exit status {code}"
    return failure


def needs_sudo(name: str) -> bool:
    return name in NEEDS_ROOT and os.geteuid() != 0


def run_until(command: Sequence[str], environment: dict[str, str], until: float) -> int | None:
    """The command's exit status; None when it had to be ended at `until` (monotonic)."""
    child = subprocess.Popen(command, cwd=CHECKOUT, env={**os.environ, **environment})
    try:
        return child.wait(max(1.0, until - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as ending:
        # SIGINT lets pytest run its teardown, which takes the lab down. Ctrl-C reached it already.
        if isinstance(ending, subprocess.TimeoutExpired):
            child.send_signal(signal.SIGINT)
        try:
            child.wait(150)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if isinstance(ending, KeyboardInterrupt):
            raise
        return None


def checks_environment(folder: str) -> dict[str, str]:
    """Settings for commands that only look at the code: no secret of a running Stowage is used."""
    return {
        "STOWAGE_TEST_SUMMARY": f"{folder}/summary",
        "SECRET_KEY": "checks-only",
        "CREDENTIALS_KEY": base64.urlsafe_b64encode(b"checks-only-checks-only-checks!!").decode(),
        "STOWAGE_DATA_DIR": folder,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
