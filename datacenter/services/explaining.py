"""What would free the hosts that a plan leaves on: asked host by host, after the plan is shown.

Each answer plans several times over, so it never makes a proposal wait, nor the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from datacenter import planner as engine
from datacenter.models import Plan
from datacenter.services.plans import answer_of, world_of
from datacenter.snapshot import planner_policy, policy_of
from hosts.publish import publish_change

HOSTS_MOST = 20
SECONDS_MOST = 60.0
LARGE_SITE_WORKLOADS = 500
TRIES, TRIES_LARGE = 40, 8
NO_SINGLE_CHANGE = "No single change that was tried frees it."


def plan_explain(plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
    """Finds the smallest change that would free each kept host, and tells the page after each. Loads the planner.

    Called by the plan worker alone. Ends early when the plan is decided on, or another one waits to be made.
    """
    answer, world = answer_of(plan), world_of(plan)
    if answer is None or world is None:
        return
    policy = planner_policy(policy_of(plan.site))
    tries = TRIES if len(world.workloads) <= LARGE_SITE_WORKLOADS else TRIES_LARGE
    until = clock() + SECONDS_MOST
    found: dict[str, str] = {}
    for kept in answer.hosts_kept[:HOSTS_MOST]:
        if clock() > until or not _is_wanted(plan):
            return
        change = engine.smallest_change(world, policy, kept.host, tries)
        found[kept.host] = change.sentence if change else NO_SINGLE_CHANGE
        Plan.objects.filter(pk=plan.pk).update(changes_that_free=found)
        publish_change("plan", plan.pk, "explained")


def _is_wanted(plan: Plan) -> bool:
    return (
        Plan.objects.filter(pk=plan.pk, state=Plan.State.PROPOSED).exists()
        and not Plan.objects.filter(state=Plan.State.PLANNING).exists()
    )
