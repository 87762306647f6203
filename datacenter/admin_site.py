"""Django's admin, for administrators only, behind the one login page."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator

from hosts.access import may
from hosts.errors import Forbidden


class StowageAdminSite(AdminSite):
    site_header = "Stowage"
    site_title = "Stowage"
    index_title = "Administration"
    site_url = "/"
    enable_nav_sidebar = False
    stowage_verb = "administer"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the user is an administrator, by role and not by the staff flag."""
        return may(request.user, "administer")

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """No second login page: it would have none of the first one's limits."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise Forbidden("The admin is for administrators. Ask one of them for that role.")
        return redirect_to_login(reverse("admin:index"))
