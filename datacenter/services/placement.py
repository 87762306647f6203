"""Where a new workload goes when nobody chose a host."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from datacenter.admission import fullness, why_not_admitted
from datacenter.models import Autopilot, Recovery
from datacenter.planner.model import DataCenter, Resources, Workload
from datacenter.planner.model import Host as PlannedHost
from datacenter.services.autopilot import autopilot_of
from datacenter.services.autopilot_gates import not_waking
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts.errors import Refused
from hosts.models import Host, Site
from workloads.services.capacity import Need, refuse_impossible

REASONS_TOLD = 10
ADVICE = "Ask for less, wake a host, or make room on one."


def host_for(need: Need) -> Host:
    """The fullest host, of any site, that takes the workload within its site's policy and the rules.

    When none that is on does: one that would once it is woken, where the wish allows that or the site's autopilot
    relieves hosts by itself.

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
        abilities=need.abilities,
    )
    found: list[tuple[float, str]] = []
    asleep: list[tuple[bool, float, float, str, str]] = []
    reasons: list[str] = []
    now = timezone.now()
    for site in Site.objects.all():
        world, policy = data_center_read(site, now), planner_policy(policy_of(site))
        may_wake = need.may_wake or autopilot_of(site).relief == Autopilot.Mode.AUTOMATIC
        for host in _wakeable(site, world, now):
            awake = replace(host, is_on=True)
            if why_not_admitted(world, policy, workload, awake) is None:
                asleep.append((may_wake, fullness(world, policy, awake), -host.idle_watts, host.id, host.label))
        for host in world.hosts:
            if reason := why_not_admitted(world, policy, workload, host):
                reasons.append(reason if host.label in reason else f"{host.label}: {reason}")
            else:
                found.append((fullness(world, policy, host), host.id))
    if found:
        return Host.objects.get(pk=max(found)[1])
    if asleep and max(asleep)[0]:
        return Host.objects.get(pk=max(asleep)[3])
    helps = f"{max(asleep)[4]} is off and could take it: let a host be woken for it." if asleep else ADVICE
    raise Refused(f"No host can take {workload.name} now. {_told(reasons)} {helps}")


def _wakeable(site: Site, world: DataCenter, now: datetime) -> list[PlannedHost]:
    """Hosts that are off and may be woken: not one that is lost, nor one that has just failed to wake."""
    lost = Recovery.objects.filter(finished_at=None).values_list("host_id", flat=True)
    not_asked = {str(pk) for pk in (*lost, *not_waking(site, now))}
    off = [host for host in world.hosts if not host.is_on and host.accepts_work and host.can_power_off]
    return [host for host in off if host.id not in not_asked]


def _told(reasons: list[str]) -> str:
    more = len(reasons) - REASONS_TOLD
    return " ".join(reasons[:REASONS_TOLD]) + (f" And {more} hosts more." if more > 0 else "")
