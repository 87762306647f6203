"""A site's policy: everybody may read it, administrators change it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from datacenter.forms import PolicyForm
from datacenter.services.policies import policy_edit
from datacenter.snapshot import policy_of
from hosts.access import may
from hosts.doors import action, done_or_said, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.models import Site


@page("view")
def policy_page(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    return _shown(request, site, PolicyForm(instance=policy_of(site)))


@action("administer")
def policy_save(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    form = PolicyForm(request.POST, instance=policy_of(site))
    if form.is_valid():
        try:
            policy_edit(request.user, site, form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            done_or_said(request, lambda: None, "The policy is kept. Plans asked for from now on obey it.")
            return redirect("policy", site_id=site.pk)
    return _shown(request, site, form, status=422)


def _shown(request: HttpRequest, site: Site, form: PolicyForm, status: int = 200) -> HttpResponse:
    may_administer = may(request.user, "administer", site)
    if not may_administer:
        for field in form.fields.values():
            field.disabled = True
    context = {"site": site, "form": form, "groups": form.groups(), "may_administer": may_administer}
    return render(request, "datacenter/policy.html", context, status=status)
