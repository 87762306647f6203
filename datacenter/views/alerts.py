"""Pages of alerts and silences."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from datacenter.alert_forms import SILENCES_H, AlertSilenceForm, SilenceForm
from datacenter.alerts import lists
from datacenter.models import Alert, AlertRule, Silence
from datacenter.services import alert_acts
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.models import Site
from hosts.regions import render_page, text_asked

PAGE_ROWS = 50


@page("view")
def alert_list(request: HttpRequest) -> HttpResponse:
    wanted = lists.AlertFilter(
        state=text_asked(request, "state"),
        severity=text_asked(request, "severity"),
        site=text_asked(request, "site"),
        text=text_asked(request, "q"),
    )
    rows = Paginator(lists.alerts_listed(wanted), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "page": rows,
        "rows": [(alert, lists.thing_url(alert), acknowledge_buttons(request, alert)) for alert in rows],
        "wanted": wanted,
        "states": [(key, label) for key, (label, _) in lists.STATES.items()],
        "severities": AlertRule.Severity.choices,
        "sites": Site.objects.values_list("name", flat=True),
        "silences_h": SILENCES_H,
        "may_operate": may(request.user, "operate"),
        "blind": _blind(),
        **tabs(request),
    }
    return render_page(request, "datacenter/alerts.html", "datacenter/_alerts.html", context)


def tabs(request: HttpRequest) -> dict[str, Any]:
    """The pages around alerts that the user may open."""
    return {"may_administer": may(request.user, "administer")}


def _blind() -> Alert | None:
    """The alert that alerting is blind, while it lasts."""
    return Alert.objects.filter(rule__event=AlertRule.Event.ALERTING_BLIND, state__in=lists.OPEN).first()


def acknowledge_buttons(request: HttpRequest, alert: Alert) -> list[Button]:
    """None for an alert that is over or acknowledged."""
    if alert.state == Alert.State.RESOLVED or alert.acknowledged_at:
        return []
    reason = alert_acts.why_not_acknowledge(alert) if may(request.user, "operate", alert) else NOT_AN_OPERATOR
    url = reverse("alert-acknowledge", args=[alert.pk])
    return [Button(f"acknowledge-{alert.pk}", "Acknowledge", url, reason, "btn-sm")]


@page("view")
def alert_count(request: HttpRequest) -> HttpResponse:
    """The figure beside "Alerts" in the navigation."""
    return render(request, "datacenter/_alert_count.html", {"alert_count": lists.alerts_firing().count()})


@page("view")
def alert_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    alert = get_object_or_404(Alert.objects.select_related("site", "host", "rule"), pk=uuid)
    context = {
        "alert": alert,
        "url": lists.thing_url(alert),
        "acknowledge": acknowledge_buttons(request, alert),
        "notices": alert.notices.select_related("channel"),
        "others": _same(alert)[:20],
        "silences_h": SILENCES_H,
        "may_operate": may(request.user, "operate", alert),
    }
    return render_page(request, "datacenter/alert.html", "datacenter/_alert.html", context)


def _same(alert: Alert) -> QuerySet[Alert]:
    """Other alerts of the same rule and thing: whether it comes again and again."""
    rows = Alert.objects.filter(rule_name=alert.rule_name, thing_kind=alert.thing_kind, thing_id=alert.thing_id)
    return rows.exclude(pk=alert.pk).order_by("-since")


@action("operate")
def alert_acknowledge(request: HttpRequest, uuid: UUID) -> HttpResponse:
    alert = get_object_or_404(Alert, pk=uuid)
    said = f"Acknowledged: {alert.thing_name}. No reminders of it are sent."
    done_or_said(request, lambda: alert_acts.alert_acknowledge(request.user, alert), said)
    return redirect("alerts")


@action("operate")
def alert_silence(request: HttpRequest, uuid: UUID) -> HttpResponse:
    alert = get_object_or_404(Alert.objects.select_related("rule"), pk=uuid)
    form = AlertSilenceForm(request.POST)
    if form.is_valid():
        said = f"{alert.thing_name} is kept quiet for {dict(SILENCES_H)[form.cleaned_data['hours']]}."
        done_or_said(request, lambda: alert_acts.alert_silence(request.user, alert, **form.cleaned_data), said)
    else:
        messages.error(request, "Choose for how long, and say why. Nothing was changed.")
    return redirect("alerts")


@page("view")
def silence_list(request: HttpRequest) -> HttpResponse:
    return _silences(request, SilenceForm(), 200)


@action("operate")
def silence_new(request: HttpRequest) -> HttpResponse:
    form = SilenceForm(request.POST)
    if form.is_valid():
        try:
            alert_acts.silence_create(request.user, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            messages.success(request, "It is quiet. What fires is recorded, and told when the silence ends.")
            return redirect("silences")
    return _silences(request, form, 422)


def _silences(request: HttpRequest, form: SilenceForm, status: int) -> HttpResponse:
    now = timezone.now()
    rows = Paginator(Silence.objects.select_related("site", "host", "rule"), PAGE_ROWS).get_page(
        request.GET.get("page")
    )
    is_operator = may(request.user, "operate")
    context = {
        "page": rows,
        "rows": [(row, alert_acts.silence_said(row), row.until > now) for row in rows],
        "form": form,
        "may_operate": is_operator,
        **tabs(request),
    }
    return render_page(request, "datacenter/silences.html", "datacenter/_silences.html", context, status)


@action("operate")
def silence_end(request: HttpRequest, uuid: UUID) -> HttpResponse:
    silence = get_object_or_404(Silence.objects.select_related("site", "host", "rule"), pk=uuid)
    done_or_said(request, lambda: alert_acts.silence_end(request.user, silence), "The silence has ended.")
    return redirect("silences")
