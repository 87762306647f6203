"""API tokens: the list, a new one with its secret shown once, and revoking."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from datacenter.forms import TokenForm
from datacenter.models import ApiToken
from datacenter.services.tokens import token_issue
from datacenter.services.tokens import token_revoke as revoke
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error

LISTED_MOST = 200


@page("administer")
def token_list(request: HttpRequest) -> HttpResponse:
    tokens = ApiToken.objects.select_related("owner")[:LISTED_MOST]
    return render(request, "datacenter/tokens.html", {"tokens": tokens, "form": TokenForm()})


@form_page("administer")
def token_new(request: HttpRequest) -> HttpResponse:
    """The form; after success the one answer that has the secret in it."""
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            token, secret = token_issue(request.user, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            context = {"token": token, "secret": secret, "address": request.build_absolute_uri("/").rstrip("/")}
            response = render(request, "datacenter/token_shown.html", context)
            response["Cache-Control"] = "no-store"
            return response
    return render(request, "datacenter/token_new.html", {"form": form}, status=422 if form.errors else 200)


@action("administer")
def token_revoke(request: HttpRequest, uuid: UUID) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=uuid)
    done_or_said(request, lambda: revoke(request.user, token), f"{token.name} opens nothing any more.")
    return redirect("tokens")
