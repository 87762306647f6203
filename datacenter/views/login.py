"""The login page: counted failures, no session before success, `next` only within this site."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy

from hosts.audit import audit_write

log = logging.getLogger(__name__)

WINDOW_S = 15 * 60
# Failures in the window: of one account from one address, of one address, of one account. The last is high, so
# that a stranger does not lock an administrator out by guessing.
LIMITS = {"pair": 8, "address": 40, "account": 100}
TOO_MANY = "Too many attempts. Wait a quarter of an hour, then try again."


def _keys(request: HttpRequest) -> dict[str, str]:
    account = request.POST.get("username", "")[:150].casefold().encode().hex()
    address = request.META.get("REMOTE_ADDR", "")
    return {"pair": f"login:{account}@{address}", "address": f"login:@{address}", "account": f"login:{account}@"}


def is_barred(request: HttpRequest) -> bool:
    """Whether one of the counts is over its limit."""
    keys = _keys(request)
    counts = cache.get_many(keys.values())
    return any(counts.get(keys[name], 0) >= limit for name, limit in LIMITS.items())


def count_failure(request: HttpRequest) -> None:
    for key in _keys(request).values():
        cache.add(key, 0, WINDOW_S)
        try:
            cache.incr(key)
        except ValueError:  # it ran out between the two lines
            cache.set(key, 1, WINDOW_S)


class LoginView(auth_views.LoginView):
    """Django's login with the product's page and with limits."""

    template_name = "login.html"
    redirect_authenticated_user = True
    stowage_verb = "public"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_barred(request):
            form = AuthenticationForm(request)
            context = self.get_context_data(form=form, barred=TOO_MANY)
            return self.render_to_response(context, status=429)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        count_failure(self.request)
        log.warning("A login failed from %s.", self.request.META.get("REMOTE_ADDR", "?"))
        return super().form_invalid(form)


class PasswordView(auth_views.PasswordChangeView):
    """A new password for whoever is logged in; their other logins end with the old one."""

    template_name = "password.html"
    success_url = reverse_lazy("overview")
    stowage_verb = "self"

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        audit_write(
            self.request.user, "password_change", "user", self.request.user.pk, self.request.user.get_username()
        )
        messages.success(self.request, "Your password is changed. Other logins of yours have ended.")
        return response
