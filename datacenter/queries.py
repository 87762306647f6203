"""What the overview and the plan pages read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from datacenter.admission import shares_taken
from datacenter.metrics.live import latest_read
from datacenter.models import LossOutlook, Plan, PlanAction
from datacenter.planner.data import from_data
from datacenter.planner.model import DataCenter, Policy
from datacenter.planner.model import Plan as Answer
from datacenter.planner.model import Workload as PlannedWorkload
from datacenter.snapshot import planner_policy, policy_of
from hosts.models import Host, Site
from hosts.queries import HostStatus, host_status, hosts_all
from workloads.models import Workload
from workloads.queries import differs

STANDING = (Workload.State.STOPPED, Workload.State.CRASHED)
KEEPS_FROM_LISTS = ("document",)  # a plan's document is large; lists do without it


@dataclass(frozen=True)
class Chip:
    """A workload inside a host's tile. `word` is its state, empty where a plan is drawn; `mark` says what the plan
    does to it: "came", "leaves" or nothing.
    """

    id: str
    name: str
    kind: str
    word: str
    title: str
    mark: str = ""
    differs: str = ""  # what it should be, where it is not


@dataclass(frozen=True)
class Tile:
    """A host on the overview."""

    host: Host
    status: HostStatus
    chips: list[Chip]
    values: dict[str, Any]

    @property
    def is_off(self) -> bool:
        return self.status.word == "off"

    @property
    def source(self) -> str:
        """Under which the host's samples come."""
        return f"host:{self.host.pk}"


@dataclass
class SiteView:
    """A site on the overview: racks with their tiles, its latest plan that still matters, its enrolled hosts."""

    site: Site
    racks: list[tuple[str, list[Tile]]]
    plan: Plan | None
    hosts: list[Host] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    loss: LossOutlook | None = None
    stopped_count: int = 0  # workloads that are stopped or crashed
    enrolling_count: int = 0

    @property
    def on_count(self) -> int:
        return sum(host.power != Host.Power.OFF for host in self.hosts)

    @property
    def off_count(self) -> int:
        return self.host_count - self.on_count

    @property
    def host_count(self) -> int:
        return len(self.hosts)


def overview() -> list[SiteView]:
    """Every site. Five queries and one read of the newest values, however many hosts there are."""
    hosts = list(hosts_all().order_by("rack__site__name", "rack__name", "name"))
    values = latest_read(f"host:{host.pk}" for host in hosts)
    chips = _chips()
    plans = _plans_that_matter()
    losses = {row.site_id: row for row in LossOutlook.objects.all()}
    views = []
    for site in Site.objects.all():
        of_site = [host for host in hosts if host.rack.site_id == site.pk]
        enrolled = [host for host in of_site if host.lifecycle == Host.Lifecycle.ENROLLED]
        racks: dict[str, list[Tile]] = {}
        for host in of_site:
            tile = Tile(host, host_status(host), chips.get(host.pk, []), values.get(f"host:{host.pk}", {}))
            racks.setdefault(host.rack.name, []).append(tile)
        views.append(
            SiteView(
                site,
                list(racks.items()),
                plans.get(site.pk),
                enrolled,
                values,
                loss=losses.get(site.pk),
                stopped_count=sum(chip.word in STANDING for host in of_site for chip in chips.get(host.pk, [])),
                enrolling_count=sum(host.lifecycle == Host.Lifecycle.ENROLLING for host in of_site),
            )
        )
    return views


def _chips() -> dict[UUID, list[Chip]]:
    """The workloads of each host, as they are drawn in its tile."""
    chips: dict[UUID, list[Chip]] = defaultdict(list)
    rows = Workload.objects.filter(host__isnull=False).exclude(state=Workload.State.GONE)
    for row in rows.only("name", "kind", "state", "state_reason", "desired", "host").order_by("kind", "name"):
        said = differs(row)
        title = f"{row.get_kind_display()} {row.name}: {row.state_reason or row.state}"
        chip = Chip(str(row.pk), row.name, row.kind, row.state, said or title)
        chips[row.host_id].append(replace(chip, differs=f"should be {row.desired}") if said else chip)
    return chips


def _plans_that_matter() -> dict[int, Plan]:
    """The newest plan of each site that is being made, proposed or carried out."""
    states = (Plan.State.PLANNING, Plan.State.PROPOSED, Plan.State.RUNNING)
    rows = Plan.objects.filter(state__in=states).defer(*KEEPS_FROM_LISTS).order_by("created_at")
    return {plan.site_id: plan for plan in rows}


@dataclass(frozen=True)
class DrawnHost:
    """A host in one of the two drawings of a plan review. Percentages are of what the policy lets it carry."""

    id: str
    name: str
    is_on: bool
    is_freed: bool
    cpu_percent: float
    memory_percent: float
    chips: list[Chip]


@dataclass(frozen=True)
class Drawing:
    """A site as racks of hosts, at one moment."""

    racks: list[tuple[str, list[DrawnHost]]]
    on_count: int


@dataclass(frozen=True)
class KeptLine:
    """A host that the plan leaves on: why, and what would free it (empty while nobody knows)."""

    host_id: str
    name: str
    sentence: str
    change: str


@dataclass(frozen=True)
class Review:
    """Today beside proposed; why hosts stay on, and why workloads stay where they are."""

    today: Drawing
    proposed: Drawing
    kept: list[KeptLine]
    unmoved: list[tuple[str, str, str]]  # workload id, name, sentence
    answer: Answer
    counting: str  # what the bars mean
    survival: str  # which losses the plan's end is proved to survive; empty where the policy asks for none

    @property
    def gap_percent(self) -> float:
        return self.answer.gap * 100


def review_of(plan: Plan) -> Review | None:
    """The review of a planned plan; None while it is being planned."""
    if not plan.document.get("plan") or not plan.document.get("world"):
        return None
    answer, world = from_data(Answer, plan.document["plan"]), from_data(DataCenter, plan.document["world"])
    policy = planner_policy(policy_of(plan.site))
    hosts = {host.id: host.label for host in world.hosts}
    names = {row.id: row.label for row in world.workloads}
    moved = {move.workload for move in answer.moves}
    return Review(
        today=_drawing(world, policy, answer.placement_before, set(), moved, "leaves"),
        proposed=_drawing(world, policy, answer.placement_after, set(answer.hosts_to_power_off), moved, "came"),
        kept=[
            KeptLine(
                kept.host,
                hosts.get(kept.host, kept.host),
                kept.sentence,
                plan.changes_that_free.get(kept.host, ""),
            )
            for kept in answer.hosts_kept
        ],
        unmoved=[
            (workload_id(row.workload), names.get(row.workload, row.workload), row.sentence)
            for row in answer.workloads_unmoved
        ],
        answer=answer,
        counting=_counting(policy),
        survival=_survival(policy, answer),
    )


def _drawing(
    world: DataCenter, policy: Policy, placement: dict[str, str], freed: set[str], moved: set[str], mark: str
) -> Drawing:
    here: dict[str, list[PlannedWorkload]] = defaultdict(list)
    for row in world.workloads:
        here[placement.get(row.id, "")].append(row)
    racks: dict[str, list[DrawnHost]] = {}
    for host in sorted(world.hosts, key=lambda host: (host.rack, host.label)):
        rows = sorted(here[host.id], key=lambda row: row.label)
        taken = shares_taken(policy, host, rows)
        drawn = DrawnHost(
            id=host.id,
            name=host.label,
            is_on=host.is_on and host.id not in freed,
            is_freed=host.id in freed,
            cpu_percent=100 * taken.get("CPU", 0.0),
            memory_percent=100 * taken.get("memory", 0.0),
            chips=[_planned_chip(row, mark if row.id in moved else "") for row in rows],
        )
        racks.setdefault(host.rack, []).append(drawn)
    return Drawing(list(racks.items()), sum(host.is_on for hosts in racks.values() for host in hosts))


def workload_id(planned: str) -> str:
    """The workload behind a planner's id: a move under way reserves its target as "<uuid> to <host>"."""
    return planned.partition(" ")[0]


def _planned_chip(row: PlannedWorkload, mark: str) -> Chip:
    words = {"came": "moves here", "leaves": "moves away"}
    kind = "VM" if row.kind == "vm" else "container"
    title = f"{kind} {row.label}" + (f": {words[mark]}" if mark else "") + (": pinned" if row.pinned else "")
    return Chip(workload_id(row.id), row.label, row.kind, "migrating" if mark else "", title, mark)


def _counting(policy: Policy) -> str:
    """What the bars of the two drawings mean."""
    return (
        "The bars are full at what the policy lets a host carry:"
        f" {100 * (1 - policy.cpu_headroom):.0f} % of its CPU and {100 * (1 - policy.memory_headroom):.0f} % of its"
        f" memory. A core that was promised counts as 1/{policy.cpu_overcommit:g} of one, for few use all of theirs;"
        " a workload that used more counts with what it used. Memory counts as promised."
    )


def _survival(policy: Policy, answer: Answer) -> str:
    """What was proved of N+k; nothing where the planner warns instead, or was asked for nothing."""
    count = policy.survive_failures
    what = {0: "", 1: "any one host"}.get(count, f"any {count} hosts")
    losses = " or ".join(filter(None, (what, "any one rack" if policy.survive_rack else "")))
    if not losses or not answer.restart_on:
        return ""
    return (
        f"After it, {losses} may be lost: each of the {len(answer.restart_on)} workloads that may restart elsewhere"
        " has its place there, proved by placing them."
    )


@dataclass(frozen=True)
class ActionLine:
    """An action of a plan with the numbers it waits for."""

    action: PlanAction
    waits_for: list[int]


@dataclass(frozen=True)
class Progress:
    """How far a plan is."""

    lines: list[ActionLine]
    done_count: int

    @property
    def percent(self) -> float:
        return 100.0 * self.done_count / len(self.lines) if self.lines else 100.0


def plan_progress(plan: Plan) -> Progress:
    """The plan's actions in order, with what each waits for; one query."""
    actions = list(plan.actions.select_related("source", "target", "operation"))
    done = {action.number for action in actions if action.state == PlanAction.State.DONE}
    lines = [ActionLine(action, [number for number in action.after if number not in done]) for action in actions]
    return Progress(lines, len(done))
