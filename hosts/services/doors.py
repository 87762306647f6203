"""The checks that every service begins with."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from hosts.access import Verb, may
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models.place import NAME_PATTERN
from hosts.operations.lease import busy_sentence, lease_holder

User = AbstractBaseUser | AnonymousUser
_WHO = {"view": "viewers", "operate": "operators", "administer": "administrators"}


def refuse_unless(user: User, verb: Verb, thing: Any = None) -> None:
    """Raises Forbidden unless the user may do the verb to the thing."""
    if not may(user, verb, thing):
        raise Forbidden(f"Only {_WHO[verb]} may do this. Ask an administrator for that role.")


def name_check(name: str, field: str = "name") -> str:
    """The name without blanks around it; raises Invalid when it could not be a host name or file name."""
    name = name.strip()
    # fullmatch: `$` in the pattern would let a trailing newline through
    if not re.fullmatch(NAME_PATTERN, name) or "\n" in name:
        raise Invalid(
            "A name begins with a letter or digit and goes on with up to 62 letters, digits, dots, dashes or"
            " underscores. Choose another one.",
            field=field,
        )
    return name


def busy_with(kind: str, thing_id: object) -> str | None:
    """The sentence about the operation that holds the thing, None when it is free."""
    holder = lease_holder(kind, thing_id)
    return busy_sentence(holder) if holder else None


def refuse_if(reason: str | None) -> None:
    """Raises Refused with the reason, if there is one."""
    if reason:
        raise Refused(reason)
