"""Which hosts a site can lose right now, looked at each minute by the plan worker: N+k as it is, not as it was planned.

Two questions, for they differ. Is there *room* for everything after the loss of any k hosts? And what would recovery
(decisions/0028) really *start* elsewhere if this one host were lost: a container comes back with its host, and a disk
that lies on the host alone is lost with it, however much room there is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from datacenter import planner as engine
from datacenter.metrics.demand import Demand
from datacenter.models import LossOutlook
from datacenter.planner import model as planner
from datacenter.services.lost_workloads import why_not_elsewhere
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts.errors import StowageError
from hosts.models import Host, Site
from hosts.publish import publish_change
from hosts.states import why_no_fencing
from workloads.models import Workload

LOST_MOST = 3  # as many as a policy can ask for
SHARE_OF_WORKER = 20  # looks at a site take at most this part of the worker's time


def losses_look(site: Site, now: datetime, demand: Mapping[str, Demand]) -> LossOutlook | None:
    """Renews the site's outlook; None when the last one took so long that it is too soon. Loads the planner."""
    last = LossOutlook.objects.filter(site=site).first()
    if last is not None and now - last.looked_at < timedelta(seconds=last.took_s * SHARE_OF_WORKER):
        return None
    began = time.monotonic()
    world, policy = data_center_read(site, now, demand), planner_policy(policy_of(site))
    survivable, sentence = _room_for(world, policy)
    hosts = [_host_lost(host, world, policy) for host in _on(site)]
    values = {"survivable": survivable, "sentence": sentence, "hosts": hosts}
    is_news = last is None or any(getattr(last, name) != value for name, value in values.items())
    values |= {"looked_at": now, "took_s": time.monotonic() - began}
    row, _ = LossOutlook.objects.update_or_create(site=site, defaults=values)
    if is_news:
        publish_change("loss", site.pk, "changed")
    return row


def _room_for(world: planner.DataCenter, policy: planner.Policy) -> tuple[int, str]:
    """The largest k of which any k hosts may be lost, and why not one more."""
    on = sum(host.is_on for host in world.hosts)
    for failures in range(1, LOST_MOST + 1):
        if failures >= on:
            return max(0, min(failures - 1, on - 1)), f"{on} hosts are on; what runs there needs one that is left."
        try:
            found = engine.survives(world, policy, failures)
        except StowageError as error:
            return failures - 1, error.message
        if not found.holds:
            return failures - 1, found.sentence
    return LOST_MOST, "More than three at once are not tried."


def _on(site: Site) -> list[Host]:
    hosts = Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED, power=Host.Power.ON)
    return list(hosts.select_related("bmc").order_by("name"))


def _host_lost(host: Host, world: planner.DataCenter, policy: planner.Policy) -> dict[str, Any]:
    live = Workload.objects.filter(host=host, desired=Workload.Desired.RUNNING) | Workload.objects.filter(
        host=host, state=Workload.State.RUNNING
    )
    rows = {str(row.pk): row for row in live.distinct()}
    never = {pk: why for pk, row in rows.items() if (why := why_not_elsewhere(row, host))}
    # what is never started elsewhere takes no room there
    asked = replace(
        world,
        workloads=tuple(replace(one, pinned=True) if one.id in never else one for one in world.workloads),
    )
    reason = why_no_fencing(host)
    found = engine.recover(asked, policy, [str(host.pk)])
    waits = never | {one.workload: one.sentence for one in found.stays_down if one.workload not in never}
    return {
        "host": str(host.pk),
        "name": host.name,
        "restarts": {pk: to for pk, to in found.restart_on.items() if pk in rows},
        "waits": [{"workload": pk, "name": rows[pk].name, "why": why} for pk, why in waits.items() if pk in rows],
        "caution": f"{reason} Nothing is started before a person decides." if reason else "",
    }
