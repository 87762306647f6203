"""The API's routes of histories: the lines of a chart as JSON, or as CSV to take away."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from ninja import Query, Router, Schema

from datacenter.metrics.history import Thing, history, wanted_of
from datacenter.metrics.history_csv import csv_of, pieces_of
from datacenter.metrics.spans import Span, span_of
from datacenter.metrics.topics import TOPICS
from datacenter.questions_api import site_found
from datacenter.schemas import HistoryOut
from hosts.api import VIEW, host_found
from hosts.errors import DriverError, Invalid, NotFound
from workloads.api import workload_found

router = Router(tags=["history"])
COMPARED_MOST = 6

Topic = Literal["cpu", "memory", "disk", "network", "pressure", "load", "temperature", "power", "space", "hosts"]


class RangeIn(Schema):
    """Which range, and for how wide a chart.

    `start` and `end` in epoch seconds; without them the last `hours`. `compare` names other hosts and workloads,
    "host:<uuid>" or "workload:<uuid>".
    """

    hours: float = Query(1, gt=0, le=24 * 400, allow_inf_nan=False)
    start: float | None = Query(None, allow_inf_nan=False)
    end: float | None = Query(None, allow_inf_nan=False)
    pixels: int = Query(800, ge=100, le=4000)
    compare: list[str] = Query([], max_length=COMPARED_MOST)


@dataclass(frozen=True)
class Asked:
    """A chart that is asked for: what of, and over what range."""

    things: tuple[Thing, ...]
    span: Span


def host_thing(uuid: UUID) -> Thing:
    host = host_found(uuid)
    return Thing("host", str(host.pk), host.name)


def workload_thing(uuid: UUID) -> Thing:
    workload = workload_found(uuid)
    return Thing("workload", str(workload.pk), workload.name)


def site_thing(site_id: int) -> Thing:
    site = site_found(site_id)
    return Thing("site", site.name, site.name)


def thing_named(source: str) -> Thing:
    """The host or workload of "host:<uuid>" or "workload:<uuid>". Raises Invalid or NotFound."""
    kind, _, id_ = source.partition(":")
    try:
        uuid = UUID(id_)
    except ValueError:
        raise Invalid('Name what to compare with as "host:<uuid>" or "workload:<uuid>".', field="compare") from None
    if kind not in ("host", "workload"):
        raise Invalid('Name what to compare with as "host:<uuid>" or "workload:<uuid>".', field="compare")
    return host_thing(uuid) if kind == "host" else workload_thing(uuid)


def _asked(thing: Thing, wanted: RangeIn, topic: Topic) -> Asked:
    if topic not in TOPICS[thing.kind]:
        raise NotFound(f"There is no such chart of a {thing.kind}.")
    now = time.time()
    end = now if wanted.end is None else wanted.end
    start = end - wanted.hours * 3600 if wanted.start is None else wanted.start
    things = (thing, *(thing_named(source) for source in wanted.compare))
    several = len(things) > 1 or thing.kind == "site"
    return Asked(things, span_of(start, end, now, wanted.pixels, coarsest=several))


def _lines(asked: Asked, topic: Topic) -> dict[str, Any]:
    """The lines; where the store fails, none and its sentence: a chart is never worth an error page."""
    said = {"start": asked.span.start, "end": asked.span.end, "step_s": asked.span.step_s}
    try:
        found = history(wanted_of(topic, asked.things), asked.span)
    except DriverError as error:
        return {"times": [], "series": [], "sentence": error.message, **said}
    return {"times": found.times, "series": [asdict(line) for line in found.lines], **said}


def _csv(asked: Asked, topic: Topic) -> HttpResponseBase:
    """The same lines as a file. The first piece is read before the answer begins, so a store that is away is a 502."""
    wanted = wanted_of(topic, asked.things)
    first, *rest = pieces_of(asked.span)
    response = StreamingHttpResponse(csv_of(wanted, history(wanted, first), rest), content_type="text/csv")
    name = "".join(
        letter for letter in asked.things[0].name if letter.isascii() and (letter.isalnum() or letter in "-.")
    )
    response["Content-Disposition"] = f'attachment; filename="{name or asked.things[0].kind}-{topic}.csv"'
    response["Cache-Control"] = "no-store"
    return response


@router.get("/host/{uuid:uuid}/{topic}", response=HistoryOut, auth=VIEW)
def host_history(request: HttpRequest, uuid: UUID, topic: Topic, wanted: Query[RangeIn]) -> dict[str, Any]:
    return _lines(_asked(host_thing(uuid), wanted, topic), topic)


@router.get("/workload/{uuid:uuid}/{topic}", response=HistoryOut, auth=VIEW)
def workload_history(request: HttpRequest, uuid: UUID, topic: Topic, wanted: Query[RangeIn]) -> dict[str, Any]:
    return _lines(_asked(workload_thing(uuid), wanted, topic), topic)


@router.get("/site/{int:site_id}/{topic}", response=HistoryOut, auth=VIEW)
def site_history(request: HttpRequest, site_id: int, topic: Topic, wanted: Query[RangeIn]) -> dict[str, Any]:
    return _lines(_asked(site_thing(site_id), wanted, topic), topic)


@router.get("/host/{uuid:uuid}/{topic}/csv", auth=VIEW)
def host_history_csv(request: HttpRequest, uuid: UUID, topic: Topic, wanted: Query[RangeIn]) -> HttpResponseBase:
    return _csv(_asked(host_thing(uuid), wanted, topic), topic)


@router.get("/workload/{uuid:uuid}/{topic}/csv", auth=VIEW)
def workload_history_csv(request: HttpRequest, uuid: UUID, topic: Topic, wanted: Query[RangeIn]) -> HttpResponseBase:
    return _csv(_asked(workload_thing(uuid), wanted, topic), topic)


@router.get("/site/{int:site_id}/{topic}/csv", auth=VIEW)
def site_history_csv(request: HttpRequest, site_id: int, topic: Topic, wanted: Query[RangeIn]) -> HttpResponseBase:
    return _csv(_asked(site_thing(site_id), wanted, topic), topic)
