"""Forms of the workloads floor."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms

from hosts.forms import StyledForm
from hosts.models import Host
from workloads.choosing import Wish
from workloads.first_boot import FirstBoot
from workloads.models import Flavour, Image, ImageArrival, Schedule, VirtualMachine, Workload

# what a container does when it ends: the engine's word and ours
RESTARTS = (
    ("unless-stopped", "start it again, unless it was stopped"),
    ("always", "always start it again"),
    ("on-failure", "start it again after a failure"),
    ("no", "leave it stopped"),
)


# what a schedule can do to a workload that is there
VERBS = (
    ("start", "start"),
    ("stop", "stop"),
    ("restart", "restart"),
    ("pause", "pause"),
    ("resume", "resume"),
    ("save", "save to disk (VMs)"),
    ("back_up", "back up (VMs)"),
    ("force_stop", "force off"),
    ("delete", "delete"),
)


class HostChoice(forms.ModelChoiceField):
    """A host, or "choose for me"."""

    def __init__(self) -> None:
        hosts = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED)
        super().__init__(hosts, required=False, empty_label="choose for me", label="Host")


def wake_field() -> forms.BooleanField:
    return forms.BooleanField(
        label="Wake a host for it",
        required=False,
        help_text="Where no host that is on has room, or the one chosen is off. It is made once that host is up.",
    )


class FirstBootForm(StyledForm):
    """What cloud-init in the image does at the first boot; left empty, nothing is told."""

    user = forms.CharField(max_length=32, required=False, help_text="A user with sudo, who logs in by the key below.")
    password = forms.CharField(
        max_length=128,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="For the console; SSH takes keys only.",
    )
    ssh_keys = forms.CharField(
        label="SSH keys",
        required=False,
        max_length=20000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Public ones, one on a line.",
    )
    packages = forms.CharField(required=False, max_length=4000, help_text="To install, with spaces between.")
    address = forms.CharField(
        required=False, max_length=64, help_text="With its prefix, for example 10.0.0.5/24. Empty: by DHCP."
    )
    gateway = forms.CharField(required=False, max_length=45)
    name_servers = forms.CharField(required=False, max_length=300, help_text="With spaces between.")
    user_data = forms.CharField(
        label="User-data of your own",
        required=False,
        max_length=65536,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "form-control mono"}),
        help_text="Instead of the fields above: begins with #cloud-config, or #! for a script.",
    )

    def wish(self) -> FirstBoot | None:
        """What was filled in, or None when nothing was."""
        values: dict[str, Any] = {name: self.cleaned_data[name].strip() for name in self.fields}
        if not any(values.values()):
            return None
        values["ssh_keys"] = tuple(line.strip() for line in values["ssh_keys"].splitlines() if line.strip())
        values["user_data"] = values["user_data"].replace("\r\n", "\n")
        for name in ("packages", "name_servers"):
            values[name] = tuple(values[name].split())
        return FirstBoot(**values)


class MeasureForm(StyledForm):
    """What is made on which host to be measured."""

    host = forms.ModelChoiceField(Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED))
    image = forms.ModelChoiceField(Image.objects.filter(format__in=[Image.Format.QCOW2, Image.Format.RAW]))
    container_image = forms.CharField(label="Image of the container", max_length=255)
    sign = forms.CharField(
        max_length=200, initial="login:", help_text="What the VM writes on its serial line when it serves."
    )
    memory_mib = forms.IntegerField(label="Memory in MiB of each", min_value=1, max_value=2**31 - 1, initial=256)


class ChoiceForm(StyledForm):
    """What a workload needs, to choose between a VM and a container."""

    kernel = forms.ChoiceField(
        label="Its programs are made for",
        choices=(("linux", "Linux"), ("windows", "Windows"), ("other", "BSD or another system")),
    )
    own_kernel = forms.BooleanField(label="It needs kernel modules, settings or a version of its own", required=False)
    strangers = forms.BooleanField(
        label="Its neighbours are strangers to it: other customers, hostile code", required=False
    )
    no_break = forms.BooleanField(label="It must not stop when its host is emptied", required=False)
    fixed_identity = forms.BooleanField(label="A licence is bound to its machine's identity", required=False)
    many = forms.BooleanField(label="There are many of them, or they start and end often", required=False)
    keeps_data = forms.BooleanField(label="It keeps data of its own on disk", required=False)

    def wish(self) -> Wish:
        return Wish(**self.cleaned_data)


class WhenForm(StyledForm):
    """Once at a time, or again and again; left empty, now."""

    at = forms.DateTimeField(
        label="Once, at",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )
    cron = forms.CharField(
        label="Or again and again",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="Minute, hour, day, month, weekday: 30 6 * * 1-5 is half past six on weekdays.",
    )
    time_zone = forms.ChoiceField(
        choices=[(name, name) for name in sorted(available_timezones())], initial="UTC", required=False
    )
    window_minutes = forms.IntegerField(
        label="Begins at most so many minutes late", min_value=1, max_value=10080, initial=15, required=False
    )
    missed = forms.ChoiceField(label="When it was missed", choices=Schedule.Missed.choices, required=False)

    def clean_at(self) -> datetime | None:
        """As it was written: its zone is another field."""
        at = self.cleaned_data["at"]
        return at.replace(tzinfo=None) if at else None

    def is_later(self) -> bool:
        return bool(self.cleaned_data["at"] or self.cleaned_data["cron"])

    def when(self) -> dict[str, Any]:
        """The arguments of `schedule_create` that say when."""
        names = ("at", "cron", "time_zone", "window_minutes", "missed")
        values = {name: self.cleaned_data[name] or self.fields[name].initial for name in names}
        values["cron"], values["missed"] = values["cron"] or "", values["missed"] or Schedule.Missed.SKIP
        if values["at"]:
            values["at"] = values["at"].replace(tzinfo=ZoneInfo(values["time_zone"]))
        return values


class ScheduleForm(WhenForm):
    """A verb on a workload that is there."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    verb = forms.ChoiceField(label="What", choices=VERBS)
    workload = forms.ModelChoiceField(Workload.objects.order_by("name"), empty_label="choose a workload")
    kind = forms.ChoiceField(
        label="Backups hold",
        choices=(("incremental", "what changed since the last"), ("full", "everything")),
        required=False,
        help_text="For backing up only.",
    )
    keep = forms.IntegerField(
        label="Full backups to keep",
        min_value=0,
        max_value=1000,
        initial=0,
        required=False,
        help_text="For backing up only. The newest so many stay, with all that rests on them; 0 keeps all.",
    )

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        values: dict[str, Any] = {name: given[name] for name in ("name", "verb", "workload")} | self.when()
        if given["verb"] == "back_up":
            values["wish"] = {"kind": given["kind"] or "incremental", "keep": given["keep"] or 0}
        return values


class VmForm(StyledForm):
    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    image = forms.ModelChoiceField(
        Image.objects.filter(format__in=[Image.Format.QCOW2, Image.Format.RAW]),
        required=False,
        empty_label="an empty disk",
        help_text="The VM gets a copy of its own.",
    )
    iso = forms.ModelChoiceField(
        Image.objects.filter(format=Image.Format.ISO),
        required=False,
        label="ISO",
        empty_label="none",
        help_text="Lies in its CD-ROM drive, from which it starts until it is ejected.",
    )
    flavour = forms.ModelChoiceField(
        Flavour.objects.all(),
        required=False,
        empty_label="a size of its own",
        help_text="Takes the place of the three below.",
    )
    cpu_cores = forms.IntegerField(label="Virtual CPUs", min_value=1, max_value=1024, initial=1)
    memory_mib = forms.IntegerField(label="Memory in MiB", min_value=1, max_value=2**31 - 1, initial=256)
    disk_gib = forms.FloatField(label="Disk in GiB", min_value=0.01, max_value=1e6, initial=1)
    host = HostChoice()
    may_wake = wake_field()
    anti_affinity_group = forms.CharField(
        label="Group to keep apart",
        max_length=63,
        required=False,
        help_text="Any name. Two workloads of one group never share a host.",
    )

    more_disks_gib = forms.CharField(
        label="Further disks in GiB",
        max_length=200,
        required=False,
        help_text="Their sizes with spaces between, for example 20 100. They are empty.",
    )
    more_bridges = forms.CharField(
        label="Further network cards",
        max_length=200,
        required=False,
        help_text="The bridges of its host that they hang on, with spaces between.",
    )
    firmware = forms.ChoiceField(
        choices=VirtualMachine.Firmware.choices,
        initial=VirtualMachine.Firmware.BIOS,
        required=False,
        help_text="UEFI, and secure boot, only where the host has it. Such a VM has no snapshots.",
    )
    has_tpm = forms.BooleanField(
        label="TPM 2.0",
        required=False,
        help_text="Emulated, where the host can. It moves with the VM, but is in no backup, clone or snapshot.",
    )
    machine = forms.ChoiceField(
        label="Machine type",
        choices=VirtualMachine.Machine.choices,
        initial=VirtualMachine.Machine.Q35,
        required=False,
    )
    cpu_model = forms.CharField(
        label="CPU model",
        max_length=63,
        required=False,
        help_text="One of QEMU's names, such as Haswell-noTSX. Empty: what suits the host.",
    )

    def clean_more_disks_gib(self) -> list[float]:
        try:
            return [float(word) for word in self.cleaned_data["more_disks_gib"].replace(",", " ").split()]
        except ValueError as error:
            raise forms.ValidationError("Write the sizes as numbers of GiB with spaces between.") from error

    def clean_more_bridges(self) -> list[str]:
        return str(self.cleaned_data["more_bridges"]).replace(",", " ").split()

    def clean(self) -> dict[str, Any]:
        """With a flavour, its size; what is left is what a VM is asked for."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if not (values.get("image") or values.get("iso") or {"image", "iso"} & self.errors.keys()):
            self.add_error("image", "Choose an image, or an ISO to install from.")
        values["firmware"] = values.get("firmware") or VirtualMachine.Firmware.BIOS
        values["machine"] = values.get("machine") or VirtualMachine.Machine.Q35
        if flavour := values.pop("flavour", None):
            values |= {name: getattr(flavour, name) for name in ("cpu_cores", "memory_mib", "disk_gib")}
        return values


class FlavourForm(StyledForm):
    """A size under a name."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    cpu_cores = forms.IntegerField(label="Virtual CPUs", min_value=1, max_value=1024, initial=1)
    memory_mib = forms.IntegerField(label="Memory in MiB", min_value=1, max_value=2**31 - 1, initial=1024)
    disk_gib = forms.FloatField(label="Disk in GiB", min_value=0.01, max_value=1e6, initial=10)


class KeepForm(StyledForm):
    """The rest of the form kept as a template."""

    template_name = forms.CharField(
        label="Name of the template",
        max_length=63,
        required=False,
        help_text="One that there is gets its next version; the others stay.",
    )
    note = forms.CharField(label="What is new in it", max_length=200, required=False)


class CloneForm(StyledForm):
    """A copy of a VM."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    start = forms.BooleanField(label="Start it when it is made", required=False)


class RestoreForm(StyledForm):
    """A VM made from a backup."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    host = forms.ModelChoiceField(
        Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED).order_by("name"),
        required=False,
        empty_label="where the backup lies",
        help_text="Another host needs to see the same folder.",
    )


class ContainerForm(StyledForm):
    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, dashes and underscores.")
    image = forms.CharField(
        max_length=300,
        widget=forms.TextInput(attrs={"list": "image-references", "autocomplete": "off", "spellcheck": "false"}),
        help_text="For example nginx:1.27. Images that were added here are offered.",
    )
    command = forms.CharField(required=False, max_length=1000, help_text="Empty: what the image says.")
    environment = forms.CharField(
        required=False, max_length=8000, widget=forms.Textarea(attrs={"rows": 2}), help_text="One NAME=value on a line."
    )
    ports = forms.CharField(
        required=False, max_length=300, help_text="host:container, for example 8080:80 8443:443/tcp."
    )
    volumes = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="One on a line, like data:/var/lib/data, or with a folder that its host allows /srv/shared:/in:ro.",
    )
    cpu_cores = forms.FloatField(label="CPU cores", min_value=0.01, max_value=1024, initial=0.5)
    memory_mib = forms.IntegerField(label="Memory in MiB", min_value=1, max_value=2**31 - 1, initial=128)
    restart_policy = forms.ChoiceField(
        label="When it ends",
        initial="unless-stopped",
        choices=RESTARTS,
    )
    run_as = forms.CharField(
        label="Run as", max_length=65, required=False, help_text="A user of the image, or 1000:1000. Empty: as it says."
    )
    health_command = forms.CharField(
        label="Health check",
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="A shell command inside it that succeeds while it is well, asked every 10 s.",
    )
    is_read_only = forms.BooleanField(label="It may not write to its own file system", required=False)
    host = HostChoice()
    may_wake = wake_field()
    anti_affinity_group = forms.CharField(
        label="Group to keep apart",
        max_length=63,
        required=False,
        help_text="Any name. Two workloads of one group never share a host.",
    )

    def clean_command(self) -> list[str]:
        try:
            return shlex.split(self.cleaned_data["command"])
        except ValueError as error:
            raise forms.ValidationError("There is a quote that is not closed.") from error

    def clean_environment(self) -> dict[str, str]:
        pairs = {}
        for line in self.cleaned_data["environment"].splitlines():
            key, sign, value = line.strip().partition("=")
            if line.strip() and not (key and sign):
                raise forms.ValidationError(f"Write NAME=value on each line; “{line[:40]}” is not like that.")
            if key:
                pairs[key] = value
        return pairs

    def clean_volumes(self) -> list[dict[str, object]]:
        return [_volume(line) for line in self.cleaned_data["volumes"].splitlines() if line.strip()]

    def clean_ports(self) -> list[dict[str, object]]:
        return [_port(word) for word in self.cleaned_data["ports"].replace(",", " ").split()]


def filled_in(wish: dict[str, Any]) -> dict[str, Any]:
    """What the fields of VmForm or ContainerForm say for a wish that is kept."""
    said = dict(wish)
    if "command" in said:
        said["command"] = shlex.join(said["command"] or [])
    for key in ("more_disks_gib", "more_bridges"):
        if key in said:
            said[key] = " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in said[key])
    if "environment" in said:
        said["environment"] = "\n".join(f"{key}={value}" for key, value in said["environment"].items())
    if "ports" in said:
        said["ports"] = " ".join(f"{port['host']}:{port['container']}/{port['protocol']}" for port in said["ports"])
    if "volumes" in said:
        said["volumes"] = "\n".join(
            f"{volume['source']}:{volume['target']}{':ro' if volume.get('is_read_only') else ''}"
            for volume in said["volumes"]
        )
    return said


def _volume(line: str) -> dict[str, object]:
    source, _, rest = line.strip().partition(":")
    target, _, mode = rest.partition(":")
    if not (source and target) or mode not in ("", "ro", "rw"):
        raise forms.ValidationError(f"Write name:/path or /folder:/path on each line; “{line[:40]}” is not like that.")
    kind = "bind" if source.startswith("/") else "volume"
    return {"kind": kind, "source": source, "target": target, "is_read_only": mode == "ro"}


def _port(word: str) -> dict[str, object]:
    numbers, _, protocol = word.partition("/")
    host, sign, inside = numbers.partition(":")
    if not (sign and host.isdigit() and inside.isdigit()):
        raise forms.ValidationError(
            f"Write ports as host:container, for example 8080:80; “{word[:20]}” is not like that."
        )
    return {"host": int(host), "container": int(inside), "protocol": protocol or "tcp"}


SHA256 = "What its maker says, 64 digits. Left empty, nothing is compared."


class FetchForm(StyledForm):
    """A disk image on the web."""

    name = forms.CharField(max_length=63)
    format = forms.ChoiceField(
        label="What it is",
        choices=[choice for choice in ImageArrival.Format.choices if not choice[0].endswith("-tar")],
    )
    url = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.URLInput(attrs={"placeholder": "https://", "spellcheck": "false"}),
    )
    sha256 = forms.CharField(label="SHA-256", max_length=64, required=False, help_text=SHA256)
    host = HostChoice()


class ImageForm(StyledForm):
    name = forms.CharField(max_length=63)
    format = forms.ChoiceField(label="What it is", choices=ImageArrival.Format.choices)
    reference = forms.CharField(
        max_length=300, required=False, help_text="Containers only: name:tag by which it is asked for."
    )
    sha256 = forms.CharField(label="SHA-256", max_length=64, required=False, help_text=SHA256)
    file = forms.FileField(
        label="File",
        help_text="A disk image of up to 64 GiB, or a tar archive for containers. Foreign ones become qcow2.",
    )


class PullForm(StyledForm):
    """Which image comes to which host; its registry's login is used where one is known."""

    host = forms.ModelChoiceField(Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED))
    image = forms.CharField(
        max_length=255, help_text="Such as registry.example/team/app:1.2; without a registry it is Docker Hub's."
    )
    stall_timeout_s = forms.FloatField(
        label="Give up after seconds without news", min_value=3, max_value=3600, initial=60
    )


class RegistryForm(StyledForm):
    address = forms.CharField(
        max_length=253,
        help_text="What its images' names begin with: registry.example or 10.0.0.5:5000. Docker Hub is docker.io.",
    )
    username = forms.CharField(label="User", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    password = forms.CharField(
        label="Password or token",
        max_length=5000,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Kept encrypted and never shown again. Left empty, the stored one stays.",
    )
