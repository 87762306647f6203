"""One verb on the workloads that were marked in the list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from hosts.doors import action
from hosts.errors import StowageError
from hosts.once import FIELD, key_of, token_new
from workloads import services
from workloads.models import Workload

LABELS = {
    "start": "Start",
    "stop": "Stop",
    "restart": "Restart",
    "pause": "Pause",
    "resume": "Resume",
    "save": "Save to disk (VMs)",
    "back_up": "Back up (VMs)",
    "force_stop": "Force off",
    "delete": "Delete",
}
# What loses something is asked about first.
ASKED = {
    "force_stop": "Each is cut off at once, as if its power failed. Unsaved data in it is lost.",
    "delete": "Each is removed from its host, with the disks that Stowage made. There is no way back.",
}


@action("operate")
def workloads_bulk(request: HttpRequest) -> HttpResponse:
    """Begins the verb on all that were marked and tells what came of it for each; asks first where it loses data."""
    verb = request.POST.get("verb", "")
    workloads = _marked(request.POST.getlist("workload"))
    said = LABELS.get(verb, verb[:20]).removesuffix(" (VMs)").lower()
    context: dict[str, Any] = {"verb": verb, "said": said, "count": len(workloads), "workloads": workloads}
    if verb in ASKED and workloads and request.POST.get("typed") != said:
        context |= {"ask": ASKED[verb], "typed": said, "once_token": request.POST.get(FIELD) or token_new()}
        return render(request, "workloads/bulk.html", context)
    try:
        members = services.workloads_bulk(request.user, verb, workloads, idempotency_key=key_of(request))
    except StowageError as error:
        messages.error(request, error.message)
        return redirect("workloads")
    begun = sum(member.operation is not None for member in members)
    context |= {"members": members, "begun": begun, "refused": len(members) - begun}
    return render(request, "workloads/bulk.html", context)


def _marked(texts: list[str]) -> list[Workload]:
    """The workloads that are still there, by name."""
    wanted = set()
    for text in texts[: services.bulk.MEMBERS_MOST + 1]:
        try:
            wanted.add(UUID(text))
        except ValueError:
            continue
    return list(Workload.objects.filter(pk__in=wanted).select_related("host").order_by("name"))
