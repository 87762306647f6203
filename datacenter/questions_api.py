"""The API's routes of questions to the planner."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from datacenter.models import Question
from datacenter.schemas import QuestionOut, WhatIfIn
from datacenter.services import questions as services
from hosts.api import OPERATE, VIEW, host_found
from hosts.errors import NotFound
from hosts.models import Site
from workloads.api import workload_found

router = Router(tags=["questions"])


def site_found(site_id: int) -> Site:
    site = Site.objects.filter(pk=site_id).first()
    if site is None:
        raise NotFound("There is no such site.")
    return site


@router.get("", response=list[QuestionOut], auth=VIEW)
def question_list(request: HttpRequest, limit: int = Query(50, ge=1, le=200)) -> QuerySet[Question]:
    return Question.objects.select_related("site")[:limit]


@router.get("/{uuid:uuid}", response=QuestionOut, auth=VIEW)
def question_one(request: HttpRequest, uuid: UUID) -> Question:
    question = Question.objects.select_related("site").filter(pk=uuid).first()
    if question is None:
        raise NotFound("There is no such question.")
    return question


@router.post("/fit/{uuid:uuid}", response={202: QuestionOut}, auth=OPERATE)
def ask_fit(request: HttpRequest, uuid: UUID) -> Status[Question]:
    return Status(202, services.ask_fit(request.user, workload_found(uuid)))


@router.post("/lose", response={202: QuestionOut}, auth=OPERATE)
def ask_lose(request: HttpRequest, site: int, failures: int = 1) -> Status[Question]:
    return Status(202, services.ask_lose(request.user, site_found(site), failures))


@router.post("/retire", response={202: QuestionOut}, auth=OPERATE)
def ask_retire(request: HttpRequest, site: int) -> Status[Question]:
    return Status(202, services.ask_retire(request.user, site_found(site)))


@router.post("/sizes", response={202: QuestionOut}, auth=OPERATE)
def ask_sizes(request: HttpRequest, site: int) -> Status[Question]:
    return Status(202, services.ask_sizes(request.user, site_found(site)))


@router.post("/backtest", response={202: QuestionOut}, auth=OPERATE)
def ask_backtest(request: HttpRequest, site: int, days: int = 7, demand_by: str = "") -> Status[Question]:
    return Status(202, services.ask_backtest(request.user, site_found(site), days, demand_by))


@router.post("/what-if", response={202: QuestionOut}, auth=OPERATE)
def ask_what_if(request: HttpRequest, payload: WhatIfIn) -> Status[Question]:
    question = services.ask_what_if(
        request.user,
        site_found(payload.site),
        add_hosts=payload.add_hosts,
        like_host=host_found(payload.like_host) if payload.like_host else None,
        remove_hosts=[host_found(uuid) for uuid in payload.remove_hosts],
        add_workloads=payload.add_workloads,
        like_workload=workload_found(payload.like_workload) if payload.like_workload else None,
    )
    return Status(202, question)
