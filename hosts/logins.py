"""Whether a login still stands: not logged out, its user active, the password the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

DECODED_MOST = 4096


@dataclass(frozen=True)
class _Decoded:
    data: str
    user_pk: str
    auth_hash: str


class Logins:
    """Reads many logins at once, by a number of queries that does not grow with them. Remembers what it decoded."""

    def __init__(self) -> None:
        self._decoded: dict[str, _Decoded] = {}

    def standing(self, session_keys: Iterable[str]) -> dict[str, AbstractBaseUser]:
        """The users of those logins that stand, by session key, with their groups. Three queries."""
        keys = set(session_keys)
        rows = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        found = {key: self._decode(key, data) for key, data in rows.values_list("session_key", "session_data")}
        pks = {one.user_pk for one in found.values() if one.user_pk}
        users = get_user_model()._default_manager.filter(pk__in=pks, is_active=True).prefetch_related("groups")
        by_pk = {str(user.pk): user for user in users}
        hashes = {pk: user.get_session_auth_hash() for pk, user in by_pk.items()}
        return {key: by_pk[one.user_pk] for key, one in found.items() if hashes.get(one.user_pk) == one.auth_hash}

    def _decode(self, key: str, data: str) -> _Decoded:
        known = self._decoded.get(key)
        if known is None or known.data != data:
            content = SessionStore(key).decode(data)
            known = _Decoded(data, str(content.get(SESSION_KEY, "")), str(content.get(HASH_SESSION_KEY, "")))
            if len(self._decoded) >= DECODED_MOST:
                self._decoded.clear()
            self._decoded[key] = known
        return known
