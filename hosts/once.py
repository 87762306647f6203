"""A form that is sent twice, by a double click or a reload, begins one operation.

Each form that begins one carries a token of its own. The key is of the token and of all that was filled in: a form
that somebody went back to and changed is another wish.
"""

from __future__ import annotations

import hashlib
import secrets

from django.http import HttpRequest

FIELD = "once"
_NOT_WISHED = ("csrfmiddlewaretoken",)


def token_new() -> str:
    return secrets.token_hex(12)


def key_of(request: HttpRequest) -> str | None:
    """The idempotency key of the form that was sent; None where it carries no token."""
    token = request.POST.get(FIELD, "")
    if not token:
        return None
    wishes = sorted((name, request.POST.getlist(name)) for name in request.POST if name not in _NOT_WISHED)
    text = repr((request.user.pk, request.path, wishes))
    return "form-" + hashlib.sha256(text.encode()).hexdigest()[:48]
