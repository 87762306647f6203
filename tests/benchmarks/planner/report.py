"""One row for each result: what went in, the bound, ours, the peer, their ratio, what it cost, and the verdict."""

from __future__ import annotations

from .measure import Measured

COLUMNS = (
    ("line", 12), ("input", 34), ("bound", 14), ("ours", 26), ("peer", 30), ("ratio", 18), ("CPU s", 8), ("wall s", 8),
    ("MiB", 6), ("verdict", 0),
)  # fmt: skip


def header() -> str:
    return " ".join(name.ljust(width) for name, width in COLUMNS)


def row(
    line: str,
    case: str,
    bound: object,
    ours: object,
    peer: object,
    ratio: object,
    cost: Measured,
    violations: int,
    meets_goal: bool | None = None,
) -> bool:
    """Prints the row; False where a rule was broken or the goal missed. `meets_goal` None: there is no goal."""
    verdict = f"{violations} VIOLATIONS" if violations else "no violation"
    if meets_goal is not None:
        verdict += ", goal met" if meets_goal else ", GOAL MISSED"
    spent = (f"{cost.cpu_s:.2f}", f"{cost.wall_s:.2f}", f"{cost.peak_mib:.0f}")
    values = (line, case, bound, ours, peer, ratio, *spent, verdict)
    print(" ".join(str(value).ljust(width) for value, (_, width) in zip(values, COLUMNS, strict=True)), flush=True)
    return not violations and meets_goal is not False
