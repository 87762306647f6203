"""Pages of rules and channels. Everybody may read the rules; administrators change them, and see the channels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from datacenter.alert_forms import CHANNEL_FORMS, ChannelForm, RuleForm
from datacenter.alerts import lists
from datacenter.models import AlertRule, NotificationChannel
from datacenter.services import alert_rules as rules
from datacenter.services import channels
from datacenter.views.alerts import tabs
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.regions import render_page

Kind = NotificationChannel.Kind
RULE_ASK = "Its alerts end; those that ended stay in the history."
CHANNEL_ASK = "What waits to be sent there is dropped. Rules that tell only it then tell nobody."


def _remove(address: str, thing: AlertRule | NotificationChannel, ask: str) -> Button:
    url = reverse(address, args=[thing.pk])
    return Button(f"remove-{thing.pk}", "Remove", url, None, "btn-sm btn-outline-danger", ask=ask)


@page("view")
def rule_list(request: HttpRequest) -> HttpResponse:
    context = {
        "rows": [(row, [_remove("alert-rule-delete", row.rule, RULE_ASK)]) for row in lists.rule_rows()],
        "has_channels": NotificationChannel.objects.exists(),
        **tabs(request),
    }
    return render_page(request, "datacenter/alert_rules.html", "datacenter/_alert_rules.html", context)


@form_page("administer")
def rule_new(request: HttpRequest) -> HttpResponse:
    form = RuleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            values, chosen = form.values()
            rule = rules.rule_create(request.user, values, chosen)
        except StowageError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{rule.name} is looked at from now on.")
            return redirect("alert-rules")
    return _rule_form(request, form, None)


@form_page("administer")
def rule_edit(request: HttpRequest, uuid: UUID) -> HttpResponse:
    rule = get_object_or_404(AlertRule, pk=uuid)
    form = RuleForm.of(rule, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            values, chosen = form.values()
            rules.rule_edit(request.user, rule, values, chosen)
        except StowageError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{values.name} is changed.")
            return redirect("alert-rules")
    return _rule_form(request, form, rule)


def _rule_form(request: HttpRequest, form: RuleForm, rule: AlertRule | None) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "rule": rule, "channels": NotificationChannel.objects.exists()}
    return render(request, "datacenter/alert_rule.html", context, status=422 if form.errors else 200)


@action("administer")
def rule_enable(request: HttpRequest, uuid: UUID) -> HttpResponse:
    rule, on = get_object_or_404(AlertRule, pk=uuid), request.POST.get("on") == "1"
    said = f"{rule.name} is switched {'on' if on else 'off'}."
    done_or_said(request, lambda: rules.rule_enable(request.user, rule, on=on), said)
    return redirect("alert-rules")


@action("administer")
def rule_delete(request: HttpRequest, uuid: UUID) -> HttpResponse:
    rule = get_object_or_404(AlertRule, pk=uuid)
    done_or_said(request, lambda: rules.rule_delete(request.user, rule), f"{rule.name} is removed.")
    return redirect("alert-rules")


@page("administer")
def channel_list(request: HttpRequest) -> HttpResponse:
    context = {
        "rows": [
            (channel, [_remove("channel-delete", channel, CHANNEL_ASK)])
            for channel in NotificationChannel.objects.prefetch_related("rules")
        ],
        "kinds": Kind.choices,
        **tabs(request),
    }
    return render_page(request, "datacenter/channels.html", "datacenter/_channels.html", context)


@form_page("administer")
def channel_new(request: HttpRequest) -> HttpResponse:
    """The form of the kind that the address asks for (`?kind=ntfy`)."""
    asked = request.GET.get("kind", "")
    kind = Kind(asked) if asked in Kind.values else Kind.MAIL
    form = CHANNEL_FORMS[kind](request.POST or None)
    if request.method == "POST" and form.is_valid():
        name, is_enabled = form.cleaned_data["name"], form.cleaned_data["is_enabled"]
        try:
            channels.channel_create(
                request.user, name=name, kind=kind, fields=form.address_fields(), is_enabled=is_enabled
            )
        except StowageError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{name} is there. Send a test, then choose it in a rule.")
            return redirect("channels")
    return _channel_form(request, form, kind, None)


@form_page("administer")
def channel_edit(request: HttpRequest, uuid: UUID) -> HttpResponse:
    channel = get_object_or_404(NotificationChannel, pk=uuid)
    initial = {"name": channel.name, "is_enabled": channel.is_enabled}
    form = CHANNEL_FORMS[channel.kind](request.POST or None, initial=initial, is_edit=True)
    if request.method == "POST" and form.is_valid():
        fields = form.address_fields() if form.has_address() else None
        name, is_enabled = form.cleaned_data["name"], form.cleaned_data["is_enabled"]
        try:
            channels.channel_edit(request.user, channel, name=name, fields=fields, is_enabled=is_enabled)
        except StowageError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{name} is changed.")
            return redirect("channels")
    return _channel_form(request, form, Kind(channel.kind), channel)


def _channel_form(
    request: HttpRequest, form: ChannelForm, kind: NotificationChannel.Kind, channel: NotificationChannel | None
) -> HttpResponse:
    context = {"form": form, "kind": kind, "kinds": Kind.choices, "channel": channel}
    return render(request, "datacenter/channel.html", context, status=422 if form.errors else 200)


@action("administer")
def channel_test(request: HttpRequest, uuid: UUID) -> HttpResponse:
    channel = get_object_or_404(NotificationChannel, pk=uuid)
    said = f"A test is on its way to {channel.name}. How it went shows here in a moment."
    done_or_said(request, lambda: channels.channel_test(request.user, channel), said)
    return redirect("channels")


@action("administer")
def channel_delete(request: HttpRequest, uuid: UUID) -> HttpResponse:
    channel = get_object_or_404(NotificationChannel, pk=uuid)
    done_or_said(request, lambda: channels.channel_delete(request.user, channel), f"{channel.name} is removed.")
    return redirect("channels")
