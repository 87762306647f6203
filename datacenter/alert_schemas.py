"""The shapes of alerts, rules, silences and channels in the API. No field carries an address of a channel out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Schema

from datacenter.alerts.wording import condition_said, unit_of
from datacenter.models import Alert, AlertNotice, AlertRule, NotificationChannel, Silence
from datacenter.services.alert_acts import silence_said

Severity = Literal["critical", "warning", "info"]


class AlertOut(Schema):
    uuid: UUID
    rule: UUID | None
    rule_name: str
    severity: str
    state: str
    thing_kind: str
    thing_id: str
    thing_name: str
    site: str | None
    host: str | None
    sentence: str
    value: float | None
    since: datetime
    fired_at: datetime | None
    last_seen_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str = Field(alias="acknowledged_by_name")
    silenced_by: str

    @staticmethod
    def resolve_rule(alert: Alert) -> UUID | None:
        return alert.rule_id

    @staticmethod
    def resolve_site(alert: Alert) -> str | None:
        return alert.site.name if alert.site else None

    @staticmethod
    def resolve_host(alert: Alert) -> str | None:
        return alert.host.name if alert.host else None


class AlertPage(Schema):
    items: list[AlertOut]
    count: int


class NoticeOut(Schema):
    channel: str
    event: str
    state: str
    attempts: int
    failure: str
    created_at: datetime
    sent_at: datetime | None

    @staticmethod
    def resolve_channel(notice: AlertNotice) -> str:
        return notice.channel.name


class AlertDetailOut(Schema):
    alert: AlertOut
    notices: list[NoticeOut]


class SilenceAlertIn(Schema):
    hours: float
    reason: str = Field(max_length=200)


class MetricOut(Schema):
    """What a rule may watch. `unit` is that of its threshold."""

    metric: str = Field(alias="key")
    label: str
    of: str = Field(alias="thing")
    unit: str


class RuleIn(Schema):
    """Of `metric` and `event` the one counts that `kind` names; of site, host and workload the one of `scope`."""

    name: str = Field(max_length=80)
    kind: Literal["metric", "event"]
    metric: str = Field("", max_length=80)
    event: str = Field("", max_length=20)
    scope: Literal["all", "site", "host", "workload"] = "all"
    site: int | None = None
    host: UUID | None = None
    workload: UUID | None = None
    comparison: Literal["above", "below"] = "above"
    threshold: float | None = None
    for_s: int = 0
    margin_percent: float = 5
    remind_hours: int = 24
    severity: Severity = "warning"
    is_enabled: bool = True
    channels: list[UUID] = Field([], max_length=100)


class RulePatch(Schema):
    name: str = Field("", max_length=80)
    kind: Literal["metric", "event"] = "metric"
    metric: str = Field("", max_length=80)
    event: str = Field("", max_length=20)
    scope: Literal["all", "site", "host", "workload"] = "all"
    site: int | None = None
    host: UUID | None = None
    workload: UUID | None = None
    comparison: Literal["above", "below"] = "above"
    threshold: float | None = None
    for_s: int = 0
    margin_percent: float = 5
    remind_hours: int = 24
    severity: Severity = "warning"
    is_enabled: bool = True
    channels: list[UUID] | None = Field(None, max_length=100)


class RuleOut(Schema):
    uuid: UUID
    name: str
    kind: str
    metric: str
    event: str
    scope: str
    site: str | None
    host: str | None
    workload: str | None
    comparison: str
    threshold: float | None
    unit: str
    for_s: int
    margin_percent: float
    remind_hours: int
    severity: str
    is_enabled: bool
    condition: str
    channels: list[str]
    evaluated_at: datetime | None
    failure: str

    @staticmethod
    def resolve_site(rule: AlertRule) -> str | None:
        return rule.site.name if rule.site else None

    @staticmethod
    def resolve_host(rule: AlertRule) -> str | None:
        return rule.host.name if rule.host else None

    @staticmethod
    def resolve_workload(rule: AlertRule) -> str | None:
        return rule.workload.name if rule.workload else None

    @staticmethod
    def resolve_unit(rule: AlertRule) -> str:
        return unit_of(rule)

    @staticmethod
    def resolve_condition(rule: AlertRule) -> str:
        return condition_said(rule)

    @staticmethod
    def resolve_channels(rule: AlertRule) -> list[str]:
        return [channel.name for channel in rule.channels.all()]


class SilenceIn(Schema):
    hours: float
    reason: str = Field(max_length=200)
    rule: UUID | None = None
    site: int | None = None
    host: UUID | None = None


class SilenceOut(Schema):
    uuid: UUID
    about: str
    reason: str
    by: str = Field(alias="by_name")
    created_at: datetime
    until: datetime
    ended_by: str = Field(alias="ended_by_name")

    @staticmethod
    def resolve_about(silence: Silence) -> str:
        return silence_said(silence)


class AddressIn(Schema):
    """The fields of an address; which of them count is the kind's matter."""

    url: str = Field("", max_length=1000)
    token: str = Field("", max_length=300)
    topic: str = Field("", max_length=64)
    server: str = Field("", max_length=253)
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["starttls", "ssl", "insecure"] = "starttls"
    username: str = Field("", max_length=200)
    password: str = Field("", max_length=300)
    sender: str = Field("", max_length=254)
    recipients: str = Field("", max_length=2000)

    def filled(self) -> dict[str, str]:
        """The fields as text, empty where nothing was given."""
        given: dict[str, Any] = self.dict()
        return {name: "" if value is None else str(value) for name, value in given.items()}


class ChannelIn(Schema):
    name: str = Field(max_length=80)
    kind: Literal["mail", "webhook", "slack", "ntfy"]
    address: AddressIn
    is_enabled: bool = True


class ChannelPatch(Schema):
    name: str | None = Field(None, max_length=80)
    address: AddressIn | None = None
    is_enabled: bool | None = None


class ChannelOut(Schema):
    uuid: UUID
    name: str
    kind: str
    goes_to: str = Field(alias="shown")
    is_enabled: bool
    health: str
    failure: str
    last_sent_at: datetime | None

    @staticmethod
    def resolve_health(channel: NotificationChannel) -> str:
        return channel.health
