"""Units in which Stowage counts, and the only conversions between them."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
HOURS_PER_YEAR = 8766.0  # 365.25 days


def bytes_to_mib(size_bytes: int) -> int:
    """Whole MiB, rounded up, so that a reservation is never too small."""
    return -(-size_bytes // MIB)


def bytes_to_gib(size_bytes: int) -> float:
    """GiB to one hundredth."""
    return round(size_bytes / GIB, 2)


def gib_to_bytes(size_gib: float) -> int:
    return int(size_gib * GIB)


def watts_to_kwh_per_year(power_watts: float) -> float:
    """Energy of a steady load over a mean year of 8,766 hours."""
    return power_watts * HOURS_PER_YEAR / 1000.0
