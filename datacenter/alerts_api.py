"""The API's routes of alerts, rules, silences and channels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from datacenter.alert_schemas import (
    AlertDetailOut,
    AlertOut,
    AlertPage,
    ChannelIn,
    ChannelOut,
    ChannelPatch,
    MetricOut,
    RuleIn,
    RuleOut,
    RulePatch,
    SilenceAlertIn,
    SilenceIn,
    SilenceOut,
)
from datacenter.alerts import lists
from datacenter.alerts.measures import measures
from datacenter.models import Alert, AlertRule, NotificationChannel, Silence
from datacenter.questions_api import site_found
from datacenter.services import alert_acts, channels
from datacenter.services import alert_rules as rule_services
from hosts.api import ADMINISTER, OPERATE, VIEW, host_found
from hosts.errors import NotFound
from workloads.api import workload_found

alerts = Router(tags=["alerts"])
rules = Router(tags=["alert rules"])
silences = Router(tags=["silences"])
notice_channels = Router(tags=["channels"])


def alert_found(uuid: UUID) -> Alert:
    alert = Alert.objects.select_related("site", "host", "rule").filter(pk=uuid).first()
    if alert is None:
        raise NotFound("There is no such alert.")
    return alert


def rule_found(uuid: UUID) -> AlertRule:
    rule = AlertRule.objects.select_related("site", "host", "workload").filter(pk=uuid).first()
    if rule is None:
        raise NotFound("There is no such rule. It may have been removed.")
    return rule


def channel_found(uuid: UUID) -> NotificationChannel:
    channel = NotificationChannel.objects.filter(pk=uuid).first()
    if channel is None:
        raise NotFound("There is no such channel. It may have been removed.")
    return channel


@alerts.get("", response=AlertPage, auth=VIEW)
def alert_list(
    request: HttpRequest,
    state: str = Query("", max_length=20),
    severity: str = Query("", max_length=20),
    site: str = Query("", max_length=63),
    text: str = Query("", max_length=63),
    offset: int = Query(0, ge=0, le=10**9),
    limit: int = Query(50, ge=1, le=200),
) -> dict[str, Any]:
    """Firing ones first. `state` is open, firing, pending, acknowledged, silenced or resolved."""
    rows = lists.alerts_listed(lists.AlertFilter(state, severity, site, text))
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@alerts.get("/{uuid:uuid}", response=AlertDetailOut, auth=VIEW)
def alert_one(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    alert = alert_found(uuid)
    return {"alert": alert, "notices": list(alert.notices.select_related("channel"))}


@alerts.post("/{uuid:uuid}/acknowledge", response=AlertOut, auth=OPERATE)
def alert_acknowledge(request: HttpRequest, uuid: UUID) -> Alert:
    alert_acts.alert_acknowledge(request.user, alert_found(uuid))
    return alert_found(uuid)


@alerts.post("/{uuid:uuid}/silence", response={201: SilenceOut}, auth=OPERATE)
def alert_silence(request: HttpRequest, uuid: UUID, payload: SilenceAlertIn) -> Status[Silence]:
    return Status(201, alert_acts.alert_silence(request.user, alert_found(uuid), **payload.dict()))


@rules.get("", response=list[RuleOut], auth=VIEW)
def rule_list(request: HttpRequest) -> QuerySet[AlertRule]:
    return AlertRule.objects.select_related("site", "host", "workload").prefetch_related("channels")


@rules.get("/metrics", response=list[MetricOut], auth=VIEW)
def metric_list(request: HttpRequest) -> list[Any]:
    """What a rule may watch, with the unit of its threshold."""
    return list(measures().values())


@rules.post("", response={201: RuleOut}, auth=ADMINISTER)
def rule_create(request: HttpRequest, payload: RuleIn) -> Status[AlertRule]:
    values, chosen = _values(payload.dict())
    return Status(201, rule_services.rule_create(request.user, values, chosen or []))


@rules.get("/{uuid:uuid}", response=RuleOut, auth=VIEW)
def rule_one(request: HttpRequest, uuid: UUID) -> AlertRule:
    return rule_found(uuid)


@rules.patch("/{uuid:uuid}", response=RuleOut, auth=ADMINISTER)
def rule_edit(request: HttpRequest, uuid: UUID, payload: RulePatch) -> AlertRule:
    """Changes what is given; the rest stays."""
    rule = rule_found(uuid)
    known = {name: getattr(rule, name) for name in rule_services.RuleValues.__dataclass_fields__}
    named = {"site": rule.site_id, "host": rule.host_id, "workload": rule.workload_id}
    values, chosen = _values({"channels": None, **known, **named, **payload.dict(exclude_unset=True)})
    return rule_services.rule_edit(request.user, rule, values, chosen)


def _values(given: dict[str, Any]) -> tuple[rule_services.RuleValues, list[NotificationChannel] | None]:
    """The values with ids in place of things looked up, and the channels; None where none were given."""
    ids = given.pop("channels")
    for name, found in (("site", site_found), ("host", host_found), ("workload", workload_found)):
        given[name] = found(given[name]) if given[name] is not None else None
    return rule_services.RuleValues(**given), None if ids is None else [channel_found(uuid) for uuid in ids]


@rules.delete("/{uuid:uuid}", response={204: None}, auth=ADMINISTER)
def rule_delete(request: HttpRequest, uuid: UUID) -> Status[None]:
    rule_services.rule_delete(request.user, rule_found(uuid))
    return Status(204, None)


@silences.get("", response=list[SilenceOut], auth=VIEW)
def silence_list(request: HttpRequest, limit: int = Query(50, ge=1, le=200)) -> QuerySet[Silence]:
    return Silence.objects.select_related("site", "host", "rule")[:limit]


@silences.post("", response={201: SilenceOut}, auth=OPERATE)
def silence_create(request: HttpRequest, payload: SilenceIn) -> Status[Silence]:
    """Keeps alerts quiet that fit all of what is given; everything when nothing is."""
    silence = alert_acts.silence_create(
        request.user,
        hours=payload.hours,
        reason=payload.reason,
        rule=rule_found(payload.rule) if payload.rule else None,
        site=site_found(payload.site) if payload.site is not None else None,
        host=host_found(payload.host) if payload.host else None,
    )
    return Status(201, silence)


@silences.post("/{uuid:uuid}/end", response=SilenceOut, auth=OPERATE)
def silence_end(request: HttpRequest, uuid: UUID) -> Silence:
    silence = Silence.objects.select_related("site", "host", "rule").filter(pk=uuid).first()
    if silence is None:
        raise NotFound("There is no such silence.")
    alert_acts.silence_end(request.user, silence)
    silence.refresh_from_db()
    return silence


@notice_channels.get("", response=list[ChannelOut], auth=ADMINISTER)
def channel_list(request: HttpRequest) -> QuerySet[NotificationChannel]:
    return NotificationChannel.objects.all()


@notice_channels.post("", response={201: ChannelOut}, auth=ADMINISTER)
def channel_create(request: HttpRequest, payload: ChannelIn) -> Status[NotificationChannel]:
    """`address` has the fields of the kind, as on the page; it is kept encrypted and never given back."""
    channel = channels.channel_create(
        request.user,
        name=payload.name,
        kind=payload.kind,
        fields=payload.address.filled(),
        is_enabled=payload.is_enabled,
    )
    return Status(201, channel)


@notice_channels.patch("/{uuid:uuid}", response=ChannelOut, auth=ADMINISTER)
def channel_edit(request: HttpRequest, uuid: UUID, payload: ChannelPatch) -> NotificationChannel:
    """Changes what is given; an address is replaced as a whole."""
    channel = channel_found(uuid)
    channels.channel_edit(
        request.user,
        channel,
        name=channel.name if payload.name is None else payload.name,
        fields=None if payload.address is None else payload.address.filled(),
        is_enabled=channel.is_enabled if payload.is_enabled is None else payload.is_enabled,
    )
    return channel_found(uuid)


@notice_channels.delete("/{uuid:uuid}", response={204: None}, auth=ADMINISTER)
def channel_delete(request: HttpRequest, uuid: UUID) -> Status[None]:
    channels.channel_delete(request.user, channel_found(uuid))
    return Status(204, None)


@notice_channels.post("/{uuid:uuid}/test", response={202: ChannelOut}, auth=ADMINISTER)
def channel_test(request: HttpRequest, uuid: UUID) -> Status[NotificationChannel]:
    """Has a test sent; `health` and `failure` of the channel then tell how it went."""
    channels.channel_test(request.user, channel_found(uuid))
    return Status(202, channel_found(uuid))
