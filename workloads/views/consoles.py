"""Pages of consoles: the browser opens the line itself, by a ticket (`static/js/lib/console-channel.js`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Link
from hosts.doors import action, done_or_said, page
from workloads import services
from workloads.models import Console, ConsoleLog, Workload
from workloads.services import console_logs
from workloads.states import why_not


@dataclass(frozen=True)
class ConsolePage:
    """A kind of console as pages name it; `is_watched`: whether somebody may look on who may not type."""

    kind: str
    label: str
    of: str
    is_watched: bool
    icon_name: str


PAGES = {
    page.kind: page
    for page in (
        ConsolePage("vnc", "Screen", Workload.Kind.VM, True, "screen"),
        ConsolePage("serial", "Serial line", Workload.Kind.VM, True, "terminal"),
        ConsolePage("exec", "Shell", Workload.Kind.CONTAINER, False, "terminal"),
        ConsolePage("log", "Log", Workload.Kind.CONTAINER, True, "log"),
        ConsolePage("top", "Processes", Workload.Kind.CONTAINER, True, "operation"),
        ConsolePage("diff", "File changes", Workload.Kind.CONTAINER, True, "edit"),
        ConsolePage("attach", "Attach", Workload.Kind.CONTAINER, False, "plug"),
    )
}
LOOKS = ("log", "top", "diff")  # nobody types into these
WATCHED = [kind for kind, console in PAGES.items() if console.is_watched]
OPERATED = [kind for kind, console in PAGES.items() if not console.is_watched]


def console_links(request: HttpRequest, workload: Workload) -> list[Link]:
    """The consoles that a workload of its kind has; one that cannot be opened now says why."""
    return [_link(request, workload, console) for console in PAGES.values() if console.of == workload.kind]


def look_links(links: list[Link]) -> tuple[list[Link], list[Link]]:
    """Those that open a console, and those that only show what is so now."""
    looks = [link for link in links if link.key in ("console-top", "console-diff")]
    return [link for link in links if link not in looks], looks


def _link(request: HttpRequest, workload: Workload, console: ConsolePage) -> Link:
    name = "workload-console" if console.is_watched else "workload-program"
    url = reverse(name, args=[workload.pk, console.kind])
    may_open = console.is_watched or may(request.user, "operate", workload)
    refused = why_not(workload, console.kind) if may_open else NOT_AN_OPERATOR
    return Link(f"console-{console.kind}", console.label, url, refused, console.icon_name)


@page("view")
def workload_console(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponse:
    """A VM's screen or serial line, a container's log; who may not operate only looks on, and at a log everybody."""
    return _console(request, uuid, PAGES[kind], is_view_only=kind in LOOKS or not may(request.user, "operate"))


@page("operate")
def workload_program(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponse:
    """A shell in a container, or its own process's terminal."""
    return _console(request, uuid, PAGES[kind], is_view_only=False)


def _console(request: HttpRequest, uuid: UUID, console: ConsolePage, *, is_view_only: bool) -> HttpResponse:
    workload = get_object_or_404(Workload.objects.select_related("host"), pk=uuid)
    if console.of != workload.kind:
        raise Http404
    context: dict[str, Any] = {
        "workload": workload,
        "console": console,
        "label": f"{console.label} of {workload.name}",
        "is_view_only": is_view_only,
        "others": [link for link in console_links(request, workload) if link.key != f"console-{console.kind}"],
    }
    return render(request, "workloads/console.html", context)


@action("administer")
def console_end(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Ends somebody's console."""
    console = get_object_or_404(Console.objects.select_related("user"), pk=uuid)
    success = f"The console of {console.user.get_username()} was ended."
    done_or_said(request, lambda: services.console_end(request.user, console), success)
    return redirect("host" if console.kind == Console.Kind.SHELL else "workload", uuid=console.thing_id)


@action("operate")
def console_log_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    log = get_object_or_404(ConsoleLog, pk=uuid)
    done_or_said(request, lambda: console_logs.log_remove(request.user, uuid), "The log was removed.")
    return redirect("workload", uuid=log.thing_id)
