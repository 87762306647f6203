"""What the planner reads and what it answers, as plain frozen values.

    DataCenter = hosts + workloads + rules        Policy = what the operator wants kept free
    plan(data_center, policy) -> Plan             Plan = ordered moves, freed hosts, and why not more

Nothing here imports NumPy, so pages and services may use these values freely. Every value is JSON-ready
through `datacenter.planner.data`. An id is any text unique among its kind; `name` is what people read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["vm", "container"]
Scope = Literal["host", "rack", "site"]
RESOURCES = ("cpu_cores", "memory_mib", "disk_gib", "disk_io_mib_s", "network_mbit_s")


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts of what a host has or a workload takes. None: not limited (a host), not known (a workload)."""

    cpu_cores: float | None = None
    memory_mib: float | None = None
    disk_gib: float | None = None
    disk_io_mib_s: float | None = None
    network_mbit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Demand by hour of the week (168 values, Monday 00:00 first); empty where there is no history.

    `cpu_cores` and `memory_mib` are the p95 of each hour; the others are used where the policy's risk asks for
    them and they are there.
    """

    cpu_cores: tuple[float, ...] = ()
    memory_mib: tuple[float, ...] = ()
    cpu_cores_p50: tuple[float, ...] = ()
    memory_mib_p50: tuple[float, ...] = ()
    cpu_cores_p99: tuple[float, ...] = ()
    memory_mib_p99: tuple[float, ...] = ()
    cpu_cores_peak: tuple[float, ...] = ()
    memory_mib_peak: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Demand as recorded, oldest first; empty where it was not. All series of a data center have one length."""

    cpu_cores: tuple[float, ...] = ()
    memory_mib: tuple[float, ...] = ()
    disk_io_mib_s: tuple[float, ...] = ()
    network_mbit_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A physical machine. `idle_watts` and `peak_watts` are the ends of its linear power model.

    With `inside` it is a VM that carries containers, under the id that it has among the workloads: its capacity is
    what it has for them, it draws nothing itself, and `can_power_off` says whether it may be shut down when empty.
    """

    id: str
    capacity: Resources
    name: str = ""
    site: str = ""
    rack: str = ""
    idle_watts: float = 0.0
    peak_watts: float = 0.0
    is_on: bool = True
    can_power_off: bool = True
    power_off_reason: str = ""  # a sentence, when it must stay on
    wake_s: float | None = None  # how long it takes to wake, as measured; None: nobody knows
    accepts_work: bool = True
    accepts_reason: str = ""  # a sentence, when it takes nothing new (maintenance, cordoned, not reachable)
    architecture: str = "x86_64"
    cpu_model: str = ""
    kernel: str = "linux"  # what its containers share
    numa_node: Resources = Resources()  # its largest NUMA node; None: not known
    has_hypervisor: bool = True
    has_engine: bool = True
    bridges: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()  # ids of the shared pools it reads
    abilities: tuple[str, ...] = ()  # what it can give VMs that not every host can, such as secure boot
    licences: tuple[str, ...] = ()  # products whose per-core licence covers it
    no_move_hours: tuple[int, ...] = ()  # hours of the week in which nothing must move to it or away
    inside: str = ""  # the host that this VM runs on; empty for a machine

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class Workload:
    """A VM or a container on its host (`host` is empty for one that is not placed yet).

    `allocation.disk_gib` counts local disk only: what lies on a shared pool takes nothing from the host, and
    the pool is named in `pools`. `copy_gib` is what a move must copy besides memory.
    """

    id: str
    kind: Kind
    allocation: Resources
    host: str = ""
    name: str = ""
    observed_p95: Resources | None = None
    profile: Profile | None = None
    series: Series | None = None  # counts instead of the profile where there is one
    priority: int = 0  # higher restarts first after a failure
    pinned: bool = False
    pinned_reason: str = ""
    movable: bool = True
    immovable_reason: str = ""  # a sentence: why the machinery cannot move it now
    anti_affinity: tuple[str, ...] = ()  # groups whose members must be on different hosts
    affinity: tuple[str, ...] = ()  # groups whose members stay on one host
    architecture: str = ""  # empty: any
    cpu_model: str = ""  # empty: any
    kernel: str = ""  # of a container; empty: any. A VM brings its own
    in_one_numa_node: bool = False  # it must fit into one NUMA node of its host
    bridges: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()  # which it needs of its host
    only_hosts: tuple[str, ...] = ()  # empty: any
    never_hosts: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()  # products it uses: it stays on hosts that they cover
    within: tuple[str, ...] = ()  # sites, or racks as "site/rack", near its storage and network; empty: any
    no_move_hours: tuple[int, ...] = ()  # hours of the week in which it must not move
    copy_gib: float = 0.0
    dirty_mib_s: float = 0.0  # memory it writes anew while it is being moved

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id

    @property
    def why_fixed(self) -> str | None:
        """The sentence that keeps it where it is, or None when it may move."""
        if self.pinned:
            return f"{self.label} is pinned to its host" + _because(self.pinned_reason)
        if not self.movable:
            return self.immovable_reason or f"{self.label} cannot be moved"
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """Workloads to keep `apart` (never two in one host, rack or site), `spread` over `at_least`, or `together`.

    Those to keep together gather where most of them are now, and none leaves that place.
    """

    name: str
    workloads: tuple[str, ...]
    kind: Literal["apart", "spread", "together"] = "apart"
    scope: Scope = "host"
    at_least: int = 2  # for spread


@dataclass(frozen=True, slots=True)
class DataCenter:
    """Everything the planner may know, at one moment.

    Recorded series have `series_per_hour` values an hour and begin in hour `series_start_hour` of the week.
    """

    hosts: tuple[Host, ...] = ()
    workloads: tuple[Workload, ...] = ()
    rules: tuple[Rule, ...] = ()
    series_start_hour: int = 0
    series_per_hour: int = 1

    def with_workload(self, workload: Workload) -> DataCenter:
        """The same data center with one workload more."""
        return replace(self, workloads=(*self.workloads, workload))


@dataclass(frozen=True, slots=True)
class Licence:
    """What one licensed core costs in a year; every core of a host counts while a workload there uses the product."""

    product: str
    price_per_core_year: float


@dataclass(frozen=True, slots=True)
class Policy:
    """How full hosts may get, and what a plan may cost.

    A workload's CPU demand is the larger of two numbers: its allocation divided by `cpu_overcommit` (at 2.0 a
    promised vCPU counts as half a core) and its observed p95. Memory likewise. So overcommit never hides a
    workload that really uses what it was given, and an idle one never counts for nothing. The demands on a
    host stay within its capacity less the headroom.

    `cpu_counting="separate"` holds two limits side by side instead: allocations within cores x overcommit,
    and p95 within cores less the headroom (how many other systems count). Without a p95, the allocation over
    the overcommit stands in.

    Where workloads have recorded series, their sum on a host may pass its limit in at most `overload_risk` of the
    recorded steps. Where they have profiles, the risk picks the percentile: up to 0.01 p99, up to 0.05 p95.
    """

    name: str = "default"
    cpu_overcommit: float = 2.0
    memory_overcommit: float = 1.0
    cpu_counting: Literal["larger", "separate"] = "larger"
    cpu_headroom: float = 0.2
    memory_headroom: float = 0.1
    disk_headroom: float = 0.1
    disk_io_headroom: float = 0.2
    network_headroom: float = 0.2
    objective: Literal["hosts", "watts", "money"] = "hosts"
    price_per_kwh: float = 0.3  # for money; cooling and losses included
    licences: tuple[Licence, ...] = ()  # for money
    spare_hosts: int = 0  # empty hosts left on as a warm reserve
    survive_failures: int = 0  # N+k: after the loss of any k hosts everything can be restarted
    survive_rack: bool = False  # and after the loss of any rack
    survive_priority: int = 0  # only workloads of this priority or a higher one need to restart
    use_profiles: bool = True  # hold the limits in every hour of the week where workloads have a profile
    overload_risk: float = 0.01
    moves_in_per_host: int = 2
    moves_out_per_host: int = 2
    max_moves: int | None = None
    max_moved_gib: float | None = None
    max_minutes: float | None = None  # predicted, from the first move's start to the last one's end
    start_hour: int | None = None  # the hour of the week in which the moves start, for no-move hours
    migration_mib_s: float = 110.0  # what one move transfers; 1 Gbit/s by default
    move_watts: float = 30.0  # what both hosts draw more while a move runs
    break_even_hours: float | None = None  # a plan must save within this time the energy its moves cost
    effort: int = 1  # 0: first answer; 1: normal; higher: search longer


@dataclass(frozen=True, slots=True)
class Move:
    """One live migration or relocation; it may start once every move named in `after` is done."""

    id: str
    workload: str
    source: str
    target: str
    after: tuple[str, ...] = ()
    reason: str = ""
    wave: int = 1  # the earliest round it can run in under the policy's limits per host
    memory_mib: float = 0.0
    copy_gib: float = 0.0
    starts_s: float = 0.0  # predicted, after the plan's start
    seconds: float = 0.0  # predicted
    blackout_ms: float = 0.0  # predicted: how long the workload stands still


@dataclass(frozen=True, slots=True)
class KeptHost:
    """A host that stays on, with the sentence why and the workloads and rules that keep it."""

    host: str
    sentence: str
    workloads: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmoved:
    """A workload that stays where it is, with one sentence why."""

    workload: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The proof beside a plan: no plan under this policy can do with fewer hosts."""

    hosts: int
    resource: str  # the binding one, as in RESOURCES, or "fixed workloads"
    sentence: str
    hour: int | None = None  # the binding hour of the week, where demand is known by hour
    watts: float = 0.0  # nor with fewer watts


@dataclass(frozen=True, slots=True)
class JointLoss:
    """Several hosts lost together, and where those of their workloads restart that go elsewhere then."""

    hosts: tuple[str, ...]
    restart_on: dict[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer. `refusals` holds a sentence for everything asked for that cannot be done."""

    goal: Literal["consolidate", "evacuate", "balance", "relieve", "rearrange"]
    moves: tuple[Move, ...]
    hosts_to_power_off: tuple[str, ...]
    hosts_kept: tuple[KeptHost, ...]
    workloads_unmoved: tuple[Unmoved, ...]
    placement_before: dict[str, str]
    placement_after: dict[str, str]
    hosts_on_before: int
    hosts_on_after: int
    watts_before: float
    watts_after: float
    lower_bound: Bound
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    restart_on: dict[str, str] = field(default_factory=dict)  # where each restarts if its host is lost (N+1)
    restart_after: tuple[JointLoss, ...] = ()  # where those go that cannot go there when several hosts are lost
    restart_on_way: dict[str, str] = field(default_factory=dict)  # the same while moves run, for what stays
    restart_after_on_way: tuple[JointLoss, ...] = ()
    unsurvived_on_way: tuple[tuple[str, ...], ...] = ()  # losses that are not survived as things are, nor on the way
    power_off_last: bool = False  # hosts are switched off only when all moves are done: they are needed till then
    break_even_hours: float | None = None  # after which it has saved the energy its moves cost; None: it saves none

    @property
    def gap(self) -> float:
        """How far above the proven minimum the plan is: 0.02 means at most 2 % more hosts than needed."""
        least = max(1, self.lower_bound.hosts)
        return max(0, self.hosts_on_after - self.lower_bound.hosts) / least

    @property
    def watts_gap(self) -> float:
        """How far above the proven minimum of watts the plan is."""
        return max(0.0, self.watts_after / self.lower_bound.watts - 1) if self.lower_bound.watts else 0.0

    @property
    def seconds(self) -> float:
        """Predicted, for all moves in their order and as parallel as the policy allows."""
        return max((move.starts_s + move.seconds for move in self.moves), default=0.0)

    @property
    def saved_watts(self) -> float:
        return self.watts_before - self.watts_after

    @property
    def moved_memory_mib(self) -> float:
        return sum(move.memory_mib for move in self.moves)

    @property
    def waves(self) -> int:
        """Rounds of parallel moves that the plan takes."""
        return max((move.wave for move in self.moves), default=0)


@dataclass(frozen=True, slots=True)
class Unpacking:
    """Two plans, one after the other. `emptying.hosts_to_power_off` are the VMs to shut down between them."""

    emptying: Plan
    data_center: DataCenter  # once those VMs are shut down; what a VM still carries moves with it
    consolidation: Plan


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a new workload goes: a host, or None with one sentence for each host why not."""

    host: str | None
    sentence: str
    why_not: dict[str, str] = field(default_factory=dict)


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""
