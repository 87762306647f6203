"""The embedded parts: which there are, and with what words each is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datacenter.run.env_file import private_write
from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.part import PartSpec
from datacenter.run.ports import port_pick
from datacenter.run.service_user import ServiceUser

_METRICS_USER = "stowage"
# The stores and the broker end last: the others still write to them while they end.
STORES_WAVE, SERVICES_WAVE, LAB_WAVE = 0, 1, 2
_MANAGE = str(CHECKOUT / "manage.py")


@dataclass(frozen=True)
class Ports:
    """Where this run listens; None for a part that the environment gives by URL."""

    dashboard: int
    redis: int | None
    metrics_raw: int | None
    metrics_long: int | None


def ports_pick(dashboard: int, given: Mapping[str, str]) -> Ports:
    """Free ports for the parts that `given` (the environment) names no URL for. Raises Refused."""
    taken: set[int] = set()
    return Ports(
        dashboard=port_pick(dashboard, taken),
        redis=None if given.get("REDIS_URL") else port_pick(dashboard + 10, taken),
        metrics_raw=None if given.get("METRICS_URL") else port_pick(dashboard + 11, taken),
        metrics_long=None if given.get("METRICS_LONG_URL") else port_pick(dashboard + 12, taken),
    )


def addresses(secrets: Mapping[str, str], ports: Ports, switch: str | None, given: Mapping[str, str]) -> dict[str, str]:
    """The variables by which the parts find each other; `switch` is this machine's address in the lab."""
    from_lab = switch or "127.0.0.1"
    names = ["localhost", "127.0.0.1", "[::1]", *([switch] if switch else [])]
    values = {
        "STOWAGE_PORT": str(ports.dashboard),
        "PLANE_URL": f"http://{from_lab}:{ports.dashboard}",
        "ALLOWED_HOSTS": given.get("ALLOWED_HOSTS") or ",".join(names),
    }
    if ports.redis:
        values["REDIS_URL"] = f"redis://:{secrets['REDIS_PASSWORD']}@127.0.0.1:{ports.redis}/0"
        values["PLANE_BROKER_URL"] = f"redis://:{secrets['REDIS_PASSWORD']}@{from_lab}:{ports.redis}/0"
    for name, port in (("METRICS_URL", ports.metrics_raw), ("METRICS_LONG_URL", ports.metrics_long)):
        if port:
            values[name] = f"http://{_METRICS_USER}:{secrets['METRICS_PASSWORD']}@127.0.0.1:{port}"
    return values


def redis_spec(layout: Layout, port: int, password: str, switch: str | None, user: ServiceUser) -> PartSpec:
    """Redis by a file that only the service user reads: a command line is everybody's to read.

    The lab's address may not be there yet; "-" lets Redis start without it (redis.conf, `bind`).
    """
    lines = [
        f"bind 127.0.0.1{f' -{switch}' if switch else ''}",
        f"port {port}",
        f"requirepass {password}",
        f"dir {layout.redis}",
        "appendonly yes",  # a queue must survive a restart (pitfalls M27)
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    private_write(layout.redis / "redis.conf", "\n".join(lines) + "\n", user)
    return PartSpec("redis", ("redis-server", str(layout.redis / "redis.conf")), wave=STORES_WAVE)


def metrics_spec(layout: Layout, which: str, port: int, password: str) -> PartSpec:
    """VictoriaMetrics for `raw` samples (30 days) or for the `long` run (13 months)."""
    return PartSpec(
        f"metrics-{which}",
        (
            "victoria-metrics",
            "-envflag.enable",
            f"-storageDataPath={layout.metrics(which)}",
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-retentionPeriod={'30d' if which == 'raw' else '13'}",
            "-search.latencyOffset=0s",
            "-search.cacheTimestampOffset=1h",
            "-dedup.minScrapeInterval=1ms",  # what a restarted collector sends twice counts once
            "-memory.allowedBytes=256MB",
        ),
        {"httpAuth_username": _METRICS_USER, "httpAuth_password": password},
        wave=STORES_WAVE,
    )


def web_spec(port: int, switch: str | None, open_lab_address: bool) -> PartSpec:
    words = [sys.executable, _MANAGE, "web", "--port", str(port)]
    words += ["--plane-address", switch] if switch else []
    words += ["--open-plane-address"] if open_lab_address else []
    return PartSpec("web", tuple(words), wave=SERVICES_WAVE)


def worker_specs() -> list[PartSpec]:
    """The Celery processes and the collector, in the order of starting."""
    celery = (sys.executable, "-m", "celery", "-A", "datacenter.celery:app")
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO")
    return [
        PartSpec("collector", (sys.executable, _MANAGE, "collect")),
        PartSpec(
            "control",
            # Threads: its tasks are short and wait for the database, one process's memory is enough for four.
            (*celery, "worker", "-Q", "control", "-n", "control@%h", "--pool=threads", "--concurrency=4", *alone),
        ),
        PartSpec("plan", (*celery, "worker", "-Q", "plan", "-n", "plan@%h", "--pool=solo", *alone)),
        PartSpec(
            "alerts",
            # Threads that wait: for the store, and for the processes that send.
            (*celery, "worker", "-Q", "alerts", "-n", "alerts@%h", "--pool=threads", "--concurrency=4", *alone),
        ),
        PartSpec("beat", (*celery, "beat", "--pidfile=", "--loglevel=INFO")),
    ]


def lab_spec(layout: Layout, hosts: int, subnet: str, port: int, user: ServiceUser, cache_dir: Path) -> PartSpec:
    """The lab: root, because it makes namespaces; it has its own supervisor inside."""
    words = [sys.executable, "-m", "hosts.lab", "--data-dir", str(layout.lab), "--hosts", str(hosts)]
    words += ["--subnet", subnet, "--control-url-port", str(port), "--cache-dir", str(cache_dir)]
    words += ["--owner-uid", str(user.uid)]
    return PartSpec("lab", tuple(words), as_root=True, wave=LAB_WAVE, patience_s=60.0)
