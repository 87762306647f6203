"""The planner: the same work on fewer machines, proved safe at every step. Pure: no Django, no clock, no I/O.

    from datacenter.planner import plan, place, evacuate, balance, why_not_freed, smallest_change, verify_plan
    from datacenter.planner.model import DataCenter, Host, Workload, Policy

The names are loaded when first used: pages import `model` and `power` without paying for NumPy, and the web
process never loads a solver (design.md rule 5).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .balancing import balance
    from .consolidation import plan, why_not_freed
    from .evacuation import evacuate
    from .loosening import smallest_change
    from .placement import place
    from .verify import verify_plan

__all__ = ["balance", "evacuate", "place", "plan", "smallest_change", "verify_plan", "why_not_freed"]

# No submodule bears the name of a function: importing it would hide the function.
_HOMES = {
    "balance": "balancing",
    "plan": "consolidation",
    "why_not_freed": "consolidation",
    "evacuate": "evacuation",
    "place": "placement",
    "smallest_change": "loosening",
    "verify_plan": "verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
