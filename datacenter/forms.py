"""Forms of the data center's floor. They check shapes; what makes sense is the services' business."""

from __future__ import annotations

from typing import Any

from django import forms

from datacenter.services.questions import MANY
from hosts.forms import StyledForm
from hosts.models import Host, Site
from workloads.models import Workload


class FitForm(StyledForm):
    workload = forms.ModelChoiceField(
        Workload.objects.exclude(host=None).order_by("name"), empty_label="choose a workload", label="Like which one?"
    )


class SiteForm(StyledForm):
    """A question about a whole site; with one site there is nothing to choose."""

    site = forms.ModelChoiceField(Site.objects.all(), empty_label=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["site"]
        assert isinstance(field, forms.ModelChoiceField)
        if Site.objects.count() == 1:
            field.widget = forms.HiddenInput()
            field.initial = Site.objects.first()


class LoseForm(SiteForm):
    failures = forms.TypedChoiceField(
        label="How many hosts?", choices=[(1, "any one"), (2, "any two"), (3, "any three")], coerce=int
    )


class WhatIfForm(SiteForm):
    add_workloads = forms.IntegerField(label="How many workloads more?", min_value=0, max_value=MANY, initial=0)
    like_workload = forms.ModelChoiceField(
        Workload.objects.exclude(host=None).order_by("name"),
        required=False,
        empty_label="choose",
        label="Like which workload?",
    )
    add_hosts = forms.IntegerField(label="How many hosts more?", min_value=0, max_value=MANY, initial=0)
    like_host = forms.ModelChoiceField(
        Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED),
        required=False,
        empty_label="choose",
        label="Like which host?",
    )
    remove_hosts = forms.ModelMultipleChoiceField(
        Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED),
        required=False,
        label="Do without these hosts",
        help_text="Hold Ctrl to choose several.",
    )
