"""One host's container engine through the Docker Engine API: what it is, what runs, what that uses, what changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import docker

from hosts.drivers.base import (
    EngineFacts,
    ObservedImage,
    ObservedWorkload,
    WorkloadCounters,
    WorkloadState,
    container_uuid,
)
from hosts.drivers.docker_errors import ENGINE_ERRORS, foreign_error, status_of
from hosts.units import MIB

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
_STATS_AT_ONCE = 20  # docker-py keeps 25 connections
DETAILS_FRESH_S = 60.0  # what no event and no list tells of is seen this late at most
STATS_DEADLINE_S = 4.0  # for one pass over all containers; slower ones are missing from it
LABEL_PREFIX = "stowage."
ASIDE_PREFIX = "stowage-kept-"
STAMP_LABELS = ("stowage.uuid", "stowage.generation", "stowage.operation")
# 130, 137, 143: ended by an interrupt, a kill or a stop, which somebody asked for.
_ASKED_TO_END = (0, 130, 137, 143)
_STATES: dict[str, WorkloadState] = {
    "created": "stopped",
    "running": "running",
    "paused": "paused",
    "restarting": "starting",
    "removing": "stopped",
    "exited": "stopped",
    "dead": "crashed",
}


class DockerHost:
    """A connection to one host's engine; every call ends within its timeout."""

    def __init__(self, url: str = "unix:///var/run/docker.sock", *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None
        self._asking = ThreadPoolExecutor(_STATS_AT_ONCE, thread_name_prefix="stats")
        self._known = KnownDetails()

    @property
    def is_local(self) -> bool:
        return self.url.startswith("unix://")

    def open(self) -> None:
        with self.calls("answer"):
            pass

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def is_alive(self) -> bool:
        return self._client is not None

    @contextmanager
    def calls(self, doing: str) -> Iterator[docker.APIClient]:
        """The client for a block of calls whose errors come out as ours."""
        try:
            yield self._connected()
        except ENGINE_ERRORS as error:
            mapped = foreign_error(error, doing)
            if mapped.transient:
                self.close()
            raise mapped from error

    def _connected(self) -> docker.APIClient:
        with self._lock:
            if self._client is None:
                self._client = docker.APIClient(base_url=self.url, version="auto", timeout=self._timeout_s)
            return self._client

    def facts(self) -> EngineFacts:
        missing: list[str] = []
        with self.calls("describe itself") as client:
            info, version = client.info(), client.version()
        name = next((c["Name"] for c in version.get("Components") or [] if c.get("Name")), "Engine")
        name = "Docker" if name == "Engine" else name.removesuffix(" Engine")
        if not info.get("MemoryLimit", True):
            missing.append("The container engine cannot limit memory on this host.")
        if not info.get("CpuCfsQuota", True):
            missing.append("The container engine cannot limit CPU on this host.")
        return EngineFacts(
            f"{name} {version.get('Version', '')}".strip(),
            str(info.get("ID", "")),
            str(info.get("Driver", "")),
            bool(info.get("LiveRestoreEnabled")),
            tuple(missing),
        )

    def list_containers(self) -> list[ObservedWorkload]:
        with self.calls("list its containers") as client:
            rows = [row for row in client.containers(all=True) if not is_set_aside(row)]
            details = [self._known.get(row, lambda engine_id: inspect(client, engine_id)) for row in rows]
            self._known.keep_only({row["Id"] for row in rows})
        return [observed(detail) for detail in details if detail is not None]

    def list_images(self) -> list[ObservedImage]:
        with self.calls("list its images") as client:
            rows, containers = client.images(), client.containers(all=True)
        return images_observed(rows, containers)

    def container_counters(self, engine_ids: Collection[str] | None = None) -> list[WorkloadCounters]:
        with self.calls("count what its containers use") as client:
            rows = [row for row in client.containers() if engine_ids is None or row["Id"] in engine_ids]
            # Docker 20.10 takes a second for each answer, however it is asked
            asked = {self._asking.submit(_stats, client, row["Id"]): row for row in rows}
            done, late = wait(asked, STATS_DEADLINE_S)
            for future in late:
                future.cancel()
            answers = [(asked[future], future.result()) for future in done]
        return [_counters(row, numbers) for row, numbers in answers if numbers is not None]

    def watch(self, on_change: Callable[[str], None]) -> DockerWatch:
        return DockerWatch(self.url, self._timeout_s, on_change, self._known)


class KnownDetails:
    """What inspecting containers gave, while the engine's events tell of every change; asking fifty costs 100 ms.

    Nothing is kept while nobody watches. Used by the reading thread, told of changes by the watch's.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._details: dict[str, tuple[Any, float, dict[str, Any]]] = {}
        self._changed: set[str] = set()
        self.is_watched = False

    def get(self, row: dict[str, Any], ask: Callable[[str], dict[str, Any] | None]) -> dict[str, Any] | None:
        """The container's details; `row` is the engine's list's, which changes with name, state and network."""
        engine_id = row["Id"]
        says = {key: row.get(key) for key in ("State", "Names", "Image", "Labels", "Ports")}
        known = self._details.get(engine_id)
        if known is not None and self.is_watched and engine_id not in self._changed:
            said, read_at, detail = known
            if said == says and self._clock() - read_at < DETAILS_FRESH_S:
                return detail
        # before asking: an event that comes while the answer is under way makes it stale
        self._changed.discard(engine_id)
        read_at = self._clock()
        detail = ask(engine_id)
        if detail is not None:
            self._details[engine_id] = (says, read_at, detail)
        return detail

    def begin(self) -> None:
        """Somebody watches from now on; what was read before may have changed unseen."""
        self._details = {}
        self.is_watched = True

    def changed(self, engine_id: str) -> None:
        self._changed.add(engine_id)

    def keep_only(self, engine_ids: set[str]) -> None:
        self._details = {engine_id: known for engine_id, known in self._details.items() if engine_id in engine_ids}
        self._changed &= engine_ids


class DockerWatch:
    """Container events of one engine, read by a thread over a connection of its own."""

    def __init__(
        self, url: str, timeout_s: float, on_change: Callable[[str], None], known: KnownDetails | None = None
    ) -> None:
        self._on_change = on_change
        self._known = known or KnownDetails()
        self._closed = False
        try:
            self._client = docker.APIClient(base_url=url, version="auto", timeout=timeout_s)
            self._stream = self._client.events(decode=True, filters={"type": ["container", "image"]})
        except ENGINE_ERRORS as error:
            raise foreign_error(error, "report changes") from error
        self._known.begin()
        threading.Thread(target=self._read, name="docker events", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._known.is_watched = False
        with suppress(*ENGINE_ERRORS, OSError, AttributeError):
            self._stream.close()
        self._client.close()

    def _read(self) -> None:
        try:
            for event in self._stream:
                if self._closed:
                    return
                # exec_create, exec_start ... of health checks change nothing that is observed
                if not str(event.get("Action", "")).startswith(("exec_", "top", "attach", "resize")):
                    actor = event.get("Actor") or {}
                    self._known.changed(actor.get("ID", ""))
                    self._on_change(container_uuid(actor.get("ID", ""), actor.get("Attributes") or {}))
        except (*ENGINE_ERRORS, OSError, ValueError, AttributeError) as error:
            log.debug("The stream of engine events ended: %s", error)
        if not self._closed:
            self._known.is_watched = False
            self._on_change("")


def aside_name(uuid: str) -> str:
    """The name of a container that waits, stopped, until its successor with the same uuid is well."""
    return f"{ASIDE_PREFIX}{uuid}"


def is_set_aside(row: dict[str, Any]) -> bool:
    """Whether a row of the engine's list is such a container: it is no workload, and counts for none."""
    return f"/{aside_name(container_uuid(row['Id'], row.get('Labels') or {}))}" in (row.get("Names") or [])


def images_observed(rows: list[dict[str, Any]], containers: list[dict[str, Any]]) -> list[ObservedImage]:
    """What the engine's two lists tell, by id."""
    used: dict[str, list[str]] = {}
    for row in containers:
        used.setdefault(row["ImageID"], []).extend(name.lstrip("/") for name in (row.get("Names") or [])[:1])
    return [
        ObservedImage(
            row["Id"],
            tuple(sorted(name for name in row.get("RepoTags") or [] if name != "<none>:<none>")),
            int(row.get("Size") or 0),
            tuple(sorted(used.get(row["Id"], ()))),
        )
        for row in sorted(rows, key=lambda row: row["Id"])
    ]


def inspect(client: docker.APIClient, engine_id: str) -> dict[str, Any] | None:
    """All that the engine knows of a container, or None when it has none of that id or name."""
    try:
        return client.inspect_container(engine_id)
    except ENGINE_ERRORS as error:
        if status_of(error) == 404:
            return None
        raise


def container_state(state: dict[str, Any]) -> tuple[WorkloadState, str]:
    """Our state and reason from the engine's `State`: {"Status": "exited", "ExitCode": 1} is a crash."""
    status, code = state.get("Status", ""), state.get("ExitCode", 0)
    ours = _STATES.get(status, "unknown")
    health = (state.get("Health") or {}).get("Status")
    if status == "running":
        return ours, "running" if health in (None, "none", "healthy") else f"running (health: {health})"
    if status != "exited":
        return ours, status or "unknown"
    if state.get("OOMKilled"):
        return "crashed", "exited (out of memory)"
    return "stopped" if code in _ASKED_TO_END else "crashed", f"exited ({code})"


def observed(detail: dict[str, Any]) -> ObservedWorkload:
    """What an inspected container is, in our words."""
    config, limits = detail["Config"], detail["HostConfig"]
    labels = config.get("Labels") or {}
    state, reason = container_state(detail["State"])
    generation = labels.get("stowage.generation", "")
    policy = (limits.get("RestartPolicy") or {}).get("Name") or "no"
    return ObservedWorkload(
        "container",
        container_uuid(detail["Id"], labels),
        detail["Name"].lstrip("/"),
        state,
        reason,
        cpu_cores(limits),
        int(limits.get("Memory") or 0) // MIB,
        autostart=policy in ("always", "unless-stopped"),
        image=config.get("Image"),
        engine_id=detail["Id"],
        labels=own_labels(labels),
        restart_policy=policy,
        ports=tuple(ports(limits)),
        volumes=tuple(mounts(detail)),
        command=tuple(config.get("Cmd") or ()),
        environment_keys=tuple(sorted(pair.split("=", 1)[0] for pair in config.get("Env") or ())),
        generation=int(generation) if generation.isdigit() else None,
        managed="stowage.uuid" in labels,
        pid=detail["State"].get("Pid") or None,
    )


def own_labels(labels: dict[str, str]) -> dict[str, str]:
    """The labels that describe the workload: without our stamp, and "stowage.pinned" is "pinned"."""
    return {key.removeprefix(LABEL_PREFIX): value for key, value in labels.items() if key not in STAMP_LABELS}


def cpu_cores(limits: dict[str, Any]) -> float:
    """The CPU limit in cores, 0 when there is none."""
    if limits.get("NanoCpus"):
        return limits["NanoCpus"] / 1e9
    if limits.get("CpuQuota", 0) > 0:
        return limits["CpuQuota"] / (limits.get("CpuPeriod") or 100_000)
    return 0.0


def ports(limits: dict[str, Any]) -> list[dict[str, Any]]:
    """Published ports as {"host", "container", "protocol"}; host is None when the engine chooses one."""
    found = []
    for key, bindings in sorted((limits.get("PortBindings") or {}).items()):
        number, _, protocol = key.partition("/")
        for binding in bindings or [{}]:
            host = int(binding["HostPort"]) if binding.get("HostPort") else None
            found.append({"host": host, "container": int(number), "protocol": protocol or "tcp"})
    return found


def mounts(detail: dict[str, Any]) -> list[dict[str, Any]]:
    """What it has of its host's disk, by the path inside: {"kind", "source", "target", "is_read_only"}.

    The kind is "volume" (named by its source), "bind" (a folder), or what else the engine calls it.
    """
    found = [
        {
            "kind": str(mount.get("Type") or ""),
            "source": str((mount.get("Name") if mount.get("Type") == "volume" else mount.get("Source")) or ""),
            "target": str(mount.get("Destination") or ""),
            "is_read_only": mount.get("RW") is False,
        }
        for mount in detail.get("Mounts") or []
    ]
    return sorted(found, key=lambda mount: str(mount["target"]))


def _stats(client: docker.APIClient, engine_id: str) -> dict[str, Any] | None:
    try:
        # one_shot: without it the engine waits a second to fill in a rate that nobody here reads
        return client.stats(engine_id, stream=False, one_shot=True)
    except ENGINE_ERRORS as error:
        if status_of(error) in (404, 409):
            return None
        raise


def _counters(row: dict[str, Any], stats: dict[str, Any]) -> WorkloadCounters:
    """A container's counters from the engine's statistics. Source: Docker Engine API, ContainerStats."""
    memory, cpu = stats.get("memory_stats") or {}, stats.get("cpu_stats") or {}
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = list((stats.get("networks") or {}).values())
    blocks = stats.get("blkio_stats") or {}
    throttled_ns = (cpu.get("throttling_data") or {}).get("throttled_time")

    def of_disks(group: str, operation: str) -> int:
        return sum(row["value"] for row in blocks.get(group) or [] if row["op"].lower() == operation)

    return WorkloadCounters(
        "container",
        container_uuid(row["Id"], row.get("Labels") or {}),
        row["Names"][0].lstrip("/"),
        (cpu.get("cpu_usage") or {}).get("total_usage", 0) / 1e9,
        max(0, memory.get("usage", 0) - cache) / MIB,
        cpu_throttled_seconds_total=None if throttled_ns is None else throttled_ns / 1e9,
        processes=(stats.get("pids_stats") or {}).get("current"),
        disk_read_bytes_total=of_disks("io_service_bytes_recursive", "read"),
        disk_written_bytes_total=of_disks("io_service_bytes_recursive", "write"),
        disk_reads_total=of_disks("io_serviced_recursive", "read"),
        disk_writes_total=of_disks("io_serviced_recursive", "write"),
        **{key: sum(network.get(field, 0) for network in networks) for key, field in _NETWORK.items() if networks},
    )


_NETWORK = {
    "network_received_bytes_total": "rx_bytes",
    "network_sent_bytes_total": "tx_bytes",
    "network_received_packets_total": "rx_packets",
    "network_sent_packets_total": "tx_packets",
    "network_received_dropped_total": "rx_dropped",
    "network_sent_dropped_total": "tx_dropped",
    "network_received_errors_total": "rx_errors",
    "network_sent_errors_total": "tx_errors",
}
