"""A spec that makes an existing container again elsewhere, or the reasons why none can."""

from __future__ import annotations

from typing import Any

from hosts.drivers.base import container_uuid
from hosts.drivers.docker_host import cpu_cores, own_labels, ports
from hosts.errors import Refused
from hosts.units import bytes_to_mib
from workloads.drivers.specs import ContainerSpec
from workloads.drivers.volume_spec import mounts_read

_IMAGES_WORDS = ("Cmd", "User", "WorkingDir")
_DEFAULT_NETWORKS = ("default", "bridge", "")


def spec_of(detail: dict[str, Any], image: dict[str, Any]) -> ContainerSpec:
    """The spec of an inspected container; raises Refused with every reason against it."""
    name = detail["Name"].lstrip("/")
    volumes, strange = mounts_read(detail)
    if reasons := strange + _obstacles(detail):
        raise Refused(f"The container {name} cannot be made again elsewhere: {' '.join(reasons)}")
    config, limits = detail["Config"], detail["HostConfig"]
    labels = config.get("Labels") or {}
    generation = labels.get("stowage.generation", "")
    image_config = image.get("Config") or {}
    image_labels = image_config.get("Labels") or {}
    entrypoint = config.get("Entrypoint")
    own_entrypoint = (entrypoint or None) != (image_config.get("Entrypoint") or None)
    # What is the image's own is left to it: a newer image may bring another.
    own = {key: config.get(key) if config.get(key) != image_config.get(key) else None for key in _IMAGES_WORDS}
    return ContainerSpec.from_data(
        {
            "uuid": container_uuid(detail["Id"], labels),
            "name": name,
            "image": _reference(config["Image"], image, name),
            "command": list(config.get("Cmd") or ()) if own_entrypoint else own["Cmd"] or [],
            "entrypoint": list(entrypoint or ()) if own_entrypoint else None,
            "environment": _environment(config, image_config),
            "user": own["User"] or "",
            "is_read_only": bool(limits.get("ReadonlyRootfs")),
            "health": _health(config, image_config),
            "working_folder": own["WorkingDir"] or "",
            "cpu_cores": cpu_cores(limits),
            "memory_mib": bytes_to_mib(int(limits.get("Memory") or 0)),
            "ports": ports(limits),
            "volumes": volumes,
            "restart_policy": (limits.get("RestartPolicy") or {}).get("Name") or "no",
            "labels": own_labels({k: v for k, v in labels.items() if image_labels.get(k) != v}),
            "generation": int(generation) if generation.isdigit() else 0,
        }
    )


def _reference(reference: str, image: dict[str, Any], name: str) -> str:
    """A name of the image that means something on another host."""
    if not reference.startswith("sha256:") and reference not in image["Id"]:
        return reference
    if image.get("RepoTags"):
        return str(image["RepoTags"][0])
    raise Refused(f"The image of {name} has no name, only an id of this host. Tag it, then try again.")


def _health(config: dict[str, Any], image_config: dict[str, Any]) -> dict[str, Any] | None:
    """A health check of its own; the image brings its own along. Times left to the engine are its defaults."""
    own = config.get("Healthcheck") or {}
    if not own.get("Test") or own == image_config.get("Healthcheck"):
        return None
    return {
        "test": own["Test"],
        "interval_s": (own.get("Interval") or 30e9) / 1e9,
        "timeout_s": (own.get("Timeout") or 30e9) / 1e9,
        "retries": own.get("Retries") or 3,
        "start_s": (own.get("StartPeriod") or 0) / 1e9,
    }


def _environment(config: dict[str, Any], image_config: dict[str, Any]) -> dict[str, str]:
    own = set(config.get("Env") or ()) - set(image_config.get("Env") or ())
    return dict(pair.split("=", 1) for pair in sorted(own) if "=" in pair)


def _obstacles(detail: dict[str, Any]) -> list[str]:
    limits = detail["HostConfig"]
    network = str(limits.get("NetworkMode") or "")
    found = []
    if limits.get("Tmpfs"):
        found.append("It has folders in memory (tmpfs), which Stowage does not make.")
    if limits.get("Privileged") or (limits.get("CapAdd") and not _is_ours(detail)):
        found.append("It has privileges that Stowage does not give.")
    if limits.get("Devices") or limits.get("DeviceRequests"):
        found.append("It uses devices of its host.")
    if network not in _DEFAULT_NETWORKS or len((detail.get("NetworkSettings") or {}).get("Networks") or {}) > 1:
        found.append(f"It hangs on the network {network}, which only its host has.")
    if limits.get("PidMode") or limits.get("UTSMode") or str(limits.get("IpcMode")) == "host":
        found.append("It shares namespaces with its host or another container.")
    if limits.get("Links") or limits.get("VolumesFrom"):
        found.append("It is linked to other containers of its host.")
    return found


def _is_ours(detail: dict[str, Any]) -> bool:
    return "stowage.uuid" in (detail["Config"].get("Labels") or {})
