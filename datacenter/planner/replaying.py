"""A policy tried on the past before it is switched on: what it would have done, hour by hour, against what happened.

At each decision the planner sees what was recorded before it and nothing later; then time goes on, and what was
recorded next is laid on the placement it chose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hosts.errors import Invalid

from .model import DataCenter, Host, Policy, Series, Workload
from .power import expected_cpu_cores, host_watts
from .waking import wake_and_plan


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: hosts on, their watts, hosts whose demand passed their capacity, moves made at its start."""

    hosts_on: int
    watts: float
    hosts_overloaded: int
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """The hours of one history, with their sums."""

    hours: tuple[Hour, ...]

    @property
    def kwh(self) -> float:
        return sum(hour.watts for hour in self.hours) / 1000

    @property
    def moves(self) -> int:
        return sum(hour.moves for hour in self.hours)

    @property
    def overload_hours(self) -> int:
        """Host-hours in which demand passed capacity."""
        return sum(hour.hosts_overloaded for hour in self.hours)

    @property
    def host_hours(self) -> int:
        return sum(hour.hosts_on for hour in self.hours)


@dataclass(frozen=True, slots=True)
class Backtest:
    """What the policy would have done against what happened, in the same hours, and a sentence that compares them."""

    policy: Replay
    happened: Replay
    sentence: str


@dataclass(frozen=True, slots=True)
class Happened:
    """Where workloads were and which hosts were on in one recorded hour, by ids."""

    placement: Mapping[str, str]
    hosts_on: tuple[str, ...]


def backtest(
    data_center: DataCenter,
    policy: Policy,
    *,
    learn_hours: int = 168,
    every_hours: int = 24,
    happened: tuple[Happened, ...] = (),
) -> Backtest:
    """Replays the workloads' recorded series, one value an hour, from the present placement on.

    The first `learn_hours` are only looked at; then there is a plan every `every_hours`. `happened` tells the hours
    after those; without it nothing moved and nothing was switched. Raises Invalid without enough of a record.
    """
    hours = _recorded_hours(data_center)
    if data_center.series_per_hour != 1:
        raise Invalid("A backtest needs one recorded value for each hour; take the highest of each hour.")
    if hours <= learn_hours:
        raise Invalid(f"There are {hours} recorded hours; a backtest needs more than the {learn_hours} to learn from.")
    if happened and len(happened) != hours - learn_hours:
        raise Invalid(f"What happened is told for {len(happened)} hours; {hours - learn_hours} are replayed.")
    still = Happened({item.id: item.host for item in data_center.workloads}, _on(data_center))
    past = happened or (still,) * (hours - learn_hours)
    recorded = tuple(
        _hour(data_center, policy, learn_hours + number, one.placement, one.hosts_on, _moved(past, number))
        for number, one in enumerate(past)
    )
    planned = _planned(data_center, policy, learn_hours, every_hours, hours)
    return _compared(Replay(planned), Replay(recorded))


def _planned(data_center: DataCenter, policy: Policy, learn: int, every: int, hours: int) -> tuple[Hour, ...]:
    present, done = data_center, []
    for hour in range(learn, hours):
        moves = 0
        if (hour - learn) % every == 0:
            answer = wake_and_plan(_seen_until(present, data_center, hour, learn), policy)
            after, off = answer.plan.placement_after, set(answer.plan.hosts_to_power_off)
            moves = len(answer.plan.moves)
            awake = {host.id for host in answer.data_center.hosts if host.is_on} - off
            present = replace(
                present,
                workloads=tuple(replace(item, host=after[item.id]) for item in present.workloads),
                hosts=tuple(replace(host, is_on=host.id in awake) for host in present.hosts),
            )
        placement = {item.id: item.host for item in present.workloads}
        done.append(_hour(data_center, policy, hour, placement, _on(present), moves))
    return tuple(done)


def _seen_until(present: DataCenter, recorded: DataCenter, hour: int, learn: int) -> DataCenter:
    """The present with the last `learn` hours of each series before that hour."""
    full = {item.id: item.series for item in recorded.workloads}

    def cut(series: Series | None) -> Series | None:
        if series is None:
            return None
        names = ("cpu_cores", "memory_mib", "disk_io_mib_s", "network_mbit_s")
        return Series(*(getattr(series, name)[hour - learn : hour] for name in names))

    return replace(
        present,
        workloads=tuple(replace(item, series=cut(full[item.id])) for item in present.workloads),
        series_start_hour=(recorded.series_start_hour + hour - learn) % 168,
    )


def _hour(
    data_center: DataCenter,
    policy: Policy,
    hour: int,
    placement: Mapping[str, str],
    on: tuple[str, ...],
    moves: int,
) -> Hour:
    cores: dict[str, float] = defaultdict(float)
    memory: dict[str, float] = defaultdict(float)
    for item in data_center.workloads:
        home = placement.get(item.id, "")
        cores[home] += _cores(item, policy, hour)
        memory[home] += _memory(item, hour)
    awake = [host for host in data_center.hosts if host.id in set(on)]
    watts = sum(host_watts(host, cores[host.id]) for host in awake)
    over = sum(_is_over(host, cores[host.id], memory[host.id]) for host in awake)
    return Hour(len(awake), round(watts, 3), over, moves)


def _cores(item: Workload, policy: Policy, hour: int) -> float:
    recorded = item.series.cpu_cores if item.series else ()
    return recorded[hour] if recorded else expected_cpu_cores(item, policy)


def _memory(item: Workload, hour: int) -> float:
    recorded = item.series.memory_mib if item.series else ()
    return recorded[hour] if recorded else item.allocation.memory_mib or 0.0


def _is_over(host: Host, cores: float, memory: float) -> bool:
    return any(
        have is not None and asked > have * (1 + 1e-9)
        for asked, have in ((cores, host.capacity.cpu_cores), (memory, host.capacity.memory_mib))
    )


def _moved(past: tuple[Happened, ...], number: int) -> int:
    if not number:
        return 0
    before, now = past[number - 1].placement, past[number].placement
    return sum(before.get(name, host) != host for name, host in now.items())


def _recorded_hours(data_center: DataCenter) -> int:
    series = [item.series for item in data_center.workloads if item.series is not None]
    return max((max(len(one.cpu_cores), len(one.memory_mib)) for one in series), default=0)


def _on(data_center: DataCenter) -> tuple[str, ...]:
    return tuple(host.id for host in data_center.hosts if host.is_on)


def _compared(policy: Replay, happened: Replay) -> Backtest:
    sentence = (
        f"In {len(policy.hours):,} hours the policy would have used {policy.kwh:,.1f} kWh instead of "
        f"{happened.kwh:,.1f}, with {policy.host_hours:,} host-hours instead of {happened.host_hours:,}, "
        f"{policy.moves:,} moves instead of {happened.moves:,}, and demand above capacity in "
        f"{policy.overload_hours:,} host-hours instead of {happened.overload_hours:,}."
    )
    return Backtest(policy, happened, sentence)
