"""Making containers."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from hosts.accounts import account_of
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.doors import User, name_check, refuse_unless
from workloads.drivers.volume_spec import volumes_from
from workloads.models import Container, Workload
from workloads.services.apart import refuse_mate
from workloads.services.capacity import Need, host_choose, refuse_impossible, refuse_without_room
from workloads.services.vms import name_free_check
from workloads.services.waking import wake_begin
from workloads.ties import ties_write

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
RUN_AS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?")
HEALTH_MOST = 1000
RESTART_POLICIES = ("no", "always", "unless-stopped", "on-failure")


def container_create(
    user: User,
    *,
    name: str,
    image: str,
    cpu_cores: float,
    memory_mib: int,
    command: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    ports: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Mapping[str, Any]] = (),
    restart_policy: str = "unless-stopped",
    run_as: str = "",
    is_read_only: bool = False,
    health_command: str = "",
    host: Host | None = None,
    anti_affinity_group: str = "",
    may_wake: bool = False,
    measured_by: dict[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make a container and start it. Without a host, one with room is taken.

    `ports`: {"host": 8080 or None, "container": 80, "protocol": "tcp"}. `volumes`: {"source": "data" or with kind
    "bind" "/srv/shared", "target": "/data", "is_read_only": False}; a named one is made if need be, a folder has to
    be in its host's list. `run_as`: a user of the image, or uid[:gid].
    `health_command`: run by a shell in it every 10 s; it counts as made only once that succeeds. `may_wake` and
    `measured_by` are as in `vm_create`, and so is what it raises.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    _check(image, cpu_cores, memory_mib, restart_policy)
    if run_as and not RUN_AS.fullmatch(run_as):
        raise Invalid("Name a user of the image, or numbers like 1000 or 1000:1000.", field="run_as")
    if len(health_command) > HEALTH_MOST or not health_command.isprintable():
        raise Invalid(f"A health check is one line of at most {HEALTH_MOST} characters.", field="health_command")
    group = name_check(anti_affinity_group, "anti_affinity_group") if anti_affinity_group else ""
    name_free_check(name)
    need = Need(cpu_cores, memory_mib, 0.0, name, Workload.Kind.CONTAINER, group, may_wake=may_wake)
    refuse_impossible(need)
    if host is None:
        host, need = host_choose(need), replace(need, may_wake=True)  # whoever chose one that is off may wake it
    container = Container(
        uuid=uuids.uuid4(),
        kind=Workload.Kind.CONTAINER,
        name=name,
        host=host,
        owner=account_of(user),
        desired=Workload.Desired.RUNNING,
        state=Workload.State.CREATING,
        cpu_cores=cpu_cores,
        memory_mib=memory_mib,
        anti_affinity_group=group,
        image_reference=image,
        command=list(command),
        environment=dict(environment or {}),
        ports=[_port(port) for port in ports],
        volumes=[asdict(volume) for volume in volumes_from(volumes)],
        restart_policy=restart_policy,
    )
    spec = _spec(container) | {"user": run_as, "is_read_only": is_read_only}
    if health_command:
        spec["health"] = {"test": ["CMD-SHELL", health_command]}
    parameters: dict[str, Any] = {"workload": str(container.uuid), "host": str(host.pk), "spec": spec}
    if measured_by is not None:
        parameters |= measured_by | {"image_name": image}
    return operation_start(
        "create_container" if measured_by is None else "measure_container",
        user=user,
        subject=("container", str(container.uuid), name),
        parameters=parameters,
        host=host,
        idempotency_key=idempotency_key,
        before_start=partial(_reserve, user, container, need),
    )


def image_check(image: str) -> None:
    """Raises Invalid for what names no container image."""
    if not REFERENCE.fullmatch(image):
        raise Invalid("Name the container image like registry.example/team/app:1.2. Correct the name.", field="image")


def refuse_taken_volumes(container: Container, host: Host) -> None:
    """Raises Refused when a container of the host, to which this one shall move, has a volume of the same name."""
    wanted = _volume_names(container)
    for other in Container.objects.filter(host=host).exclude(pk=container.uuid):
        if clash := wanted & _volume_names(other):
            raise Refused(f"{host.name} already has a volume named {min(clash)}, of {other.name}. Choose another host.")


def _volume_names(container: Container) -> set[str]:
    return {str(each.get("source")) for each in container.volumes if each.get("kind") == "volume"}


def refuse_taken_ports(container: Container, host: Host) -> None:
    """Raises Refused when another container of the host publishes one of these ports."""
    wanted = _published(container.ports)
    for other in Container.objects.filter(host=host).exclude(pk=container.uuid):
        if clash := wanted & _published(other.ports):
            port, protocol = min(clash)
            raise Refused(
                f"Port {port}/{protocol} of {host.name} belongs to {other.name}. Choose another host or port.",
                field="ports",
            )


def _published(ports: Sequence[Any]) -> set[tuple[int, str]]:
    return {
        (int(port["host"]), str(port.get("protocol") or "tcp"))
        for port in ports
        if isinstance(port, Mapping) and port.get("host")
    }


def _reserve(user: User, container: Container, need: Need, operation: Operation) -> None:
    name_free_check(container.name)
    assert container.host is not None
    refuse_without_room(container.host, need)
    refuse_mate(container.host, need.group)
    refuse_taken_ports(container, container.host)
    container.save(force_insert=True)
    ties_write(container.host)
    wake_begin(user, container.host, operation)
    publish_change("workload", container.uuid, "creating")


def _check(image: str, cpu_cores: float, memory_mib: int, restart_policy: str) -> None:
    image_check(image)
    if not 0.01 <= cpu_cores <= 256:
        raise Invalid("A container has 0.01 to 256 CPU cores.", field="cpu_cores")
    if memory_mib < 6:
        raise Invalid("A container needs at least 6 MiB of memory.", field="memory_mib")
    if restart_policy not in RESTART_POLICIES:
        raise Invalid(f"Choose one of {', '.join(RESTART_POLICIES)}.", field="restart_policy")


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    try:
        host, inside = int(port.get("host") or 0), int(port["container"])
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid("A port is a pair of numbers, such as 8080:80.", field="ports") from error
    protocol = str(port.get("protocol") or "tcp")
    if not (0 <= host <= 65535 and 1 <= inside <= 65535 and protocol in ("tcp", "udp", "sctp")):
        raise Invalid("Ports lie between 1 and 65,535; the protocol is tcp, udp or sctp.", field="ports")
    return {"host": host or None, "container": inside, "protocol": protocol}


def _spec(container: Container) -> dict[str, Any]:
    group = container.anti_affinity_group
    return {
        "uuid": str(container.uuid),
        "name": container.name,
        "image": container.image_reference,
        "command": container.command,
        "environment": container.environment,
        "cpu_cores": container.cpu_cores,
        "memory_mib": container.memory_mib,
        "ports": container.ports,
        "volumes": container.volumes,
        "restart_policy": container.restart_policy,
        "labels": {"anti-affinity": group} if group else {},
    }
