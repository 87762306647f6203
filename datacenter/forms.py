"""Forms of the data center's floor. They check shapes; what makes sense is the services' business."""

from __future__ import annotations

from typing import Any

from django import forms

from datacenter.models import Autopilot, Policy
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


class BacktestForm(SiteForm):
    days = forms.TypedChoiceField(
        label="Which past?",
        choices=[(1, "the last day"), (3, "three days"), (7, "a week"), (14, "two weeks"), (21, "three weeks")],
        initial=7,
        coerce=int,
    )
    demand_by = forms.ChoiceField(
        label="Plan by", required=False, choices=[("", "what the policy says"), *Policy.DemandBy.choices]
    )


class PolicyForm(StyledForm, forms.ModelForm):  # type: ignore[type-arg]
    """A site's policy, in four groups."""

    class Meta:
        model = Policy
        exclude = ("site",)
        labels = {
            "cpu_headroom_percent": "CPU kept free, %",
            "memory_headroom_percent": "Memory kept free, %",
            "disk_headroom_percent": "Disk kept free, %",
            "cpu_overcommit": "Promised vCPUs per core",
            "demand_by": "Plan by",
            "overload_risk_percent": "Risk of overload, %",
            "history_hours": "Hours of recorded use that count",
            "objective": "Look for",
            "spare_hosts": "Empty hosts to leave on",
            "survive_failures": "Hosts that may be lost at once",
            "survive_rack": "Any one rack may be lost",
            "two_people": "Two people for each plan",
            "recover_lost_hosts": "Recover lost hosts",
            "lost_after_s": "Lost when silent for, seconds",
            "require_wake_proof": "Only proven hosts are switched off by",
            "wake_proof_days": "A wake proves it for, days",
            "drill_every_days": "Wake drill every, days",
            "max_moves": "Moves at most",
            "max_moved_gib": "GiB moved at most",
            "max_minutes": "Minutes at most",
            "break_even_hours": "Must pay back within, hours",
            "moves_in_per_host": "Moves into a host at once",
            "moves_out_per_host": "Moves out of a host at once",
        }
        help_texts = {
            "cpu_overcommit": "At 4, a promised vCPU counts as a quarter of a core, or as what it used if more.",
            "demand_by": "By hours, a day load and a night load share a host. Without history the promise counts.",
            "overload_risk_percent": "Of an hour's time. 1 takes the p99 of each hour, 5 the p95, 0 the peak.",
            "history_hours": "For the p95. 168 is a week.",
            "objective": "Money is the site's tariff per kWh with its PUE.",
            "spare_hosts": "A warm reserve for sudden work.",
            "survive_failures": "After the loss of any so many hosts, all their work must find a place on the others.",
            "recover_lost_hosts": "Its power is cut by its BMC first; only then its VMs are started elsewhere.",
            "two_people": "Who asked for a plan cannot approve it. The autopilot then only proposes.",
            "require_wake_proof": "Proven is a host that was off and woke again, by a drill or otherwise.",
            "drill_every_days": "Of each empty host, one at a time, within the reserve. Empty: none.",
            "max_moves": "Empty: no limit.",
            "max_moved_gib": "Memory and copied disks. Empty: no limit.",
            "max_minutes": "As predicted, from the first move to the end of the last. Empty: no limit.",
            "break_even_hours": "The energy that the moves cost must be saved again by then. Empty: it need not.",
        }

    GROUPS = (
        (
            "How full a host may get",
            "demand_by overload_risk_percent history_hours cpu_overcommit "
            "cpu_headroom_percent memory_headroom_percent disk_headroom_percent",
        ),
        ("What must survive", "survive_failures survive_rack spare_hosts recover_lost_hosts lost_after_s"),
        (
            "What a plan looks for, and what it may cost",
            "objective max_moves max_moved_gib max_minutes break_even_hours two_people",
        ),
        ("Which hosts may go dark", "require_wake_proof wake_proof_days drill_every_days"),
        ("How many moves at once", "moves_in_per_host moves_out_per_host"),
    )

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings; one that no group names comes last."""
        named = [(title, names.split()) for title, names in self.GROUPS]
        rest = [name for name in self.fields if not any(name in names for _, names in named)]
        return [(title, [self[name] for name in names]) for title, names in [*named, ("Other", rest)] if names]


class AutopilotForm(StyledForm, forms.ModelForm):  # type: ignore[type-arg]
    """What the autopilot may do at a site."""

    class Meta:
        model = Autopilot
        exclude = ("site", "looked_at", "packed_at", "foresaw_at", "overloaded_since")
        labels = {
            "packing": "Free hosts",
            "relief": "Relieve hosts",
            "windows": "Hours",
            "cool_down_minutes": "Minutes between plans",
            "moves_per_hour": "Moves in an hour at most",
            "pays_back_hours": "Must pay back within, hours",
            "overloaded_for_s": "Overloaded for, seconds",
        }
        help_texts = {
            "packing": "Recommend makes a plan and waits; asking for approval raises an alert too.",
            "relief": "A host with more to do than the policy allows is spread, and one woken where that is needed.",
            "windows": "One a line: dense daily 22:00-05:00 frees hosts, spread daily 05:00-06:00 wakes and evens out,"
            " frozen Mon-Fri 08:00-09:00 moves nothing. Empty: hosts are freed at any hour.",
            "time_zone": "For example Europe/Berlin.",
            "cool_down_minutes": "After any plan, before hosts are freed again. Relief does not wait.",
            "pays_back_hours": "The energy of the moves and of waking the hosts again, against the watts saved.",
            "overloaded_for_s": "Before it acts: a short peak passes by itself.",
        }
        widgets = {"windows": forms.Textarea(attrs={"rows": 4})}

    GROUPS = (
        ("What it may do by itself", "packing relief overloaded_for_s"),
        ("When", "windows time_zone"),
        ("How much", "moves_per_hour cool_down_minutes pays_back_hours"),
    )

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        return [(title, [self[name] for name in names.split()]) for title, names in self.GROUPS]


class PlanTextForm(StyledForm):
    text = forms.CharField(
        label="The plan as text",
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "form-control mono"}),
        help_text="As it was downloaded from a plan's page, or written by hand.",
    )


class TokenForm(StyledForm):
    name = forms.CharField(
        label="What is it for?", max_length=63, help_text="For example: Grafana of the network team."
    )
    days = forms.TypedChoiceField(
        label="How long does it open?",
        choices=[(30, "30 days"), (90, "90 days"), (365, "a year")],
        initial=90,
        coerce=int,
    )
