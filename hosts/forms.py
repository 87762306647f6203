"""Forms of the hosts floor. They check shapes; what is allowed is the services' business."""

from __future__ import annotations

from django import forms

from hosts.errors import Invalid, Refused, StowageError
from hosts.models import Host, HostJob, Rack


def add_error(form: forms.Form, error: StowageError) -> None:
    """Shows a service's sentence at the field it names, or above the form."""
    field = error.field if isinstance(error, Invalid | Refused) else None
    form.add_error(field if field in form.fields else None, error.message)


class StyledForm(forms.Form):
    """Gives every field the look of the product."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput):
                widget.attrs.setdefault("class", "form-check-input")
            elif isinstance(widget, forms.Select):
                widget.attrs.setdefault("class", "form-select")
            else:
                widget.attrs.setdefault("class", "form-control")


BMC_HINT = (
    "https://10.0.0.7 for Redfish, ipmi://10.0.0.7 for IPMI,"
    " wol:02:00:00:aa:bb:cc?broadcast=10.0.0.255 for Wake-on-LAN."
)


def _bmc_password(hint: str) -> forms.CharField:
    return forms.CharField(
        label="BMC password",
        max_length=200,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=hint,
    )


class BmcForm(StyledForm):
    """A host's controller; the stored password is never among the values."""

    bmc_url = forms.CharField(label="BMC address", max_length=300, help_text=BMC_HINT)
    bmc_system = forms.CharField(
        label="BMC system", max_length=100, required=False, help_text="Only when the BMC serves several systems."
    )
    bmc_username = forms.CharField(label="BMC user", max_length=100, required=False)
    bmc_password = _bmc_password("It is never shown again. Leave it empty to keep the stored one.")

    @staticmethod
    def values_of(host: Host) -> dict[str, str]:
        """What is known of the host's BMC, but for the password."""
        bmc = getattr(host, "bmc", None)
        return {f"bmc_{name}": getattr(bmc, name) for name in ("url", "system", "username")} if bmc else {}


class CorrectionForm(BmcForm):
    """What may have been wrong when a host could not be enrolled."""

    management_address = forms.GenericIPAddressField(
        label="Management address", help_text="Other hosts reach it there for live migration."
    )
    bridge = forms.CharField(max_length=15, help_text="VMs attach to it. It is made when it is not there.")
    bmc_url = forms.CharField(
        label="BMC address", max_length=300, required=False, help_text="Leave empty if there is none."
    )
    new_token = forms.BooleanField(
        label="Give its host plane a new token",
        required=False,
        help_text="Needed when the host plane was not started yet. The one before stops working.",
    )


class EnrolForm(BmcForm):
    name = forms.CharField(max_length=63, help_text="As it is known in your network, for example web-07.")
    rack = forms.ModelChoiceField(Rack.objects.select_related("site"), empty_label="choose a rack")
    management_address = forms.GenericIPAddressField(
        label="Management address", help_text="Other hosts reach it there for live migration."
    )
    bridge = forms.CharField(
        max_length=15, initial="stw0", help_text="VMs attach to it. It is made when it is not there."
    )
    idle_watts = forms.FloatField(label="Watts when idle", min_value=0, max_value=20000, initial=120)
    peak_watts = forms.FloatField(label="Watts at full load", min_value=0, max_value=20000, initial=300)
    bmc_url = forms.CharField(
        label="BMC address",
        max_length=300,
        required=False,
        help_text=f"{BMC_HINT} Leave empty if there is none.",
    )
    bmc_password = _bmc_password("Kept encrypted and never shown again.")


class JobForm(StyledForm):
    """Another job for a freed host."""

    kind = forms.ChoiceField(label="Job", choices=HostJob.Kind.choices)
    note = forms.CharField(label="For whom or what", max_length=200, required=False)
    until = forms.DateField(
        label="Back on", required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="Empty: open."
    )


class RackForm(StyledForm):
    site = forms.CharField(max_length=63, help_text="A new name makes a new site.")
    rack = forms.CharField(max_length=63)


class PowerModelForm(StyledForm):
    idle_watts = forms.FloatField(label="Watts when idle", min_value=0, max_value=20000)
    peak_watts = forms.FloatField(label="Watts at full load", min_value=0, max_value=20000)
    rack_units = forms.IntegerField(label="Rack units", min_value=1, max_value=60, required=False)

    @classmethod
    def of(cls, host: Host) -> PowerModelForm:
        return cls(initial={name: getattr(host, name) for name in ("idle_watts", "peak_watts", "rack_units")})
