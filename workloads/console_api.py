"""Consoles over HTTP: tickets, what is open, and the logs that people asked for. The consoles are a websocket."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest
from ninja import Query, Router, Status

from hosts.api import OPERATE, PAGE_MOST, VIEW
from hosts.errors import NotFound
from hosts.rights import Right
from workloads import queries, services
from workloads.models import Console, ConsoleLog
from workloads.schemas import ConsoleLogOut, ConsoleOut, TicketIn, TicketOut
from workloads.services import console_logs
from workloads.services.consoles import TICKET_S

router = Router(tags=["consoles"])
ADMINISTER = Right("administer")


# Viewers too may ask: for a screen or a line to look at. The service knows what each kind needs.
@router.post("/tickets", response={201: TicketOut}, auth=VIEW)
def ticket_issue(request: HttpRequest, payload: TicketIn) -> Status[dict[str, Any]]:
    """A ticket for one console, good for one use by this login within 30 seconds."""
    secret = services.ticket_issue(
        request.user,
        request.session.session_key,
        kind=payload.kind,
        thing=payload.thing,
        view_only=payload.view_only,
        command=payload.command,
    )
    return Status(201, {"ticket": secret, "expires_s": TICKET_S})


@router.get("", response=list[ConsoleOut], auth=OPERATE)
def console_list(request: HttpRequest, thing: UUID | None = None) -> QuerySet[Console]:
    """The consoles that are open now."""
    return queries.consoles_open(thing)[:PAGE_MOST]


@router.post("/{uuid:uuid}/end", response={204: None}, auth=ADMINISTER)
def console_end(request: HttpRequest, uuid: UUID) -> Status[None]:
    """Ends somebody's console within a second."""
    console = Console.objects.select_related("user").filter(pk=uuid).first()
    if console is None:
        raise NotFound("There is no such console.")
    services.console_end(request.user, console)
    return Status(204, None)


@router.get("/logs", response=list[ConsoleLogOut], auth=OPERATE)
def log_list(
    request: HttpRequest, thing: UUID | None = None, limit: int = Query(50, ge=1, le=PAGE_MOST)
) -> QuerySet[ConsoleLog]:
    return queries.console_logs(thing)[:limit]


@router.get("/logs/{uuid:uuid}", auth=OPERATE)
def log_download(request: HttpRequest, uuid: UUID) -> FileResponse:
    """The bytes as the line said them, escapes and all: as a file, never as a page."""
    row, path = console_logs.log_found(request.user, uuid)
    name = f"{row.thing_name}-{row.began_at:%Y%m%d-%H%M%S}.log"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/octet-stream")


@router.delete("/logs/{uuid:uuid}", response={204: None}, auth=OPERATE)
def log_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    console_logs.log_remove(request.user, uuid)
    return Status(204, None)
