"""A plan as text: written, read back as a proposal that is planned and proved anew, and compared with another.

    {"stowage_plan": 1, "site": "lab",
     "moves": [{"workload": UUID, "name": "web-1", "from": "lab-a1", "to": "lab-b1"}], "power_off": ["lab-a1"]}

Only where things shall end up is read; the order is the planner's own, for it must be safe in the world as it is now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.services.plans import plan_open, planner_ring
from datacenter.services.rearranged import Rearranged, rearranged
from hosts.errors import Invalid, Refused
from hosts.models import Host, Site
from workloads.models import Workload

FORMAT = 1
MOVES_MOST = 5000
TEXT_MOST = 2_000_000


def plan_text(plan: Plan) -> dict[str, Any]:
    """The plan in that form; moves on the way (parking) are left out, for only the end is asked for."""
    first: dict[str, PlanAction] = {}
    last: dict[str, PlanAction] = {}
    actions = plan.actions.select_related("source", "target").order_by("number")
    for action in actions.filter(kind=PlanAction.Kind.MOVE):
        key = str(action.workload_id or action.workload_name)
        first.setdefault(key, action)
        last[key] = action
    return {
        "stowage_plan": FORMAT,
        "site": plan.site.name,
        "moves": [
            {
                "workload": str(action.workload_id) if action.workload_id else "",
                "name": action.workload_name,
                "from": _name(first[key].source),
                "to": _name(action.target),
            }
            for key, action in last.items()
        ],
        "power_off": [_name(action.source) for action in actions.filter(kind=PlanAction.Kind.POWER_OFF)],
    }


def _name(host: Host | None) -> str:
    return host.name if host else ""


@transaction.atomic
def plan_import(user: AbstractBaseUser, text: str | dict[str, Any]) -> Plan:
    """A plan to where the text says, PLANNING; the plan worker fills it. Raises Invalid with what is wrong in it."""
    data = _read(text)
    site = Site.objects.filter(name=data["site"]).first()
    if site is None:
        raise Invalid(f"There is no site {data['site'][:63]}. Correct the text.", field="text")
    hosts = {host.name: str(host.pk) for host in Host.objects.filter(rack__site=site)}
    rows = Workload.objects.filter(host__rack__site=site).exclude(state=Workload.State.GONE)
    by_id = {str(row.pk): row for row in rows}
    by_name = {row.name: row for row in rows}
    placement = {}
    for move in data["moves"]:
        workload = by_id.get(move["workload"]) or by_name.get(move["name"])
        if workload is None:
            raise Invalid(f"There is no workload {(move['name'] or move['workload'])[:63]} at {site}.", field="text")
        if move["to"] not in hosts:
            raise Invalid(f"There is no host {move['to'][:63]} at {site}.", field="text")
        placement[str(workload.pk)] = hosts[move["to"]]
    for name in data["power_off"]:
        if name not in hosts:
            raise Invalid(f"There is no host {name[:63]} at {site}.", field="text")
    power_off = [hosts[name] for name in data["power_off"]]
    plan = plan_open(user, site, {"placement": placement, "power_off": power_off})
    planner_ring(plan)
    return plan


def _read(text: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(text, str):
        if len(text) > TEXT_MOST:
            raise Invalid("The text is larger than any plan.", field="text")
        try:
            text = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"The text is no JSON: {str(error)[:100]}", field="text") from error
    if not isinstance(text, dict) or text.get("stowage_plan") != FORMAT:
        raise Invalid('The text is no plan of Stowage: it begins with {"stowage_plan": 1, "site": ...', field="text")
    site, moves, off = text.get("site"), text.get("moves", []), text.get("power_off", [])
    if not isinstance(site, str) or not isinstance(moves, list) or not isinstance(off, list):
        raise Invalid("A plan has a site, a list of moves and a list power_off. Correct the text.", field="text")
    if not moves and not off:
        raise Invalid("The text asks for nothing.", field="text")
    if len(moves) > MOVES_MOST or len(off) > MOVES_MOST:
        raise Invalid(f"A plan has at most {MOVES_MOST} moves.", field="text")
    return {"site": site, "moves": [_move(move) for move in moves], "power_off": [_word(name) for name in off]}


def _move(move: Any) -> dict[str, str]:
    if not isinstance(move, dict):
        raise Invalid('A move is written as {"workload": ..., "name": ..., "to": ...}. Correct the text.', field="text")
    return {name: _word(move.get(name, "")) for name in ("workload", "name", "to")}


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid("Names of workloads and hosts are texts. Correct the text.", field="text")
    return value


def import_answer(world: planner.DataCenter, policy: planner.Policy, document: dict[str, Any]) -> Rearranged:
    """What brings the data center to the imported placement. Raises Refused where it is there already."""
    here = {row.id: row for row in world.workloads}
    hosts = {host.id for host in world.hosts}
    placement: dict[str, str] = document["placement"]
    wanted = {name: host for name, host in placement.items() if name in here and host in hosts}
    left = [f"{here[name].label} is there already." for name, host in wanted.items() if here[name].host == host]
    wanted = {name: host for name, host in wanted.items() if here[name].host != host}
    found = rearranged(world, policy, wanted, left, document["power_off"])
    if not found.answer.moves and not found.answer.hosts_to_power_off:
        raise Refused(f"Nothing of the text can be done. {' '.join(found.shown.refusals[:3])}".strip())
    return found


@dataclass(frozen=True)
class Difference:
    """One workload or host that two plans treat differently; a side is empty where that plan leaves it as it is."""

    name: str
    first: str
    second: str


def plans_compared(first: Plan, second: Plan) -> list[Difference]:
    """What the plans would end up with differently, by name."""
    mine, other = _ends(first), _ends(second)
    return [
        Difference(name, mine.get(name, ""), other.get(name, ""))
        for name in sorted({*mine, *other})
        if mine.get(name) != other.get(name)
    ]


def _ends(plan: Plan) -> dict[str, str]:
    text = plan_text(plan)
    ends = {move["name"]: f"to {move['to']}" for move in text["moves"] if move["from"] != move["to"]}
    return ends | {name: "switched off" for name in text["power_off"]}
