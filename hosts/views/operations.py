"""Pages of operations and of the audit log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts import chronicle, queries, services
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, must_have_typed, page
from hosts.models import Operation
from hosts.operations.intervene import why_not_cancel
from hosts.regions import render_page, text_asked

PAGE_ROWS = 50


@page("view")
def operation_list(request: HttpRequest) -> HttpResponse:
    state = text_asked(request, "state")
    text = text_asked(request, "q")
    rows = chronicle.operations_listed(state, text)
    context = {
        "page": Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page")),
        "state": state,
        "text": text,
        "states": [("open", "under way"), *Operation.State.choices],
    }
    return render_page(request, "hosts/operations.html", "hosts/_operations.html", context)


@page("view")
def operation_count(request: HttpRequest) -> HttpResponse:
    """The figure beside "Operations" in the navigation."""
    return render(request, "hosts/_operation_count.html", {"open_count": queries.operations_open().count()})


@page("view")
def operation_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    operation = get_object_or_404(Operation.objects.select_related("host", "target_host"), pk=uuid)
    return render_page(request, "hosts/operation.html", "hosts/_operation.html", operation_context(request, operation))


def operation_context(request: HttpRequest, operation: Operation) -> dict[str, Any]:
    steps = chronicle.journal_of(operation)
    return {
        "operation": operation,
        "steps": steps,
        "progress": chronicle.progress_said(operation, steps),
        "layers": chronicle.layers_of(operation),
        "subject_remains": chronicle.subject_remains(operation),
        "is_open": operation.state in queries.OPEN_STATES,
        "buttons": operation_buttons(request, operation),
        "figures": queries.figures_of(operation),
        "move_now": queries.move_now(operation),
    }


def operation_buttons(request: HttpRequest, operation: Operation) -> list[Button]:
    """Cancel while it runs; try again or close when it needs attention; nothing once it has ended."""
    if operation.state not in queries.OPEN_STATES:
        return []
    is_operator = may(request.user, "operate", operation)
    refused = None if is_operator else NOT_AN_OPERATOR
    if operation.state != Operation.State.STUCK:
        ask = "What was done so far is taken back, at the next safe point."
        url = reverse("operation-cancel", args=[operation.pk])
        reason = refused or why_not_cancel(operation)
        return [Button("cancel", "Cancel", url, reason, "btn-outline-danger", "close", ask)]
    close_refused = (
        None if may(request.user, "administer", operation) else "Only administrators may close it as it stands."
    )
    ask = "Stowage forgets what is left to do or undo. Look at the hosts yourself before you say that all is well."
    return [
        Button(
            "retry", "Try again", reverse("operation-retry", args=[operation.pk]), refused, "btn-primary", "operation"
        ),
        Button(
            "close",
            "Close as it stands",
            reverse("operation-close", args=[operation.pk]),
            close_refused,
            "btn-outline-danger",
            "close",
            ask,
            operation.subject_name,
        ),
    ]


@action("operate")
def operation_cancel(request: HttpRequest, uuid: UUID) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=uuid)
    done_or_said(request, lambda: services.operation_cancel(request.user, operation), "It will be cancelled.")
    return redirect("operation", uuid=operation.pk)


@action("operate")
def operation_retry(request: HttpRequest, uuid: UUID) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=uuid)
    done_or_said(
        request, lambda: services.operation_retry(request.user, operation), "It goes on from where it stopped."
    )
    return redirect("operation", uuid=operation.pk)


@action("administer")
def operation_close(request: HttpRequest, uuid: UUID) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=uuid)

    def act() -> None:
        must_have_typed(request, operation.subject_name)
        services.operation_close(request.user, operation)

    done_or_said(request, act, "It is closed as it stands.")
    return redirect("operation", uuid=operation.pk)


@page("administer")
def audit_list(request: HttpRequest) -> HttpResponse:
    text = text_asked(request, "q", 100)
    page_of_records = Paginator(chronicle.audit_records(text), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {"page": page_of_records, "rows": chronicle.audit_details(page_of_records), "text": text}
    return render_page(request, "hosts/audit.html", "hosts/_audit.html", context)
