"""What operators do about alerts: acknowledge one, silence what is known, end a silence."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from datacenter.models import Alert, AlertRule, Silence
from datacenter.services.alerting import OPEN
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.inventory import plain_text
from hosts.models import Host, Site
from hosts.operations.clock import database_now
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_if, refuse_unless

LONGEST_H = 24 * 90


def why_not_acknowledge(alert: Alert) -> str | None:
    """None, or why the alert cannot be acknowledged."""
    if alert.state == Alert.State.RESOLVED:
        return "It is over."
    return f"{alert.acknowledged_by_name} has acknowledged it." if alert.acknowledged_at else None


@transaction.atomic
def alert_acknowledge(user: User, alert: Alert) -> None:
    """Notes that somebody looks after it: no reminders of it are sent any more."""
    refuse_unless(user, "operate", alert)
    refuse_if(why_not_acknowledge(alert))
    rows = Alert.objects.filter(pk=alert.pk, state__in=OPEN, acknowledged_at=None)
    if not rows.update(acknowledged_at=database_now(), acknowledged_by_name=user.get_username()):
        raise Refused("Somebody was faster, or it has just ended. Look again.")
    audit_write(user, "alert_acknowledge", "alert", alert.pk, str(alert)[:200], about=alert.thing_name)
    publish_change("alert", alert.pk, "acknowledged")


def alert_silence(user: User, alert: Alert, *, hours: float, reason: str) -> Silence:
    """Keeps this rule quiet about this thing for so many hours."""
    thing = (alert.thing_kind, alert.thing_id, alert.thing_name)
    return silence_create(user, hours=hours, reason=reason, rule=alert.rule, thing=thing)


@transaction.atomic
def silence_create(
    user: User,
    *,
    hours: float,
    reason: str,
    rule: AlertRule | None = None,
    site: Site | None = None,
    host: Host | None = None,
    thing: tuple[str, str, str] = ("", "", ""),
) -> Silence:
    """Keeps alerts quiet that fit all of what is given; everything when nothing is. `thing` is kind, id and name.

    What fires is recorded all the same, and told when the silence ends while it still fires.
    """
    refuse_unless(user, "operate", host or site)
    reason = plain_text(reason.strip(), 200)
    if not reason:
        raise Invalid("Say why: who comes after you will want to know.", field="reason")
    if not 0 < hours <= LONGEST_H:
        raise Invalid("A silence lasts for up to 90 days.", field="hours")
    silence = Silence.objects.create(
        rule=rule,
        site=site,
        host=host,
        thing_kind=thing[0],
        thing_id=thing[1],
        thing_name=thing[2],
        reason=reason,
        by_name=user.get_username(),
        until=database_now() + timedelta(hours=hours),
    )
    audit_write(user, "silence_create", "silence", silence.pk, silence_said(silence)[:200], hours=hours, reason=reason)
    publish_change("alert", silence.pk, "silence")
    return silence


@transaction.atomic
def silence_end(user: User, silence: Silence) -> None:
    """Ends the silence now; what still fires is told with the next round."""
    refuse_unless(user, "operate", silence)
    now = database_now()
    if not Silence.objects.filter(pk=silence.pk, until__gt=now).update(until=now, ended_by_name=user.get_username()):
        raise Refused("This silence has ended already.")
    audit_write(user, "silence_end", "silence", silence.pk, silence_said(silence)[:200])
    publish_change("alert", silence.pk, "silence")


def silence_said(silence: Silence) -> str:
    """What the silence is about, in words."""
    parts = [
        silence.thing_name,
        f"host {silence.host.name}" if silence.host else "",
        f"site {silence.site.name}" if silence.site else "",
        f"rule “{silence.rule.name}”" if silence.rule else "",
    ]
    return ", ".join(part for part in parts if part) or "everything"
