"""The planner: the same work on fewer machines, proved safe at every step. Pure: no Django, no clock, no I/O.

    from datacenter.planner import plan, verify_plan, place, evacuate, recover, what_if, how_many_fit, ...
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
    from .contradictions import feasibility
    from .correlation import peaking_together
    from .evacuation import evacuate, evacuate_rack
    from .fitting import how_many_fit
    from .loosening import smallest_change
    from .placement import place
    from .purchase import what_to_buy, what_to_retire
    from .rearranging import rearrange
    from .recovery import recover, survives
    from .relieving import relieve
    from .replaying import backtest
    from .sizing import right_sizes
    from .unpacking import unpack_and_plan
    from .verify import verify_plan
    from .verify_emptying import verify_unpacking
    from .waking import host_to_wake, wake_and_plan
    from .whatif import what_if

__all__ = [
    "backtest",
    "balance",
    "evacuate",
    "evacuate_rack",
    "feasibility",
    "host_to_wake",
    "how_many_fit",
    "peaking_together",
    "place",
    "plan",
    "rearrange",
    "recover",
    "relieve",
    "right_sizes",
    "smallest_change",
    "survives",
    "unpack_and_plan",
    "verify_plan",
    "verify_unpacking",
    "wake_and_plan",
    "what_if",
    "what_to_buy",
    "what_to_retire",
    "why_not_freed",
]

# No submodule bears the name of a function: importing it would hide the function.
_HOMES = {
    "balance": "balancing",
    "plan": "consolidation",
    "why_not_freed": "consolidation",
    "backtest": "replaying",
    "feasibility": "contradictions",
    "peaking_together": "correlation",
    "evacuate": "evacuation",
    "evacuate_rack": "evacuation",
    "how_many_fit": "fitting",
    "smallest_change": "loosening",
    "place": "placement",
    "what_to_buy": "purchase",
    "what_to_retire": "purchase",
    "rearrange": "rearranging",
    "recover": "recovery",
    "survives": "recovery",
    "relieve": "relieving",
    "right_sizes": "sizing",
    "unpack_and_plan": "unpacking",
    "verify_plan": "verify",
    "verify_unpacking": "verify_emptying",
    "host_to_wake": "waking",
    "wake_and_plan": "waking",
    "what_if": "whatif",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
