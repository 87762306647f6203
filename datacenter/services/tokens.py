"""API tokens: given out and revoked by administrators, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from datacenter.models import ApiToken
from hosts.access import may
from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.services.doors import User, refuse_unless

PREFIX = "stw_"  # by which secret scanners find one that was published
DAYS_MOST = 366
NAME_MOST = 63
USED_AGAIN_AFTER = timedelta(minutes=1)  # a reader that comes every second writes once a minute


@transaction.atomic
def token_issue(user: User, *, name: str, days: int) -> tuple[ApiToken, str]:
    """A token for reading metrics and its secret, which is kept nowhere. Raises Forbidden or Invalid."""
    refuse_unless(user, "administer")
    owner = account_of(user)
    if owner is None:
        raise Refused("A token needs an owner with an account here.")
    name = " ".join(name.replace("\0", "").split())
    if not 0 < len(name) <= NAME_MOST:
        raise Invalid(f"Say in at most {NAME_MOST} letters what the token is for.", field="name")
    if not 1 <= days <= DAYS_MOST:
        raise Invalid("A token opens for at least a day and at most a year.", field="days")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name, secret_sha256=_hash(secret), owner=owner, expires_at=timezone.now() + timedelta(days=days)
    )
    audit_write(user, "api_token_issue", "api token", token.pk, name, scope=str(token.scope), days=days)
    return token, secret


@transaction.atomic
def token_revoke(user: User, token: ApiToken) -> None:
    """From now on it opens nothing. Raises Forbidden, and Refused for one that is revoked already."""
    refuse_unless(user, "administer")
    if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        raise Refused(f"The token {token.name} is revoked already.")
    audit_write(user, "api_token_revoke", "api token", token.pk, token.name)


def token_of(secret: str, scope: ApiToken.Scope, now: datetime | None = None) -> ApiToken | None:
    """The token that the secret is of, if it opens this scope now and its owner still may view; notes its use.

    Found by the hash of 256 random bits: there is nothing to guess and no timing to learn from.
    """
    now = now or timezone.now()
    usable = ApiToken.objects.filter(scope=scope, revoked_at=None, expires_at__gt=now)
    token = usable.filter(secret_sha256=_hash(secret)).select_related("owner").first()
    if token is None or not may(token.owner, "view"):
        return None
    if token.last_used_at is None or token.last_used_at <= now - USED_AGAIN_AFTER:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
