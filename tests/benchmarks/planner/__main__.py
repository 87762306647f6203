"""`python -m tests.benchmarks.planner [LINE ...] [--large]`: the planner's benchmark, line by line.

Each line runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from .report import header

LINES = (
    "consolidate", "pareto", "packing", "reassignment", "planetlab", "balance", "everything", "incremental", "growth",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", metavar="LINE", help=f"of {', '.join(LINES)}; all by default")
    parser.add_argument("--large", action="store_true", help="also the cases that take minutes or hours")
    options = parser.parse_args()
    if unknown := set(options.lines) - set(LINES):
        parser.error(f"there is no line {', '.join(sorted(unknown))}; there are {', '.join(LINES)}")
    lines = options.lines or LINES
    print(header(), flush=True)
    if len(lines) == 1:
        return 0 if importlib.import_module(f".{lines[0]}", __package__).run(options.large) else 1
    return max([_alone(line, options.large) for line in lines])


def _alone(line: str, large: bool) -> int:
    command = [sys.executable, "-m", __package__ or "", line, *(["--large"] if large else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            if text.rstrip() != header().rstrip():
                print(text, end="", flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
