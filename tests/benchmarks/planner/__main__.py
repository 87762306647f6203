"""`python -m tests.benchmarks.planner [LINE ...] [--large]`: the planner's benchmark, line by line."""

from __future__ import annotations

import argparse
import importlib
import sys

LINES = ("consolidate", "pareto", "incremental", "everything", "packing", "growth", "planetlab")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", help=f"of {', '.join(LINES)}; all by default")
    parser.add_argument("--large", action="store_true", help="also the cases that take minutes")
    options = parser.parse_args()
    good = True
    for line in options.lines or LINES:
        good &= importlib.import_module(f".{line}", __package__).run(options.large)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
