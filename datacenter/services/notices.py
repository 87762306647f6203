"""The outbox of notices: written with the event that they tell, sent from here.

A notice is claimed by a conditional update before it is sent, so two workers never send one twice. A worker that dies
between the claim and the note of its success leaves a claim that lapses: that notice goes out again, for a lost alarm
costs more than a repeated one. decisions/0018.
"""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from datacenter.alerts.message import Message, message_of, trial_message
from datacenter.alerts.posting import post
from datacenter.models import Alert, AlertNotice, NotificationChannel
from hosts.credentials import password_decrypt
from hosts.errors import StowageError
from hosts.operations.clock import database_now
from hosts.publish import publish_change

log = logging.getLogger(__name__)

GROUP_FOR = timedelta(seconds=12)  # what one rule finds within this time goes out as one message: longer than a round
BRIEF = timedelta(minutes=1)
CLAIM_LAPSES = timedelta(minutes=5)  # far longer than a message may take to be sent
BACK_OFF_S = (15, 30, 60, 120, 300, 600)  # then ten minutes each time: an alarm of now waits for those before it
ATTEMPTS_MOST = 24  # about three hours
GROUP_MOST = 500  # notices in one message

State = AlertNotice.State
Poster = Callable[[str, str, Message], str]  # kind and address of a channel, message -> why not, empty when sent


def notices_write(alert: Alert, event: AlertNotice.Event, now: datetime) -> int:
    """Rows of the event for each channel of the alert's rule, in the caller's transaction; how many."""
    if alert.rule is None:
        return 0
    if event == AlertNotice.Event.RESOLVED:
        channels = _channels_told(alert, now)
    else:
        channels = list(alert.rule.channels.filter(is_enabled=True))
    number = alert.notices.filter(event=event).values("number").distinct().count() if event == "reminder" else 0
    rows = [
        AlertNotice(
            alert=alert,
            channel=channel,
            event=event,
            number=number,
            group=f"{alert.rule_id}:{event}",
            next_try_at=now + GROUP_FOR,
            created_at=now,
        )
        for channel in channels
    ]
    AlertNotice.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _channels_told(alert: Alert, now: datetime) -> list[NotificationChannel]:
    """The channels to which it was said, or is being said, that the alert fires; to others its end is no news.

    What has just been written and not tried yet is dropped: it ended before anybody was told. What waits for longer,
    behind a channel that fails, is told when that works again.
    """
    fired = alert.notices.filter(event=AlertNotice.Event.FIRED)
    brief = fired.filter(state=State.WAITING, attempts=0, created_at__gt=now - BRIEF)
    brief.update(state=State.DROPPED, failure="It ended before it was told.")
    told = fired.filter(state__in=[State.WAITING, State.SENDING, State.SENT]).values_list("channel_id", flat=True)
    return list(NotificationChannel.objects.filter(pk__in=told, is_enabled=True))


def channels_due(now: datetime) -> list[uuids.UUID]:
    """The channels for which something is to be sent now."""
    AlertNotice.objects.filter(state=State.SENDING, claimed_at__lt=now - CLAIM_LAPSES).update(
        state=State.WAITING, claim=None, next_try_at=now, failure="The worker that sent it was lost on the way."
    )
    rows = AlertNotice.objects.filter(state=State.WAITING, next_try_at__lte=now, channel__is_enabled=True)
    due = set(rows.order_by().values_list("channel_id", flat=True).distinct())
    tests = NotificationChannel.objects.exclude(test_asked_at=None).values_list("pk", flat=True)
    return sorted(due | set(tests))


def channel_send(channel_id: uuids.UUID | str, poster: Poster = post, now: datetime | None = None) -> int:
    """Sends what is due to a channel, oldest first, a message for each group; how many messages went through.

    Stops at the first that does not: the channel then rests, and the order is kept. A test that was asked for goes
    first, also to a channel that is switched off.
    """
    channel = NotificationChannel.objects.filter(pk=channel_id).first()
    if channel is not None:
        _send_test(channel, poster)
    sent = 0
    while channel is not None and channel.is_enabled:
        moment = now or database_now()
        notices = _claim(channel, moment)
        if not notices:
            break
        failure = _send(channel, message_of(notices), poster)
        _note(channel, notices, failure, now or database_now())
        if failure:
            break
        sent += 1
    return sent


def _claim(channel: NotificationChannel, now: datetime) -> list[AlertNotice]:
    """The oldest notice, where it is due, with all that wait in its group, now ours; empty when others took them."""
    waiting = AlertNotice.objects.filter(channel=channel, state=State.WAITING)
    first = waiting.first()
    if first is None or first.next_try_at > now:
        return []
    claim = uuids.uuid4()
    group = list(waiting.filter(group=first.group).values_list("pk", flat=True)[:GROUP_MOST])
    AlertNotice.objects.filter(pk__in=group, state=State.WAITING).update(
        state=State.SENDING, claim=claim, claimed_at=now, attempts=F("attempts") + 1
    )
    return list(AlertNotice.objects.filter(claim=claim, state=State.SENDING).select_related("alert__site"))


def _send_test(channel: NotificationChannel, poster: Poster) -> None:
    """Sends the test that was asked for, once."""
    asked = NotificationChannel.objects.filter(pk=channel.pk).exclude(test_asked_at=None)
    if not asked.update(test_asked_at=None):
        return
    failure = _send(channel, trial_message(channel.name, channel.test_asked_by_name), poster)
    fresh: dict[str, object] = (
        {"failure": failure[:300]} if failure else {"failure": "", "last_sent_at": database_now()}
    )
    NotificationChannel.objects.filter(pk=channel.pk).update(**fresh)
    publish_change("channel", channel.pk, "tested")


def _send(channel: NotificationChannel, message: Message, poster: Poster) -> str:
    """Why the message was not sent; empty when it was."""
    try:
        address = password_decrypt(bytes(channel.address_encrypted))
    except StowageError as error:
        return error.message
    return poster(channel.kind, address, message)


@transaction.atomic
def _note(channel: NotificationChannel, notices: list[AlertNotice], failure: str, now: datetime) -> None:
    """Writes down what became of a message: sent, to be tried again later, or given up."""
    ours = AlertNotice.objects.filter(claim=notices[0].claim, state=State.SENDING)
    if not failure:
        ours.update(state=State.SENT, sent_at=now, failure="")
        NotificationChannel.objects.filter(pk=channel.pk).update(last_sent_at=now, failure="")
    else:
        failure = failure[:300]
        log.warning("%d notices to channel %s were not sent: %s", len(notices), channel.name, failure)
        ours.filter(attempts__gte=ATTEMPTS_MOST).update(state=State.FAILED, failure=failure)
        tried = min(max(notice.attempts for notice in notices), len(BACK_OFF_S))
        later = now + timedelta(seconds=BACK_OFF_S[tried - 1])
        ours.update(state=State.WAITING, claim=None, failure=failure, next_try_at=later)
        # what waits behind it waits too, so that an end is never told before its beginning
        AlertNotice.objects.filter(channel=channel, state=State.WAITING, next_try_at__lt=later).update(
            next_try_at=later
        )
        NotificationChannel.objects.filter(pk=channel.pk).update(failure=failure)
    publish_change("channel", channel.pk, "failed" if failure else "sent")
