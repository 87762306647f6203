"""Channels: where notices go. For administrators. Addresses are write-only: they hold passwords and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction

from datacenter.alerts.addresses import Address, address_of
from datacenter.alerts.posting import target_check
from datacenter.models import AlertNotice, NotificationChannel
from hosts.audit import audit_write
from hosts.credentials import password_encrypt
from hosts.errors import Invalid
from hosts.inventory import plain_text
from hosts.operations.clock import database_now
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless


def channel_create(
    user: User, *, name: str, kind: str, fields: Mapping[str, str], is_enabled: bool = True
) -> NotificationChannel:
    """A new channel; `fields` are those of its kind (alerts.addresses)."""
    refuse_unless(user, "administer")
    name = _name_checked(name, None)
    if kind not in NotificationChannel.Kind.values:
        raise Invalid("Choose what kind of channel it is.", field="kind")
    address = _address_checked(kind, fields)
    with transaction.atomic():
        channel = NotificationChannel.objects.create(
            name=name,
            kind=kind,
            address_encrypted=password_encrypt(address.url),
            shown=address.shown,
            is_enabled=is_enabled,
        )
        audit_write(user, "channel_create", "channel", channel.pk, channel.name, kind=kind, goes_to=address.shown)
        publish_change("channel", channel.pk, "made")
    return channel


def channel_edit(
    user: User,
    channel: NotificationChannel,
    *,
    name: str,
    fields: Mapping[str, str] | None = None,
    is_enabled: bool = True,
) -> None:
    """Changes name and switch, and the address as a whole where `fields` are given: no part of the old one is kept."""
    refuse_unless(user, "administer")
    values: dict[str, object] = {"name": _name_checked(name, channel), "is_enabled": is_enabled}
    detail: dict[str, Any] = {}
    if fields is not None:
        address = _address_checked(channel.kind, fields)
        values |= {"address_encrypted": password_encrypt(address.url), "shown": address.shown, "failure": ""}
        detail = {"goes_to": address.shown}
    with transaction.atomic():
        NotificationChannel.objects.filter(pk=channel.pk).update(**values)
        if fields is not None:  # what waits tries the new address at once
            waiting = channel.notices.filter(state=AlertNotice.State.WAITING)
            waiting.update(next_try_at=database_now())
        audit_write(user, "channel_edit", "channel", channel.pk, str(values["name"]), **detail)
        publish_change("channel", channel.pk, "changed")


@transaction.atomic
def channel_delete(user: User, channel: NotificationChannel) -> None:
    """Removes the channel with what waits to be sent to it."""
    refuse_unless(user, "administer")
    audit_write(user, "channel_delete", "channel", channel.pk, channel.name)
    publish_change("channel", channel.pk, "removed")
    channel.delete()


@transaction.atomic
def channel_test(user: User, channel: NotificationChannel) -> None:
    """Has a test message sent by the worker; how it went is then told by the channel."""
    refuse_unless(user, "administer")
    asked = {"test_asked_at": database_now(), "test_asked_by_name": user.get_username()}
    NotificationChannel.objects.filter(pk=channel.pk).update(**asked)
    audit_write(user, "channel_test", "channel", channel.pk, channel.name)
    publish_change("channel", channel.pk, "test asked")
    transaction.on_commit(partial(ring_sender, str(channel.pk)), robust=True)


def ring_sender(channel_id: str) -> None:
    """Asks a worker to send what is due to the channel; a lost ring is repeated by the beat."""
    current_app.send_task("datacenter.alerts.send", args=[channel_id], queue="alerts", expires=30)


def _name_checked(name: str, channel: NotificationChannel | None) -> str:
    name = plain_text(name.strip(), 80)
    if not name:
        raise Invalid("Give the channel a name.", field="name")
    others = NotificationChannel.objects.filter(name=name)
    if (others.exclude(pk=channel.pk) if channel else others).exists():
        raise Invalid(f"There is already a channel {name}. Choose another name.", field="name")
    return name


def _address_checked(kind: str, fields: Mapping[str, str]) -> Address:
    address = address_of(kind, fields)
    target_check(address.host, "server" if kind == "mail" else "url")
    return address
