"""Pages of plans: ask, review, approve, watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from datacenter import queries
from datacenter.forms import PlanTextForm
from datacenter.models import Plan
from datacenter.services import plan_text
from datacenter.services import plans as services
from datacenter.services.undoing import plan_undo, why_not_undone
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import NotFound, StowageError
from hosts.forms import add_error
from hosts.models import Host, Site
from hosts.regions import render_page

PAGE_ROWS = 30
OTHERS = 20  # plans that one can be compared with


@page("view")
def plan_list(request: HttpRequest) -> HttpResponse:
    rows = Plan.objects.select_related("site", "approved_by").defer(*queries.KEEPS_FROM_LISTS)
    context = {
        "page": Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page")),
        "sites": [(site, [ask_button(request, site)]) for site in Site.objects.all()],
    }
    return render_page(request, "datacenter/plans.html", "datacenter/_plans.html", context)


def ask_button(request: HttpRequest, site: Site) -> Button:
    refused = None if may(request.user, "operate", site) else NOT_AN_OPERATOR
    hidden = (("site", str(site.pk)),)
    url = reverse("plan-request")
    return Button(f"ask-{site.pk}", "Ask for a plan", url, refused, "btn-primary", "plan", hidden=hidden)


@page("view")
def plan_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    plan = get_object_or_404(Plan.objects.select_related("site", "approved_by"), pk=uuid)
    context = {
        "plan": plan,
        "review": queries.review_of(plan),
        "progress": queries.plan_progress(plan),
        "buttons": plan_buttons(request, plan),
        "others": Plan.objects.filter(site=plan.site).exclude(pk=plan.pk).defer(*queries.KEEPS_FROM_LISTS)[:OTHERS],
        "may_operate": may(request.user, "operate", plan),
    }
    return render_page(request, "datacenter/plan.html", "datacenter/_plan.html", context)


def plan_buttons(request: HttpRequest, plan: Plan) -> list[Button]:
    """Approve and reject a proposal, stop one that runs; nothing once it has ended."""
    refused = None if may(request.user, "operate", plan) else NOT_AN_OPERATOR
    approve_ask = (
        "The moves begin at once, each checked again just before it starts; emptied hosts are switched off. "
        "Any failed move stops the plan."
    )
    stop_ask = "No further move begins. What is under way goes on to its end, so that nothing is left half done."
    drawn = {
        Plan.State.PLANNING: [
            ("reject", "Put it aside", "", "close", ""),
            ("settle", "Take the best so far", "", "check", ""),
        ],
        Plan.State.PROPOSED: [("reject", "Put it aside", "", "close", "")]
        if plan.is_empty
        else [
            ("reject", "Reject", "", "close", ""),
            ("approve", "Approve and carry out", "btn-primary", "check", approve_ask),
        ],
        Plan.State.RUNNING: [
            ("pause", "Pause", "", "pause", "")
            if plan.paused_at is None
            else ("resume", "Go on", "btn-primary", "play", ""),
            ("stop", "Stop the plan", "btn-outline-danger", "stop", stop_ask),
        ],
    }
    if plan.state in (Plan.State.DONE, Plan.State.STOPPED):
        url = reverse("plan-undo", args=[plan.pk])
        ask = "A plan is made that brings back what it moved. Nothing moves before you approve it."
        undo = Button("undo", "Undo it", url, refused or why_not_undone(plan), "", "restart", ask)
        return [_again(plan, refused), undo]
    theirs = {"approve": refused or services.why_not_approved_by(request.user, plan)}
    buttons = [
        Button(verb, label, reverse(f"plan-{verb}", args=[plan.pk]), theirs.get(verb, refused), style, icon_name, ask)
        for verb, label, style, icon_name, ask in drawn.get(Plan.State(plan.state), [])
    ]
    return buttons if plan.state in (Plan.State.PLANNING, Plan.State.RUNNING) else [_again(plan, refused), *buttons]


def _again(plan: Plan, refused: str | None) -> Button:
    """Asks the same question of the data center as it is now."""
    if undone := plan.document.get("undo"):
        return Button("again", "Ask again", reverse("plan-undo", args=[undone]), refused, "", "plan")
    if host := plan.document.get("evacuate"):
        return Button("again", "Ask again", reverse("host-drain", args=[host]), refused, "", "plan")
    url, hidden = reverse("plan-request"), (("site", str(plan.site_id)),)
    return Button("again", "Ask again", url, refused, "", "plan", hidden=hidden)


@action("operate")
def plan_request(request: HttpRequest) -> HttpResponse:
    text = request.POST.get("site", "")
    site = Site.objects.filter(pk=int(text)).first() if text.isdigit() and len(text) < 10 else None
    if site is None:
        raise NotFound("There is no such site. Choose one on the page of plans.")
    return _ask(request, site, None)


@action("operate")
def host_drain(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host.objects.select_related("rack__site"), pk=uuid)
    return _ask(request, host.rack.site, host)


def _ask(request: HttpRequest, site: Site, evacuate: Host | None) -> HttpResponse:
    plan = done_or_said(request, lambda: services.plan_request(request.user, site, evacuate=evacuate))
    if plan is not None:
        return redirect("plan", uuid=plan.pk)
    return redirect("host", uuid=evacuate.pk) if evacuate else redirect("plans")


def _decide(verb: Callable[[Any, Plan], object], success: str) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, uuid: UUID) -> HttpResponse:
        plan = get_object_or_404(Plan, pk=uuid)
        done_or_said(request, lambda: verb(request.user, plan), success)
        return redirect("plan", uuid=plan.pk)

    return action("operate")(view)


plan_approve = _decide(services.plan_approve, "The plan is being carried out.")
plan_reject = _decide(services.plan_reject, "The plan is put aside.")
plan_settle = _decide(services.plan_settle, "The search ends; the best so far is shown as soon as it is checked.")
plan_stop = _decide(services.plan_stop, "No further move begins.")
plan_pause = _decide(services.plan_pause, "The plan is paused. What is under way goes on to its end.")
plan_resume = _decide(services.plan_resume, "The plan goes on.")


@action("operate")
def plan_undone(request: HttpRequest, uuid: UUID) -> HttpResponse:
    plan = get_object_or_404(Plan.objects.select_related("site"), pk=uuid)
    made = done_or_said(request, lambda: plan_undo(request.user, plan))
    return redirect("plan", uuid=made.pk if made else plan.pk)


@form_page("operate")
def plan_import(request: HttpRequest) -> HttpResponse:
    form = PlanTextForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = plan_text.plan_import(request.user, form.cleaned_data["text"])
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("plan", uuid=made.pk)
    return render(request, "datacenter/plan_import.html", {"form": form}, status=422 if form.errors else 200)


@page("view")
def plan_compare(request: HttpRequest, uuid: UUID) -> HttpResponse:
    first = get_object_or_404(Plan.objects.select_related("site"), pk=uuid)
    try:
        second = Plan.objects.select_related("site").filter(pk=UUID(request.GET.get("with", ""))).first()
    except ValueError:
        second = None
    differences = plan_text.plans_compared(first, second) if second else []
    context = {"first": first, "second": second, "differences": differences}
    return render(request, "datacenter/plan_compare.html", context)
