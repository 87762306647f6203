"""Plans that take too long or do not pay: fewer moves, until the policy's time and break-even hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .model import Plan, Policy

HALVINGS = 6


def why_not_worth(plan: Plan, policy: Policy) -> str | None:
    """The sentence about the policy's limit that the plan passes, or None. Curing what is wrong always pays."""
    if policy.max_minutes is not None and plan.seconds > policy.max_minutes * 60:
        return f"The moves would take {plan.seconds / 60:,.0f} minutes; the policy allows {policy.max_minutes:g}."
    if policy.break_even_hours is None or not plan.hosts_to_power_off or plan.warnings:
        return None
    if plan.break_even_hours is None:
        return "The plan would save no energy."
    if plan.break_even_hours > policy.break_even_hours:
        return (
            f"The plan would save the energy that its moves cost only after {plan.break_even_hours:,.1f} hours; "
            f"the policy asks for {policy.break_even_hours:g}."
        )
    return None


def worth_while(plan: Plan, policy: Policy, again: Callable[[Policy], Plan], stay: Callable[[str], Plan]) -> Plan:
    """The plan, or the one with most moves that was found within the limits, or `stay` with the sentence why.

    `again` plans under a policy with fewer moves; the number of moves is found by bisection.
    """
    refusal = why_not_worth(plan, policy)
    if refusal is None:
        return plan
    best, low, high = None, 0, len({move.workload for move in plan.moves})
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        if middle == low:
            break
        tried = again(replace(policy, max_moves=middle))
        if why_not_worth(tried, policy) is None:
            best, low = (tried if tried.moves else best), middle
        else:
            high = middle
    return best or stay(refusal)
