"""Where a new workload goes when nobody chose a host."""

from __future__ import annotations

from django.utils import timezone

from datacenter.admission import fullness, why_not_admitted
from datacenter.planner.model import Resources, Workload
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts.errors import Refused
from hosts.models import Host, Site
from workloads.services.capacity import Need, refuse_impossible

REASONS_TOLD = 10


def host_for(need: Need) -> Host:
    """The fullest host, of any site, that takes the workload within its site's policy and the rules.

    Raises Invalid when no host could ever take it, Refused with a sentence for each host when none can now.
    """
    refuse_impossible(need)
    workload = Workload(
        id="new",
        kind="container" if need.kind == "container" else "vm",
        name=need.name or "it",
        allocation=Resources(need.cpu_cores, float(need.memory_mib), need.disk_gib),
        anti_affinity=(need.group,) if need.group else (),
        bridges=(need.bridge,) if need.bridge else (),
    )
    found: list[tuple[float, str]] = []
    reasons: list[str] = []
    for site in Site.objects.all():
        world, policy = data_center_read(site, timezone.now()), planner_policy(policy_of(site))
        for host in world.hosts:
            if reason := why_not_admitted(world, policy, workload, host):
                reasons.append(reason if host.label in reason else f"{host.label}: {reason}")
            else:
                found.append((fullness(world, policy, host), host.id))
    if not found:
        raise Refused(
            f"No host can take {workload.name} now. {_told(reasons)} Ask for less, wake a host, or make room on one."
        )
    return Host.objects.get(pk=max(found)[1])


def _told(reasons: list[str]) -> str:
    more = len(reasons) - REASONS_TOLD
    return " ".join(reasons[:REASONS_TOLD]) + (f" And {more} hosts more." if more > 0 else "")
