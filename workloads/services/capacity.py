"""Room on hosts. A workload's row reserves its memory and disk; a move's target reserves while the move lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, Sum

from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation, PoolMount
from hosts.states import why_closed_once_on, why_not
from workloads.models import Workload
from workloads.services.abilities import why_not_able

State = Workload.State
# What holds memory: all that runs or may run on by itself, and all that should run.
HOLDS_MEMORY = Q(desired=Workload.Desired.RUNNING) | ~Q(state__in=[State.STOPPED, State.CRASHED, State.GONE])
UNFINISHED = (
    Operation.State.QUEUED,
    Operation.State.RUNNING,
    Operation.State.UNDOING,
    Operation.State.STUCK,
)


@dataclass(frozen=True)
class Need:
    """What a workload asks of its host. Name, kind, group and bridge matter where a host is to be chosen."""

    cpu_cores: float
    memory_mib: int
    disk_gib: float = 0.0
    name: str = ""
    kind: str = ""
    group: str = ""  # anti-affinity
    bridge: str = ""
    may_wake: bool = False  # a host that is off will do: it is woken
    abilities: tuple[str, ...] = ()  # as in workloads.services.abilities


def memory_promised_mib(host: Host, besides: UUID | str | None = None) -> int:
    """Memory promised on the host, to what is there and to what is on its way; without one workload."""
    here = Workload.objects.filter(HOLDS_MEMORY, host=host)
    coming = Workload.objects.filter(pk__in=coming_to(host)).exclude(host=host)
    if besides is not None:
        here, coming = here.exclude(pk=besides), coming.exclude(pk=besides)
    total = here.aggregate(mib=Sum("memory_mib"))["mib"] or 0
    return int(total + (coming.aggregate(mib=Sum("memory_mib"))["mib"] or 0))


def coming_to(host: Host) -> list[UUID]:
    """Workloads whose move to the host has not ended; one query."""
    ids = Operation.objects.filter(
        target_host=host, state__in=UNFINISHED, subject_kind__in=Workload.Kind.values
    ).values_list("subject_id", flat=True)
    return [UUID(text) for text in ids]


def refuse_without_room(host: Host, need: Need, *, besides: UUID | str | None = None) -> None:
    """Raises Refused unless the host is open to new work and has room.

    Call it inside the transaction that makes the reservation: two of them then cannot take the last place both.
    """
    host = Host.objects.select_for_update(of=("self",)).get(pk=host.pk)
    is_asleep = need.may_wake and host.power == Host.Power.OFF
    if reason := why_closed_once_on(host) if is_asleep else why_not(host, "place"):
        raise Refused(reason, field="host")
    if need.cpu_cores > host.cpu_cores:
        raise Refused(
            f"{host.name} has {host.cpu_cores:g} CPU cores, fewer than the {need.cpu_cores:g} asked for."
            " Choose another host, or fewer cores.",
            field="host",
        )
    free_mib = host.memory_mib - memory_promised_mib(host, besides)
    if need.memory_mib > free_mib:
        raise Refused(
            f"{host.name} has {max(0, free_mib)} MiB of memory left, less than the {need.memory_mib} MiB asked for."
            " Choose another host, or less memory.",
            field="host",
        )


def refuse_impossible(need: Need) -> None:
    """Raises Invalid when no enrolled host could ever hold it, however empty."""
    hosts = list(Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED))
    if not hosts:
        raise Invalid("There is no enrolled host yet. Enrol one first.", field="host")
    memory_mib = max(host.memory_mib for host in hosts)
    if need.memory_mib > memory_mib:
        raise Invalid(
            f"{need.memory_mib} MiB is more memory than any host has; the largest has {memory_mib} MiB. Ask for less.",
            field="memory_mib",
        )
    cpu_cores = max(host.cpu_cores for host in hosts)
    if need.cpu_cores > cpu_cores:
        raise Invalid(
            f"{need.cpu_cores:g} CPU cores are more than any host has; the largest has {cpu_cores:g}. Ask for fewer.",
            field="cpu_cores",
        )
    if need.disk_gib:
        _refuse_disk_beyond_pools(need.disk_gib)


def _refuse_disk_beyond_pools(disk_gib: float) -> None:
    mounts = PoolMount.objects.filter(host__lifecycle=Host.Lifecycle.ENROLLED).select_related("pool", "host")
    largest = mounts.order_by("-capacity_gib").first()
    if largest is None:
        raise Invalid("No host has a storage pool. Declare one in a host's hostd configuration.", field="host")
    if disk_gib > largest.capacity_gib:
        raise Invalid(
            f"A disk of {disk_gib:g} GiB is larger than the pool {largest.pool.name} of {largest.host.name}, the"
            f" largest there is, which has {largest.capacity_gib:g} GiB. Ask for a smaller disk.",
            field="disk_gib",
        )


def pool_choose(host: Host, disk_gib: float) -> PoolMount:
    """The pool of the host with the most room; raises Invalid when the disk is larger than any of them."""
    mounts = list(PoolMount.objects.filter(host=host).select_related("pool"))
    if not mounts:
        raise Invalid(f"{host.name} has no storage pool. Declare one in its hostd configuration.", field="host")
    promised = _disk_promised_gib(host)
    room = {mount: mount.capacity_gib - promised[mount.path] for mount in mounts}
    largest = max(mounts, key=lambda mount: mount.capacity_gib)
    if disk_gib > largest.capacity_gib:
        raise Invalid(
            f"A disk of {disk_gib:g} GiB is larger than the pool {largest.pool.name} of {host.name}, which has"
            f" {largest.capacity_gib:g} GiB. Ask for a smaller disk.",
            field="disk_gib",
        )
    best = max(mounts, key=lambda mount: (min(room[mount], mount.free_gib), not _is_shared(mount)))
    if disk_gib > room[best]:
        raise Refused(
            f"The pools of {host.name} have {max(0.0, room[best]):.1f} GiB left that nobody was promised, less than"
            f" the {disk_gib:g} GiB asked for. Choose another host, or a smaller disk."
        )
    return best


def refuse_without_disk_room(host: Host, path: str, more_gib: float) -> None:
    """Raises Refused unless the pool that the file lies in has room that nobody was promised."""
    mount = PoolMount.objects.filter(host=host, path=path.rpartition("/")[0]).select_related("pool").first()
    if mount is None:
        raise Refused(f"The disk lies in none of the pools of {host.name}; Stowage leaves it as it is.")
    room = min(mount.capacity_gib - _disk_promised_gib(host)[mount.path], mount.free_gib)
    if more_gib > room:
        raise Refused(
            f"The pool {mount.pool.name} of {host.name} has {max(0.0, room):.1f} GiB left, less than the"
            f" {more_gib:.1f} GiB that this needs more.",
            field="size_gib",
        )


def _is_shared(mount: PoolMount) -> bool:
    return PoolMount.objects.filter(pool=mount.pool).count() > 1


def _disk_promised_gib(host: Host) -> dict[str, float]:
    """Sizes that the host's VMs were promised, by pool directory."""
    from_rows: dict[str, float] = defaultdict(float)
    for disks in Workload.objects.filter(host=host, kind=Workload.Kind.VM).values_list(
        "virtualmachine__disks", flat=True
    ):
        for disk in disks or []:
            from_rows[str(disk.get("path", "")).rpartition("/")[0]] += float(disk.get("size_gib") or 0)
    return from_rows


Chooser = Callable[[Need], Host]
_chooser: Chooser | None = None


def chooser_use(chooser: Chooser) -> None:
    """Lets the floor above, which knows policies and rules, choose hosts from now on."""
    global _chooser
    _chooser = chooser


def host_choose(need: Need) -> Host:
    """A host for the workload, one that is off only where it may be woken; raises Invalid or Refused without any.

    Without a chooser from above: the open host with the most memory left.
    """
    if _chooser is not None:
        return _chooser(need)
    refuse_impossible(need)
    best: tuple[int, Host] | None = None
    for host in Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED):
        free_mib = host.memory_mib - memory_promised_mib(host)
        fits = why_not(host, "place") is None and why_not_able(host, need.abilities) is None
        fits = fits and need.memory_mib <= free_mib and need.cpu_cores <= host.cpu_cores
        if fits and (best is None or free_mib > best[0]):
            best = (free_mib, host)
    if best is None:
        raise Refused("No host has room for it now. Ask for less, wake a host, or move something away.")
    return best[1]
