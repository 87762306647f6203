"""Tokens by which planes speak to the control plane. A token is shown once; only its hash is kept."""

from __future__ import annotations

import hmac
import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts.audit import audit_write
from hosts.credentials import token_hash, token_new
from hosts.models import Host, Plane, Site
from hosts.services.doors import User, refuse_unless
from hosts.signing import canonical, is_signed

log = logging.getLogger(__name__)


@transaction.atomic
def plane_token_issue(user: User, *, of: Host | Site) -> str:
    """A fresh token for a host's or site's plane; the one before stops working at once."""
    refuse_unless(user, "administer", of)
    kind = Plane.Kind.HOST if isinstance(of, Host) else Plane.Kind.SITE
    token = token_new()
    plane, _ = Plane.objects.update_or_create(
        kind=kind, name=of.name, defaults={"token_sha256": token_hash(token), "last_used_at": None}
    )
    audit_write(user, "token_issue", "plane", plane.pk, str(plane))
    return token


def plane_said(message: dict[str, Any], signature: str) -> bool:
    """Whether the plane that the message names has signed it; whoever else wrote it is logged and not heard."""
    kind, name = str(message.get("plane_kind")), str(message.get("plane"))
    plane = Plane.objects.filter(kind=kind, name=name).first()
    if plane is not None and is_signed(plane.token_sha256, canonical(message), str(signature)):
        return True
    log.warning("A message in the name of the %s plane %.63r is not signed by it and was dropped.", kind[:4], name)
    return False


def plane_of_token(token: str) -> Plane | None:
    """The plane whose token it is, None for any other text. The comparison tells nothing by its time."""
    digest = token_hash(token)
    plane = Plane.objects.filter(token_sha256=digest).first()
    if plane is None or not hmac.compare_digest(plane.token_sha256, digest):
        return None
    if plane.last_used_at is None or (timezone.now() - plane.last_used_at).total_seconds() > 60:
        Plane.objects.filter(pk=plane.pk).update(last_used_at=timezone.now())
    return plane
