"""The verbs of containers through the Docker Engine API, each an "ensure".

What Stowage lets a container have is `ContainerSpec` and the limits below; everything else (privileges, devices,
host namespaces, folders of the host outside its list) cannot be said here, so it cannot be had (attacks S29, S30).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import docker

from hosts.drivers.base import container_uuid
from hosts.drivers.docker_errors import ENGINE_ERRORS, status_of
from hosts.drivers.docker_host import (
    LABEL_PREFIX,
    DockerHost,
    aside_name,
    container_state,
    inspect,
    is_set_aside,
    ports,
)
from hosts.errors import DriverError, NotFound, Refused, Rejected, TimedOut
from hosts.units import MIB
from workloads.drivers import docker_images, docker_life
from workloads.drivers.base import STEADY, Location, RegistryLogin, Running
from workloads.drivers.docker_pull import STALL_TIMEOUT_S
from workloads.drivers.docker_spec import spec_of
from workloads.drivers.specs import ContainerSpec, HealthSpec
from workloads.drivers.volume_spec import bind_check, names_of

PIDS_LIMIT = 512
# Dropped: all. Given back: what ordinary images need to start as root, own their files, bind port 80 and change to
# a user of their own (nginx, postgres, redis do). Of Docker's defaults these stay away: NET_RAW (spoofing on the
# bridge), MKNOD, AUDIT_WRITE, SETFCAP, SETPCAP, FSETID, SYS_CHROOT.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
LOG_LIMITS = {"max-size": "10m", "max-file": "3"}  # a chatty container must not fill the host's disk
POLL_S = 0.1
STEADY_S = 0.5  # how long a container without a health check must have run to count as started


class DockerContainers:
    """The containers of one host."""

    def __init__(
        self,
        host: DockerHost,
        *,
        bind_paths: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._bind_paths = bind_paths
        self._clock = clock
        self._sleep = sleep

    def locate(self, uuid: str) -> Location:
        with self._host.calls("say where the container is") as client:
            detail = _find(client, uuid)
        if detail is None:
            return Location(False)
        labels = detail["Config"].get("Labels") or {}
        generation = labels.get("stowage.generation", "")
        state, reason = container_state(detail["State"])
        return Location(
            True,
            state,
            reason,
            True,
            int(generation) if generation.isdigit() else None,
            labels.get("stowage.operation", ""),
        )

    def create(self, spec: ContainerSpec) -> str:
        with self._host.calls(f"create the container {spec.name}") as client:
            # By label alone: what somebody else made is never made by us, and looking through all takes its time.
            made = _labelled(client, spec.uuid)
            if made:
                return str(made[0]["Id"])
            try:
                return str(self._create(client, spec)["Id"])
            except ENGINE_ERRORS as error:
                if status_of(error) == 404:
                    raise NotFound(f"The container image {spec.image} is not on the host.", str(error)) from error
                if status_of(error) == 409:
                    return self._created_before(client, spec)
                # Only now: the engine starts programs to describe itself (26 ms on a busy machine, measured).
                self._refuse_impossible(client, spec)
                raise

    def start(self, uuid: str) -> None:
        with self._host.calls("start the container") as client:
            detail = _require(client, uuid)
            try:
                client.start(detail["Id"])
            except ENGINE_ERRORS as error:
                taken = _port_owner(client, detail)
                if taken:
                    raise Refused(taken, str(error)) from error
                raise

    def stop(self, uuid: str, timeout_s: float) -> None:
        with self._host.calls("stop the container") as client:
            detail = _find(client, uuid)
            if detail is not None and _is_up(detail):
                client.stop(detail["Id"], timeout=math.ceil(timeout_s))

    def kill(self, uuid: str) -> None:
        with self._host.calls("end the container") as client:
            detail = _find(client, uuid)
            if detail is not None and _is_up(detail):
                docker_life.kill(client, detail)

    def rename(self, uuid: str, name: str) -> None:
        with self._host.calls("rename the container") as client:
            docker_life.rename(client, _require(client, uuid), name)

    def set_aside(self, uuid: str) -> None:
        with self._host.calls("set the old container aside") as client:
            detail = _find(client, uuid)
            if detail is None and inspect(client, aside_name(uuid)) is not None:
                return
            if detail is None:
                raise NotFound("The container is not on this host.", uuid)
            if _is_up(detail):
                raise Refused(f"The container {detail['Name'].lstrip('/')} still runs. Stop it first.")
            docker_life.rename(client, detail, aside_name(uuid))

    def take_back(self, uuid: str, name: str) -> None:
        docker_life.take_back(self._host, uuid, name)

    def drop_aside(self, uuid: str) -> None:
        docker_life.drop(self._host, uuid)

    def image_used(self, uuid: str) -> str:
        with self._host.calls("describe the container") as client:
            return docker_life.image_of(client, _require(client, uuid))

    def pause(self, uuid: str) -> None:
        with self._host.calls("pause the container") as client:
            detail = _require(client, uuid)
            if detail["State"]["Status"] == "running":
                client.pause(detail["Id"])

    def unpause(self, uuid: str) -> None:
        with self._host.calls("let the container go on") as client:
            detail = _require(client, uuid)
            if detail["State"]["Status"] == "paused":
                client.unpause(detail["Id"])

    def resize(self, uuid: str, cpu_cores: float, memory_mib: int) -> None:
        with self._host.calls("resize the container") as client:
            detail = _require(client, uuid)
            cores = client.info().get("NCPU") or math.inf
            name = detail["Name"].lstrip("/")
            if cpu_cores > cores:
                raise Refused(f"The host has {cores} CPU cores; {name} shall have {cpu_cores:g}.")
            limits = {"NanoCpus": int(cpu_cores * 1e9), "Memory": memory_mib * MIB, "MemorySwap": memory_mib * MIB}
            # docker-py's own call knows no NanoCpus, and the engine takes no other CPU limit once that was set.
            answer = client.post(
                f"{client.base_url}/v{client.api_version}/containers/{detail['Id']}/update", json=limits
            )
            if answer.status_code >= 400:
                raise Refused(f"{name} cannot have {memory_mib} MiB now: it uses more.", answer.text[:300])

    def remove(self, uuid: str) -> None:
        with self._host.calls("remove the container") as client:
            detail = _find(client, uuid)
            if detail is None:
                return
            if _is_up(detail):
                raise Refused(f"The container {detail['Name'].lstrip('/')} still runs. Stop it first.")
            try:
                client.remove_container(detail["Id"], v=True)
            except ENGINE_ERRORS as error:
                if status_of(error) not in (404, 409):  # gone, or being removed by somebody else
                    raise
            self._wait_gone(client, detail)

    def fence(self, uuid: str) -> str:
        with self._host.calls("fence the container") as client:
            detail = _find(client, uuid)
            if detail is None:
                return "no"
            policy = (detail["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
            # The policy first: "always" would bring the old copy back with the next start of the engine.
            client.update_container(detail["Id"], restart_policy={"Name": "no"})
            if _is_up(detail):
                client.stop(detail["Id"], timeout=10)
            after = inspect(client, detail["Id"])
        if after is not None and _is_up(after):
            raise DriverError(f"The container {after['Name'].lstrip('/')} did not stop.")
        return str(policy)

    def restore_policy(self, uuid: str, restart_policy: str) -> None:
        with self._host.calls("set the container's restart policy") as client:
            client.update_container(_require(client, uuid)["Id"], restart_policy={"Name": restart_policy})

    def wait_healthy(self, uuid: str, timeout_s: float) -> str:
        ends_at = self._clock() + timeout_s
        steady_since: tuple[str, float] | None = None
        with self._host.calls("tell how the container is") as client:
            while True:
                detail = _require(client, uuid)
                name, state = detail["Name"].lstrip("/"), detail["State"]
                health = (state.get("Health") or {}).get("Status")
                if state["Status"] in ("exited", "dead") or (state["Status"] == "restarting"):
                    raise Rejected(
                        f"The container {name} does not stay up: {container_state(state)[1]}. See its log.",
                        str(state.get("Error") or ""),
                    )
                if health == "healthy":
                    return "Its health check passes."
                if state["Status"] == "running" and health in (None, "none"):
                    if steady_since is None or steady_since[0] != state["StartedAt"]:
                        steady_since = (state["StartedAt"], self._clock())
                    elif self._clock() - steady_since[1] >= STEADY_S:
                        return STEADY
                if self._clock() > ends_at:
                    raise TimedOut(f"The container {name} was not healthy within {timeout_s:.0f} s.")
                self._sleep(POLL_S)

    def footprint_mib(self, uuid: str) -> tuple[float, float]:
        with self._host.calls("measure the container") as client:
            engine_id = _require(client, uuid)["Id"]
            memory = client.stats(engine_id, stream=False, one_shot=True).get("memory_stats") or {}
            details = memory.get("stats") or {}
            cache = details.get("total_inactive_file", details.get("inactive_file", 0))
            (row,) = client.containers(all=True, size=True, filters={"id": engine_id})
        used_mib = max(0, memory.get("usage", 0) - cache) / MIB
        return used_mib, (row.get("SizeRootFs") or 0) / MIB

    def describe(self, uuid: str) -> ContainerSpec:
        with self._host.calls("describe the container") as client:
            detail = _require(client, uuid)
            image = client.inspect_image(detail["Image"])
        spec = spec_of(detail, image)
        self._binds(spec)  # what may not be given to it again is said before anything is stopped
        return spec

    def _binds(self, spec: ContainerSpec) -> list[str]:
        """Its mounts as the engine takes them, folders by their real path; raises Refused."""
        found = []
        for volume in spec.volumes:
            source = volume.source
            if volume.kind == "bind":
                source = bind_check(source, self._bind_paths, is_local=self._host.is_local)
            found.append(f"{source}:{volume.target}:{'ro' if volume.is_read_only else 'rw'}")
        return found

    def image_id(self, reference: str) -> str | None:
        return docker_images.image_id(self._host, reference)

    def image_pull(
        self,
        reference: str,
        running: Running,
        login: RegistryLogin | None = None,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        return docker_images.pull(self._host, reference, running, login, stall_timeout_s)

    def image_remove(self, engine_id: str) -> None:
        docker_images.remove(self._host, engine_id)

    def image_load(self, file: BinaryIO, reference: str) -> None:
        docker_images.load(self._host, file, reference)

    def image_save(self, reference: str) -> Iterable[bytes]:
        return docker_images.save(self._host, reference)

    @staticmethod
    def _refuse_impossible(client: docker.APIClient, spec: ContainerSpec) -> None:
        """Refuses what the engine would answer with a code that says too little."""
        cores = client.info().get("NCPU") or math.inf
        if spec.cpu_cores > cores:
            raise Refused(f"The host has {cores} CPU cores; {spec.name} asks for {spec.cpu_cores:g}.")

    def _create(self, client: docker.APIClient, spec: ContainerSpec) -> dict[str, Any]:
        binds = self._binds(spec)
        for name in names_of(spec.volumes):  # one that is there stays as it is
            client.create_volume(name, labels={"stowage.operation": spec.operation})
        # A label of ours is a plain word ("pinned"); the engine's world knows labels by dotted names.
        labels = {k if "." in k else LABEL_PREFIX + k: v for k, v in spec.labels.items()} | {
            "stowage.uuid": spec.uuid,
            "stowage.generation": str(spec.generation),
            "stowage.operation": spec.operation,
        }
        return client.create_container(
            spec.image,
            command=list(spec.command) or None,
            entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
            environment=dict(spec.environment),
            user=spec.user or None,
            working_dir=spec.working_folder or None,
            name=spec.name,
            labels=labels,
            ports=[(port.container, port.protocol) for port in spec.ports],
            healthcheck=_healthcheck(spec.health),
            host_config=_host_config(client, spec, binds),
        )

    @staticmethod
    def _created_before(client: docker.APIClient, spec: ContainerSpec) -> str:
        """The id of the container that has our name, if it is ours; the name is the idempotency key (M38)."""
        other = inspect(client, spec.name)
        labels = ((other or {}).get("Config") or {}).get("Labels") or {}
        if other is None or labels.get("stowage.uuid") != spec.uuid:
            raise Refused(f"The host already has a container named {spec.name}. Choose another name.")
        return str(other["Id"])

    def _wait_gone(self, client: docker.APIClient, detail: dict[str, Any]) -> None:
        ends_at = self._clock() + 10
        while inspect(client, detail["Id"]) is not None:
            if self._clock() > ends_at:
                raise TimedOut(f"The container {detail['Name'].lstrip('/')} is still being removed.")
            self._sleep(POLL_S)


def _healthcheck(health: HealthSpec | None) -> dict[str, Any] | None:
    """As the engine wants it: times in nanoseconds."""
    if health is None:
        return None
    return {
        "test": list(health.test),
        "interval": int(health.interval_s * 1e9),
        "timeout": int(health.timeout_s * 1e9),
        "retries": health.retries,
        "start_period": int(health.start_s * 1e9),
    }


def _host_config(client: docker.APIClient, spec: ContainerSpec, binds: list[str]) -> dict[str, Any]:
    bindings: dict[str, list[int | None]] = {}
    for port in spec.ports:
        bindings.setdefault(f"{port.container}/{port.protocol}", []).append(port.host)
    return client.create_host_config(
        read_only=spec.is_read_only or None,
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        security_opt=["no-new-privileges:true"],
        pids_limit=PIDS_LIMIT,
        mem_limit=spec.memory_mib * MIB or None,
        memswap_limit=spec.memory_mib * MIB or None,
        nano_cpus=int(spec.cpu_cores * 1e9) or None,
        restart_policy={"Name": spec.restart_policy},
        port_bindings=bindings,
        binds=binds,
        log_config=docker.types.LogConfig(type="json-file", config=dict(LOG_LIMITS)),
    )


def _find(client: docker.APIClient, uuid: str) -> dict[str, Any] | None:
    """The inspected container of that uuid: by our label, else by the uuid made from the engine's id."""
    rows = _labelled(client, uuid)
    if not rows:
        rows = [
            row
            for row in client.containers(all=True)
            if container_uuid(row["Id"], row.get("Labels") or {}) == uuid and not is_set_aside(row)
        ]
    return inspect(client, rows[0]["Id"]) if rows else None


def _labelled(client: docker.APIClient, uuid: str) -> list[dict[str, Any]]:
    rows = client.containers(all=True, filters={"label": f"stowage.uuid={uuid}"})
    return [row for row in rows if not is_set_aside(row)]


def _require(client: docker.APIClient, uuid: str) -> dict[str, Any]:
    detail = _find(client, uuid)
    if detail is None:
        raise NotFound("The container is not on this host.", uuid)
    return detail


def _is_up(detail: dict[str, Any]) -> bool:
    return detail["State"]["Status"] in ("running", "restarting", "paused")


def _port_owner(client: docker.APIClient, detail: dict[str, Any]) -> str | None:
    """A sentence on which other container holds a port that this one wants."""
    wanted = {(port["host"], port["protocol"]) for port in ports(detail["HostConfig"]) if port["host"]}
    for row, port in _published(client):
        if row["Id"] != detail["Id"] and (port.get("PublicPort"), port.get("Type")) in wanted:
            owner = row["Names"][0].lstrip("/")
            return f"Port {port['PublicPort']} of the host is taken by the container {owner}."
    return None


def _published(client: docker.APIClient) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for row in client.containers():
        for port in row.get("Ports") or []:
            yield row, port
