"""Forms of alerts. They check shapes; what makes sense is the services' business."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms

from datacenter.alerts.addresses import PORTS
from datacenter.alerts.measures import measures
from datacenter.alerts.wording import EVENT_UNITS, duration_said
from datacenter.models import AlertRule, NotificationChannel
from datacenter.models.alert import LONGEST_S
from datacenter.services.alert_rules import REMIND_HOURS_MOST, RuleValues
from hosts.forms import StyledForm
from hosts.models import Host, Site
from workloads.models import Workload

DURATIONS_S = (0, 60, 300, 600, 900, 1800, 3600, 6 * 3600, 86400)
SILENCES_H = ((1, "1 hour"), (8, "8 hours"), (24, "1 day"), (24 * 7, "1 week"))
_THINGS = {"host": "Hosts", "workload": "VMs and containers", "site": "Sites", "collector": "The collector"}


class UnitSelect(forms.Select):
    """A choice whose options carry the unit of their threshold (data-unit), empty where they have none."""

    units: dict[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"]["data-unit"] = self.units.get(str(value), "")
        return option


class MetricSelect(UnitSelect):
    units = {key: measure.unit for key, measure in measures().items()}


class EventSelect(UnitSelect):
    units = {event: unit for event, (unit, _) in EVENT_UNITS.items()}


def metric_choices() -> list[Any]:
    """Every metric by what it is of, with its unit."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, measure in measures().items():
        label = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
        groups.setdefault(_THINGS[measure.thing], []).append((key, label))
    return [("", "choose a metric"), *groups.items()]


class RuleForm(StyledForm):
    """A rule. Which of the fields count is decided by kind and scope; the others are passed over."""

    name = forms.CharField(max_length=80)
    severity = forms.ChoiceField(choices=AlertRule.Severity.choices, initial="warning")
    kind = forms.ChoiceField(label="Watches", choices=AlertRule.Kind.choices, initial="metric")
    metric = forms.ChoiceField(choices=metric_choices, required=False, widget=MetricSelect)
    event = forms.ChoiceField(
        choices=[("", "choose an event"), *AlertRule.Event.choices], required=False, widget=EventSelect
    )
    comparison = forms.ChoiceField(label="Wrong when", choices=AlertRule.Comparison.choices, initial="above")
    threshold = forms.FloatField(required=False, help_text="In the unit of the metric, or of the event.")
    for_s = forms.TypedChoiceField(label="For at least", coerce=int, initial=300)
    scope = forms.ChoiceField(label="Of", choices=AlertRule.Scope.choices, initial="all")
    site = forms.ModelChoiceField(Site.objects.all(), required=False, empty_label="choose a site")
    host = forms.ModelChoiceField(Host.objects.all(), required=False, empty_label="choose a host")
    workload = forms.ModelChoiceField(
        Workload.objects.order_by("name"), required=False, empty_label="choose a workload"
    )
    margin_percent = forms.FloatField(
        label="Margin in percent",
        min_value=0,
        max_value=90,
        initial=5,
        help_text="So far back over the threshold before it is over: a value around it must not come and go.",
    )
    remind_hours = forms.IntegerField(
        label="Remind every so many hours",
        min_value=0,
        max_value=REMIND_HOURS_MOST,
        initial=24,
        help_text="While it fires and nobody has acknowledged it. 0: told once.",
    )
    channels = forms.ModelMultipleChoiceField(
        NotificationChannel.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Without a channel it shows on the pages alone.",
    )
    is_enabled = forms.BooleanField(label="Switched on", required=False, initial=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.initial.get("for_s")
        durations = sorted({*DURATIONS_S, *([known] if known is not None else [])})
        field = self.fields["for_s"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [(seconds, duration_said(seconds)) for seconds in durations if seconds <= LONGEST_S]
        self.fields["channels"].widget.attrs["class"] = "form-check-input"

    @classmethod
    def of(cls, rule: AlertRule, data: Any = None) -> RuleForm:
        """The form with what the rule says now."""
        initial = {name: getattr(rule, name) for name in cls.base_fields if name != "channels"}
        return cls(data, initial=initial | {"channels": list(rule.channels.all())})

    def values(self) -> tuple[RuleValues, list[NotificationChannel]]:
        """What was entered, as the service takes it."""
        given = dict(self.cleaned_data)
        channels = list(given.pop("channels"))
        return RuleValues(**given), channels


class ChannelForm(StyledForm):
    """What every channel has. `address_fields` are the rest: write-only, and all of them or none when one is edited."""

    name = forms.CharField(max_length=80, help_text="As rules name it, for example Night shift.")
    is_enabled = forms.BooleanField(label="Switched on", required=False, initial=True)
    common = ("name", "is_enabled")

    def __init__(self, *args: Any, is_edit: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_edit:
            for name in self.address_names():
                self.fields[name].required = False

    def address_names(self) -> Iterator[str]:
        return (name for name in self.fields if name not in self.common)

    def address_fields(self) -> dict[str, str]:
        """What was entered of the address."""
        return {name: str(self.cleaned_data.get(name) or "") for name in self.address_names()}

    def has_address(self) -> bool:
        """Whether any of it was entered; what is chosen from a list says nothing."""
        chosen = [name for name in self.address_names() if isinstance(self.fields[name], forms.ChoiceField)]
        return any(value for name, value in self.address_fields().items() if name not in chosen)


def _secret(label: str, hint: str = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, max_length=300, required=False, strip=False, widget=widget, help_text=hint)


class MailForm(ChannelForm):
    server = forms.CharField(label="Mail server", max_length=253, help_text="Your relay, for example mail.example.org.")
    security = forms.ChoiceField(
        label="Secured by", choices=[("starttls", "STARTTLS"), ("ssl", "TLS from the start"), ("insecure", "nothing")]
    )
    port = forms.IntegerField(
        min_value=1,
        max_value=65535,
        required=False,
        help_text=f"Empty: {PORTS['starttls']}, {PORTS['ssl']} or {PORTS['insecure']}.",
    )
    username = forms.CharField(label="User", max_length=200, required=False)
    password = _secret("Password")
    sender = forms.CharField(max_length=254, help_text="The address that mails come from.")
    recipients = forms.CharField(max_length=2000, help_text="With commas between them.")


class WebhookForm(ChannelForm):
    url = forms.CharField(
        label="Address", max_length=1000, help_text="Takes JSON by POST: title, message, event, severity and alerts."
    )
    token = _secret("Bearer token", "Sent in the header Authorization, where one is given.")


class SlackForm(ChannelForm):
    url = forms.CharField(
        label="Incoming webhook",
        max_length=1000,
        help_text="Of Slack, Mattermost, Rocket.Chat or whatever takes the same.",
    )


class NtfyForm(ChannelForm):
    url = forms.CharField(label="Server", max_length=300, help_text="For example https://ntfy.sh, or your own.")
    topic = forms.CharField(max_length=64)
    token = _secret("Access token")


CHANNEL_FORMS: dict[str, type[ChannelForm]] = {
    "mail": MailForm,
    "webhook": WebhookForm,
    "slack": SlackForm,
    "ntfy": NtfyForm,
}


class SilenceForm(StyledForm):
    """What is to be kept quiet: alerts that fit all that is chosen."""

    hours = forms.TypedChoiceField(label="For", choices=SILENCES_H, coerce=int, initial=8)
    reason = forms.CharField(max_length=200)
    site = forms.ModelChoiceField(Site.objects.all(), required=False, empty_label="every site")
    host = forms.ModelChoiceField(Host.objects.all(), required=False, empty_label="every host")
    rule = forms.ModelChoiceField(AlertRule.objects.all(), required=False, empty_label="every rule")


class AlertSilenceForm(StyledForm):
    """Of one alert; which one stands in the address."""

    hours = forms.TypedChoiceField(choices=SILENCES_H, coerce=int)
    reason = forms.CharField(max_length=200)
