"""What a host plane observed of its host, brought into the database: only what changed is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hosts.models import Host, Pool, PoolMount
from hosts.publish import publish_change

SEEN_WRITE_EVERY = timedelta(seconds=5)
TEXT_MOST = 300


@dataclass(frozen=True)
class Reach:
    """Which halves of a host answered; a half that did not says nothing about its workloads."""

    hypervisor: bool
    engine: bool

    def covers(self, kind: str) -> bool:
        return self.hypervisor if kind == "vm" else self.engine


def sentence_of(half: Any) -> str:
    """Why a half does not answer; empty when it does."""
    if isinstance(half, dict) and half.get("ok") is True:
        return ""
    text = half.get("sentence") if isinstance(half, dict) else ""
    return str(text or "It does not answer.")[:TEXT_MOST]


def reach_of(observation: dict[str, Any]) -> Reach:
    return Reach(not sentence_of(observation.get("hypervisor")), not sentence_of(observation.get("engine")))


def host_observe(host: Host, observation: dict[str, Any], now: datetime) -> bool:
    """Writes what changed of the host itself and rings its pages; False when the observation is an old one."""
    sequence, boot_id = int(observation["sequence"]), str(observation.get("boot_id", ""))[:64]
    if sequence <= host.observed_sequence:
        return False
    changes: dict[str, Any] = {
        "hypervisor_sentence": sentence_of(observation.get("hypervisor")),
        "engine_sentence": sentence_of(observation.get("engine")),
        "boot_id": boot_id,
        "links": links_of(observation),
    }
    changed = {name: value for name, value in changes.items() if getattr(host, name) != value}
    if host.power != Host.Power.ON:
        changed |= {"power": Host.Power.ON, "power_read_at": now}  # it speaks, so it is on
    was_silent = host.last_seen_at is None or now - host.last_seen_at > timedelta(seconds=15)
    if changed or host.last_seen_at is None or now - host.last_seen_at >= SEEN_WRITE_EVERY:
        written = changed | {"last_seen_at": now, "observed_sequence": sequence}
        Host.objects.filter(pk=host.pk, observed_sequence__lt=sequence).update(**written)
        for name, value in written.items():
            setattr(host, name, value)
    host.observed_sequence = sequence
    # byte counters of links always differ; they are no news to a page
    if was_silent or any(name != "links" for name in changed):
        publish_change("host", host.pk, "observed")
    return True


def links_of(observation: dict[str, Any]) -> list[dict[str, Any]]:
    """The links without their counters, which belong to the metrics store, by name."""
    links = observation.get("links")
    if not isinstance(links, list):
        return []
    counters = {"rx_bytes", "tx_bytes"}
    return sorted(
        (
            {key: value for key, value in link.items() if key not in counters}
            for link in links[:500]
            if isinstance(link, dict)
        ),
        key=lambda link: str(link.get("name")),
    )


def pools_observe(host: Host, observation: dict[str, Any]) -> None:
    """Makes the host's pool mounts those that were observed."""
    seen = []
    for row in observation.get("pools") or []:
        pool_id = str(row.get("pool_id") or "")[:64]
        if not pool_id:
            continue
        pool, _ = Pool.objects.get_or_create(pool_id=pool_id, defaults={"name": str(row.get("name"))[:63]})
        PoolMount.objects.update_or_create(
            host=host,
            pool=pool,
            defaults={
                "path": str(row.get("path"))[:TEXT_MOST],
                "capacity_gib": float(row.get("capacity_gib") or 0),
                "free_gib": float(row.get("free_gib") or 0),
            },
        )
        seen.append(pool.pk)
    PoolMount.objects.filter(host=host).exclude(pool__in=seen).delete()


def epoch(at: float) -> datetime:
    """The moment as the database keeps it."""
    return datetime.fromtimestamp(at, UTC)
