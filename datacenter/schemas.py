"""The shapes of sites, plans, savings and histories in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from datacenter.models import Plan, PlanAction, Question


class SavingOut(Schema):
    before_watts: float
    after_watts: float
    saved_watts: float
    kwh_per_year: float
    money_per_year: float
    currency: str
    co2_kg_per_year: float
    how: str


class SiteOut(Schema):
    id: int
    name: str
    host_count: int
    on_count: int
    saving: SavingOut


class PlanIn(Schema):
    """`evacuate` asks for a plan that empties that host and leaves it on."""

    site: int
    evacuate: UUID | None = None


class PlanTextIn(Schema):
    """Where workloads shall be, and which hosts go dark; `from` of a move is told and not read."""

    stowage_plan: int = 1
    site: str = Field(max_length=63)
    moves: list[dict[str, str]] = Field([], max_length=5000)
    power_off: list[str] = Field([], max_length=5000)


class DifferenceOut(Schema):
    """A side is empty where that plan leaves it as it is."""

    name: str
    first: str
    second: str


class ActionOut(Schema):
    number: int
    kind: str
    workload: str
    source: str | None
    target: str | None
    after: list[int]
    reason: str
    state: str
    sentence: str
    operation: UUID | None

    @staticmethod
    def resolve_workload(action: PlanAction) -> str:
        return action.workload_name

    @staticmethod
    def resolve_source(action: PlanAction) -> str | None:
        return action.source.name if action.source else None

    @staticmethod
    def resolve_target(action: PlanAction) -> str | None:
        return action.target.name if action.target else None

    @staticmethod
    def resolve_operation(action: PlanAction) -> UUID | None:
        return action.operation_id


class PlanOut(Schema):
    uuid: UUID
    site: str
    state: str
    reason: str
    hosts_on_before: int
    hosts_on_after: int
    savings: dict[str, Any]
    requested_by_name: str
    created_at: datetime
    approved_at: datetime | None
    finished_at: datetime | None
    paused_at: datetime | None

    @staticmethod
    def resolve_site(plan: Plan) -> str:
        return plan.site.name


class PlanDetailOut(Schema):
    plan: PlanOut
    actions: list[ActionOut]
    answer: dict[str, Any] | None  # the planner's whole answer: placements, bound, reasons


class LineOut(Schema):
    """One line; `low`, `high` and `p95` are of the samples behind each point, empty where a point is one sample.

    `source`, `field`, `scale` and `is_counter` say which newest value of the live socket goes on with it.
    """

    label: str
    unit: str
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    p95: list[float | None]
    is_limit: bool
    source: str
    field: str
    scale: float
    is_counter: bool


class HistoryOut(Schema):
    """Lines over time; `times` in epoch seconds. `sentence` says why there is nothing, when there is nothing."""

    times: list[float]
    series: list[LineOut]
    start: float
    end: float
    step_s: float
    sentence: str = ""


class WhatIfIn(Schema):
    """What is to be thought of as changed; the new ones are like one that is there."""

    site: int
    add_hosts: int = 0
    like_host: UUID | None = None
    remove_hosts: list[UUID] = []
    add_workloads: int = 0
    like_workload: UUID | None = None


class QuestionOut(Schema):
    uuid: UUID
    site: str
    kind: str
    title: str
    state: str
    sentence: str
    lines: list[dict[str, str]]
    asked_by_name: str
    created_at: datetime
    answered_at: datetime | None

    @staticmethod
    def resolve_site(question: Question) -> str:
        return question.site.name
