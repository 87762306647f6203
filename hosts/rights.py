"""How a route of the API declares who may call it: `auth=Right("operate")`."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import SessionAuth

from hosts.access import Verb, may
from hosts.errors import Forbidden


class Right(SessionAuth):
    """The login session, with the CSRF token for whatever is not a read. 401 without a login, 403 without the right."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(csrf=True)
        self.stowage_verb: Verb = verb

    def authenticate(self, request: HttpRequest, key: str | None) -> object | None:
        if not request.user.is_authenticated:
            return None
        if not may(request.user, self.stowage_verb):
            raise Forbidden(f"Your role does not allow this: it needs the right to {self.stowage_verb}.")
        return request.user
