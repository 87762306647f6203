"""How a view declares who may open it. A view without a declaration does not get past the tests.

`page` is for reading (GET and HEAD only, so that GET never writes), `action` for changing (POST only), `form_page`
for a form that is shown by GET and acts by POST. All mark the view with its verb; tests/test_permissions.py walks
every address and asks for the mark.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.access import Verb, may
from hosts.errors import Forbidden, Invalid, StowageError

View = Callable[..., HttpResponse]


def page(verb: Verb) -> Callable[[View], View]:
    """The view answers reads of users who may do the verb; others get the login page or a sentence."""
    return lambda view: _guarded(require_safe(view), verb)


def action(verb: Verb) -> Callable[[View], View]:
    """The view answers POSTs of users who may do the verb."""
    return lambda view: _guarded(require_POST(view), verb)


def form_page(verb: Verb) -> Callable[[View], View]:
    """The view shows a form on GET and acts on POST, both for users who may do the verb."""
    return lambda view: _guarded(require_http_methods(["GET", "HEAD", "POST"])(view), verb)


def _guarded(view: View, verb: Verb) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not may(request.user, verb):
            raise Forbidden(f"Your role does not allow this: it needs the right to {verb}. Ask an administrator.")
        return view(request, *args, **kwargs)

    guarded.stowage_verb = verb  # type: ignore[attr-defined]
    return guarded


def done_or_said(request: HttpRequest, act: Callable[[], Any], success: str = "") -> Any:
    """What the act gives; None when it was refused: its sentence is then a message on the next page."""
    try:
        result = act()
    except StowageError as error:
        messages.error(request, error.message)
        return None
    if success:
        messages.success(request, success)
    return result


def must_have_typed(request: HttpRequest, name: str) -> None:
    """Raises Invalid unless the name of the thing was typed into the form that does away with it."""
    if request.POST.get("typed", "") != name:
        raise Invalid(f"Nothing was changed: type {name} exactly to go on.")
