"""A placement that is asked for, planned in the data center as it is: hosts that are off are woken first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from datacenter import planner as engine
from datacenter.planner import model as planner
from hosts.models import Host
from hosts.states import has_bmc


@dataclass(frozen=True)
class Rearranged:
    """The planner's answer for the data center with woken hosts on, which its check needs, and what is shown of it.

    `shown` counts hosts and watts from today on, and says what stays as it is. `wakes` are ids of hosts.
    """

    answer: planner.Plan
    world: planner.DataCenter
    shown: planner.Plan
    wakes: tuple[str, ...]


def rearranged(
    world: planner.DataCenter,
    policy: planner.Policy,
    wanted: Mapping[str, str],
    left: Sequence[str] = (),
    power_off: Collection[str] = (),
) -> Rearranged:
    """The moves to the placement `wanted` (workload id -> host id), with sentences in `left` told beside the answer."""
    hosts = {host.id: host for host in world.hosts}
    wakes = _asleep({host for host in wanted.values() if not hosts[host].is_on})
    answer = engine.rearrange(_with_on(world, wakes), policy, wanted, power_off)
    needed = {move.target for move in answer.moves}
    if needless := [host for host in wakes if host not in needed]:  # nothing can go there: it stays dark
        wakes = tuple(host for host in wakes if host not in needless)
        answer = engine.rearrange(_with_on(world, wakes), policy, wanted, power_off)
    awake = _with_on(world, wakes)
    drawn = sum(host.idle_watts for host in awake.hosts if host.id in wakes)
    shown = replace(
        answer,
        refusals=(*answer.refusals, *left),
        hosts_on_before=sum(host.is_on for host in world.hosts),
        watts_before=answer.watts_before - drawn,
    )
    return Rearranged(answer, awake, shown, wakes)


def _asleep(host_ids: set[str]) -> tuple[str, ...]:
    """Those of the hosts that can be woken: off, in no maintenance, with a BMC."""
    rows = Host.objects.filter(pk__in=host_ids, is_in_maintenance=False).select_related("bmc").order_by("name")
    return tuple(str(host.pk) for host in rows if has_bmc(host))


def _with_on(world: planner.DataCenter, wakes: tuple[str, ...]) -> planner.DataCenter:
    hosts = (
        replace(host, is_on=True, accepts_work=True, accepts_reason="") if host.id in wakes else host
        for host in world.hosts
    )
    return replace(world, hosts=tuple(hosts))
