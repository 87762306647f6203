"""What a VM or a container should be, as it travels in a command, judged where it arrives.

`from_data` of each class is the host's own judgement: whatever the control plane let through, a name, path,
label or option that is not on the list here reaches no hypervisor and no engine.
"""

from __future__ import annotations

import posixpath
import re
import uuid as uuids
from dataclasses import asdict, dataclass, field
from typing import Any

from hosts.errors import Invalid
from workloads.drivers.volume_spec import VolumeSpec, volumes_from

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TARGET = re.compile(r"vd[a-z]")
_BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
_CPU_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
FORMATS = ("qcow2", "raw")
ISO = "iso"
FIRMWARES = ("bios", "uefi", "uefi-secure")
MACHINES = ("q35", "pc")
PROTOCOLS = ("tcp", "udp", "sctp")
RESTART_POLICIES = ("no", "always", "unless-stopped", "on-failure")


def name_check(name: object, thing: str = "workload") -> str:
    """The name, if it is one that every layer below takes literally; raises Invalid with what to do."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise Invalid(
        f"The name of the {thing} may hold 1 to 63 plain letters (A-Z, a-z), digits, dots, dashes and"
        " underscores, and begins with a letter or a digit. Choose another name.",
        detail=repr(name)[:200],
        field="name",
    )


def uuid_check(value: object) -> str:
    """The uuid in its canonical spelling; raises Invalid."""
    try:
        return str(uuids.UUID(str(value)))
    except ValueError as error:
        raise Invalid("The command names its workload by something that is not a UUID.", repr(value)[:200]) from error


def path_check(path: object) -> str:
    """An absolute, normal path without control characters; raises Invalid."""
    text = str(path)
    if text.startswith("/") and posixpath.normpath(text) == text and text.isprintable() and len(text) < 1024:
        return text
    raise Invalid("A path in the command is not absolute and plain.", repr(path)[:200])


def reference_check(reference: object) -> str:
    """A container image reference; raises Invalid."""
    if isinstance(reference, str) and _REFERENCE.fullmatch(reference):
        return reference
    raise Invalid(
        "The container image must be named like registry.example/team/app:1.2. Correct the image name.",
        repr(reference)[:200],
        field="image",
    )


def _check(ok: bool, sentence: str, detail: object = "", field_name: str | None = None) -> None:
    if not ok:
        raise Invalid(sentence, repr(detail)[:200], field=field_name)


def _plain(text: object, field_name: str) -> str:
    ok = isinstance(text, str) and text.isprintable() and len(text) <= 255
    _check(ok, f"The {field_name.replace('_', ' ')} must be plain text.", text, field_name)
    return str(text)


def _cpu_model_check(model: object) -> str | None:
    _check(
        not model or bool(_CPU_MODEL.fullmatch(str(model))),
        "The CPU model is not a name.",
        model,
        "cpu_model",
    )
    return str(model) if model else None


def _labels_check(labels: object) -> dict[str, str]:
    _check(isinstance(labels, dict), "Labels must be pairs of a key and a value.", labels, "labels")
    assert isinstance(labels, dict)
    for key, value in labels.items():
        _check(
            isinstance(key, str) and bool(_LABEL.fullmatch(key)),
            "A label's key has up to 128 letters, digits, dots, dashes, slashes. Correct it.",
            key,
            "labels",
        )
        _check(
            isinstance(value, str) and len(value) <= 4000 and all(c.isprintable() for c in value),
            f"The value of the label {key} must be plain text of at most 4,000 characters.",
            value,
            "labels",
        )
    return dict(labels)


def size_check(vcpus: object, memory_mib: object) -> tuple[int, int]:
    """A VM's virtual CPUs and MiB of memory; raises Invalid."""
    cpus, mib = int(str(vcpus)), int(str(memory_mib))
    _check(1 <= cpus <= 256, "A VM has 1 to 256 virtual CPUs. Correct the number.", cpus, "vcpus")
    _check(16 <= mib <= 16 * 1024**2, "A VM has 16 MiB to 16 TiB of memory.", mib, "memory_mib")
    return cpus, mib


def limits_check(cpu_cores: object, memory_mib: object) -> tuple[float, int]:
    """A container's CPU cores (0: no limit) and MiB of memory; raises Invalid."""
    cores, mib = float(str(cpu_cores)), int(str(memory_mib))
    _check(cores == 0 or 0.01 <= cores <= 256, "A container has 0.01 to 256 CPU cores.", cores, "cpu_cores")
    _check(6 <= mib <= 16 * 1024**2, "A container has at least 6 MiB of memory.", mib, "memory_mib")
    return cores, mib


@dataclass(frozen=True)
class ImageSource:
    """The image that a new disk is a full copy of."""

    image: str
    sha256: str
    size_bytes: int
    format: str

    @classmethod
    def from_data(cls, data: dict[str, Any], formats: tuple[str, ...] = FORMATS) -> ImageSource:
        _check(data["format"] in formats, f"The image must be {' or '.join(formats)}.", data["format"], "image")
        _check(bool(re.fullmatch(r"[0-9a-f]{64}", data["sha256"])), "The image has no valid checksum.", data)
        return cls(uuid_check(data["image"]), data["sha256"], int(data["size_bytes"]), data["format"])


@dataclass(frozen=True)
class DiskSpec:
    """A VM's disk: where it lies, how large it is, and the image it starts from."""

    target: str
    path: str
    size_gib: float
    format: str = "qcow2"
    pool: str | None = None
    image: ImageSource | None = None

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> DiskSpec:
        _check(
            bool(_TARGET.fullmatch(data["target"])),
            "A disk's target is vda to vdz.",
            data["target"],
            "disks",
        )
        _check(data.get("format", "qcow2") in FORMATS, "A disk must be qcow2 or raw.", data, "disks")
        size_gib = float(data["size_gib"])
        _check(0 < size_gib <= 65536, "A disk has more than 0 and at most 65,536 GiB.", size_gib, "disks")
        image = data.get("image")
        return cls(
            data["target"],
            path_check(data["path"]),
            size_gib,
            data.get("format", "qcow2"),
            name_check(data["pool"], "pool") if data.get("pool") else None,
            ImageSource.from_data(image) if image else None,
        )


@dataclass(frozen=True)
class NicSpec:
    """A VM's network card: the bridge it hangs on and its MAC address."""

    bridge: str
    mac: str

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> NicSpec:
        mac = str(data["mac"]).lower()
        _check(
            bool(_BRIDGE.fullmatch(data["bridge"])),
            "A bridge's name has 1 to 15 letters.",
            data,
            "nics",
        )
        _check(bool(_MAC.fullmatch(mac)), "The MAC address is not a unicast address.", data["mac"], "nics")
        return cls(data["bridge"], mac)


@dataclass(frozen=True)
class VmSpec:
    """A VM as it should be. `kernel` and `initrd` are paths on the host, for guests without a boot loader."""

    uuid: str
    name: str
    vcpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    generation: int = 0
    operation: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    machine: str = "q35"
    cpu_model: str | None = None
    on_crash: str = "preserve"
    kernel: str | None = None
    initrd: str | None = None
    kernel_arguments: str | None = None
    firmware: str = "bios"
    iso: ImageSource | None = None  # in its CD-ROM drive when it is made
    cdrom: str | None = None  # the file in the drive, empty for none; None without a drive. The host names it.
    has_tpm: bool = False

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> VmSpec:
        """The spec, judged; raises Invalid with a sentence for the operator."""
        vcpus, memory_mib = size_check(data["vcpus"], data["memory_mib"])
        machine, on_crash = data.get("machine") or "q35", data.get("on_crash") or "preserve"
        firmware = data.get("firmware") or "bios"
        _check(firmware in FIRMWARES, "The firmware must be bios, uefi or uefi-secure.", firmware, "firmware")
        _check(firmware == "bios" or machine == "q35", "UEFI needs the machine type q35.", machine, "machine")
        iso = ImageSource.from_data(data["iso"], (ISO,)) if data.get("iso") else None
        _check(machine in MACHINES, "The machine type must be q35 or pc.", machine, "machine")
        _check(on_crash in ("preserve", "destroy"), "After a crash a VM is preserved or destroyed.", on_crash)
        arguments = data.get("kernel_arguments")
        _check(arguments is None or str(arguments).isprintable(), "Kernel arguments must be plain text.")
        disks = tuple(DiskSpec.from_data(disk) for disk in data.get("disks") or ())
        _check(len({d.target for d in disks}) == len(disks), "Two disks have the same target.", disks, "disks")
        return cls(
            uuid_check(data["uuid"]),
            name_check(data["name"], "VM"),
            vcpus,
            memory_mib,
            disks,
            tuple(NicSpec.from_data(nic) for nic in data.get("nics") or ()),
            int(data.get("generation") or 0),
            str(uuid_check(data["operation"])) if data.get("operation") else "",
            _labels_check(data.get("labels") or {}),
            machine,
            _cpu_model_check(data.get("cpu_model")),
            on_crash,
            path_check(data["kernel"]) if data.get("kernel") else None,
            path_check(data["initrd"]) if data.get("initrd") else None,
            str(arguments) if arguments else None,
            firmware,
            iso,
            "" if iso or data.get("has_cdrom") else None,
            bool(data.get("has_tpm")),
        )

    @property
    def serial_log(self) -> str:
        return serial_log_path(self.uuid)


def serial_log_path(uuid: str) -> str:
    """Where the host keeps everything the VM ever wrote on its serial line."""
    return f"/var/log/libvirt/qemu/{uuid_check(uuid)}-serial.log"


@dataclass(frozen=True)
class PortSpec:
    """A port of the host that leads to a port of the container."""

    host: int | None
    container: int
    protocol: str = "tcp"

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> PortSpec:
        host = int(data["host"]) if data.get("host") else None
        container, protocol = int(data["container"]), data.get("protocol") or "tcp"
        _check(host is None or 1 <= host <= 65535, "A port lies between 1 and 65,535.", host, "ports")
        _check(1 <= container <= 65535, "A port lies between 1 and 65,535.", container, "ports")
        _check(protocol in PROTOCOLS, "A port's protocol is tcp, udp or sctp.", protocol, "ports")
        return cls(host, container, protocol)


@dataclass(frozen=True)
class HealthSpec:
    """How the engine asks a container whether it is well: a command inside it, whose exit status 0 means yes."""

    test: tuple[str, ...]  # as the engine has it: ("CMD-SHELL", "wget -q localhost") or ("CMD", program, ...)
    interval_s: float = 10.0
    timeout_s: float = 5.0
    retries: int = 3
    start_s: float = 0.0  # at first so long a "no" does not count

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> HealthSpec:
        test = tuple(map(str, data["test"]))
        known = len(test) > 1 and test[0] in ("CMD", "CMD-SHELL")
        _check(
            known or test == ("NONE",), "A health check is a command to run in the container.", test, "health_command"
        )
        _check(sum(map(len, test)) <= 4000, "The health check has more than 4,000 characters.", "", "health_command")
        interval_s, timeout_s = float(data.get("interval_s", 10)), float(data.get("timeout_s", 5))
        start_s, retries = float(data.get("start_s", 0)), int(data.get("retries", 3))
        sane = 1 <= interval_s <= 86400 and 1 <= timeout_s <= 3600 and 1 <= retries <= 100 and 0 <= start_s <= 86400
        _check(sane, "A health check comes every second to every day, with 1 to 100 tries.", data, "health_command")
        return cls(test, interval_s, timeout_s, retries, start_s)


@dataclass(frozen=True)
class ContainerSpec:
    """A container as it should be: everything that Stowage lets a container have, and there is no more.

    `cpu_cores` and `memory_mib` of 0 mean "no limit", as adopted containers may have it.
    """

    uuid: str
    name: str
    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    is_read_only: bool = False  # its own file system; what it writes must go elsewhere
    health: HealthSpec | None = None  # None: what the image says
    working_folder: str = ""
    cpu_cores: float = 1.0
    memory_mib: int = 128
    ports: tuple[PortSpec, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    restart_policy: str = "unless-stopped"
    labels: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    operation: str = ""

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> ContainerSpec:
        """The spec, judged; a key it does not know (privileged, devices ...) is Invalid, not ignored."""
        unknown = set(data) - set(cls.__dataclass_fields__)
        _check(not unknown, f"A container may not have {', '.join(sorted(map(str, unknown)))}.", unknown)
        cores, memory_mib = limits_check(data["cpu_cores"], data["memory_mib"])
        policy = data.get("restart_policy") or "unless-stopped"
        _check(policy in RESTART_POLICIES, f"There is no restart policy {policy}.", policy, "restart_policy")
        environment = dict(data.get("environment") or {})
        for key, value in environment.items():
            _check(
                isinstance(key, str) and key.isprintable() and bool(key) and "=" not in key,
                "A variable's name is plain text without an equals sign.",
                key,
                "environment",
            )
            _check(
                isinstance(value, str) and "\0" not in value,
                f"The variable {key} is not text.",
                "",
                "environment",
            )
        entrypoint = data.get("entrypoint")
        return cls(
            uuid_check(data["uuid"]),
            name_check(data["name"], "container"),
            reference_check(data["image"]),
            tuple(map(str, data.get("command") or ())),
            None if entrypoint is None else tuple(map(str, entrypoint)),
            environment,
            _plain(data.get("user") or "", "user"),
            bool(data.get("is_read_only")),
            HealthSpec.from_data(data["health"]) if data.get("health") else None,
            _plain(data.get("working_folder") or "", "working_folder"),
            cores,
            memory_mib,
            tuple(PortSpec.from_data(port) for port in data.get("ports") or ()),
            volumes_from(data.get("volumes")),
            policy,
            _labels_check(data.get("labels") or {}),
            int(data.get("generation") or 0),
            str(uuid_check(data["operation"])) if data.get("operation") else "",
        )

    def to_data(self) -> dict[str, Any]:
        return asdict(self)
