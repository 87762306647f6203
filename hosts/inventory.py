"""What a host plane observed of its host, brought into the database: only what changed is written.

All of it comes from a host and is checked and cut to size before use (attacks.md S26, S40).
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hosts.audit import audit_write
from hosts.models import Host, Lease, Pool, PoolMount
from hosts.publish import publish_change

SEEN_WRITE_EVERY = timedelta(seconds=5)
SILENT_AFTER = timedelta(seconds=15)  # three observations missed
# After this much silence a lower sequence number is no late message but a plane that lost its state file.
SEQUENCE_FORGOTTEN_AFTER = timedelta(seconds=30)
TEXT_MOST = 300
LINKS_MOST = 500
POOLS_MOST = 100
LARGEST = 1e12


@dataclass(frozen=True)
class Reach:
    """Which halves of a host answered; a half that did not says nothing about its workloads.

    `read_at`: by kind of workload, when its half was asked, in epoch seconds of the host's plane.
    """

    hypervisor_sentence: str
    engine_sentence: str
    read_at: dict[str, float] = field(default_factory=dict)

    def covers(self, kind: str) -> bool:
        return not self.why_not(kind)

    def why_not(self, kind: str) -> str:
        """Why nothing is known of the workloads of that kind; empty when it is."""
        return self.hypervisor_sentence if kind == "vm" else self.engine_sentence

    def is_before(self, kind: str, at: float) -> bool:
        """Whether the half was asked before that moment, and so may not know of what happened then."""
        return self.read_at.get(kind, math.inf) <= at


def sentence_of(half: Any) -> str:
    """Why a half does not answer; empty when it does."""
    if isinstance(half, dict) and half.get("ok") is True:
        return ""
    text = half.get("sentence") if isinstance(half, dict) else ""
    return plain_text(text) or "It does not answer."


def reach_of(observation: dict[str, Any]) -> Reach:
    told = observation.get("read_at")
    read_at = {kind: amount(told[kind]) for kind in ("vm", "container") if isinstance(told, dict) and kind in told}
    return Reach(sentence_of(observation.get("hypervisor")), sentence_of(observation.get("engine")), read_at)


def plain_text(value: Any, most: int = TEXT_MOST) -> str:
    """The value as text of bounded length without control characters; PostgreSQL refuses NUL, terminals obey ESC."""
    text = "" if value is None else str(value)[: most * 2]
    return "".join(character for character in text if character.isprintable())[:most]


def amount(value: Any) -> float:
    """The value as a finite, believable number of at least 0; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    if isinstance(value, float) and not math.isfinite(value):  # a whole number may be too large to be asked that
        return 0.0
    return float(min(max(value, 0), LARGEST))


def is_silent(host: Host, now: datetime) -> bool:
    """Whether its host plane has not been heard lately."""
    return host.last_seen_at is None or now - host.last_seen_at > SILENT_AFTER


def host_observe(host: Host, observation: dict[str, Any], now: datetime) -> bool:
    """Writes what changed of the host itself and rings its pages; False when the observation is an old one.

    `host` is the caller's copy of the row and is kept up to date.
    """
    sequence = int(observation["sequence"])
    is_forgotten = host.last_seen_at is not None and now - host.last_seen_at > SEQUENCE_FORGOTTEN_AFTER
    if not 0 <= sequence < 2**62 or (sequence <= host.observed_sequence and not is_forgotten):
        return False
    was_silent = is_silent(host, now)
    changes: dict[str, Any] = {
        "hypervisor_sentence": sentence_of(observation.get("hypervisor")),
        "engine_sentence": sentence_of(observation.get("engine")),
        "boot_id": plain_text(observation.get("boot_id"), 64),
        "links": links_of(observation),
        "can_shut_down": observation.get("can_shut_down") is True,
        **consoles_of(observation),
    }
    changed = {name: value for name, value in changes.items() if getattr(host, name) != value}
    if host.power != Host.Power.ON and _is_newer_than_power(host, observation):
        changed |= {"power": Host.Power.ON, "power_read_at": now}  # it speaks, so it is on
    if changed or host.last_seen_at is None or now - host.last_seen_at >= SEEN_WRITE_EVERY:
        written = changed | {"last_seen_at": now, "observed_sequence": sequence}
        Host.objects.filter(pk=host.pk).update(**written)
        for name, value in written.items():
            setattr(host, name, value)
    host.observed_sequence = sequence
    if was_silent or changed:
        publish_change("host", host.pk, "observed")
    return True


def is_lost(host: Host, now: datetime) -> bool:
    """Whether a host that was heard once answers no more; one that was just switched on is given its time."""
    just_woken = (
        host.power == Host.Power.ON and host.power_read_at is not None and now - host.power_read_at <= SILENT_AFTER
    )
    return host.last_seen_at is not None and is_silent(host, now) and not just_woken


def host_lost(host: Host) -> None:
    """Notes that a host has stopped answering: whether it is on is no longer known. Rings its pages."""
    if Host.objects.filter(pk=host.pk, power=Host.Power.ON).update(power=Host.Power.UNKNOWN):
        host.power = Host.Power.UNKNOWN
    publish_change("host", host.pk, "silent")


def power_observe(host: Host, power: str, at: datetime) -> bool:
    """Notes that a machine was switched by somebody else, as its BMC tells; whether that is news.

    An operation on the host tells of its own switching. Who speaks after the reading is on, whatever was read.
    `host` is the caller's copy of the row and is kept up to date.
    """
    is_known = power not in (Host.Power.ON, Host.Power.OFF) or power == host.power
    if is_known or (power == Host.Power.ON and host.power != Host.Power.OFF):
        return False  # that a machine is on says nothing of why it does not answer
    if any(known is not None and known >= at for known in (host.last_seen_at, host.power_read_at)):
        return False
    if Lease.objects.filter(thing_kind="host", thing_id=str(host.pk), operation__isnull=False).exists():
        return False
    rows = Host.objects.filter(pk=host.pk, power=host.power)
    if not rows.update(power=power, power_read_at=at):
        return False
    host.power, host.power_read_at = Host.Power(power), at
    if host.desired_power != power:
        audit_write(None, "power_seen", "host", host.pk, host.name, power=power)
    publish_change("host", host.pk, f"power {power}")
    return True


def _is_newer_than_power(host: Host, observation: dict[str, Any]) -> bool:
    """Whether the observation was made after the power was last read: a host's last words arrive when it is off."""
    return host.power_read_at is None or amount(observation.get("at")) > host.power_read_at.timestamp()


def consoles_of(observation: dict[str, Any]) -> dict[str, Any]:
    """Where the host's console gateway is; a plane that says nothing of one has none."""
    told = observation.get("consoles")
    told = told if isinstance(told, dict) else {}
    address, port, sha256 = told.get("address"), told.get("port"), told.get("sha256")
    is_whole = (
        isinstance(address, str)
        and is_machine_address(address)
        and isinstance(port, int)
        and 0 < port < 65536
        and isinstance(sha256, str)
        and re.fullmatch("[0-9a-f]{64}", sha256) is not None
    )
    return {
        "console_address": address if is_whole else "",
        "console_port": port if is_whole else 0,
        "console_sha256": sha256 if is_whole else "",
        "is_shell_enabled": told.get("shell") is True,
    }


def is_machine_address(text: str) -> bool:
    """Whether it is the plain address of one machine: a host must not send our web processes just anywhere."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_link_local or address.is_multicast or address.is_unspecified or "%" in text)


def links_of(observation: dict[str, Any]) -> list[dict[str, Any]]:
    """The links by name, without their counters, which belong to the metrics store."""
    links = observation.get("links")
    if not isinstance(links, list):
        return []
    return sorted((_link(link) for link in links[:LINKS_MOST] if isinstance(link, dict)), key=lambda link: link["name"])


def _link(link: dict[str, Any]) -> dict[str, Any]:
    addresses = link.get("addresses")
    return {
        "name": plain_text(link.get("name"), 63),
        "kind": plain_text(link.get("kind"), 63),
        "mac": plain_text(link.get("mac"), 63),
        "mtu": int(amount(link.get("mtu"))),
        "up": link.get("up") is True,
        "carrier": link.get("carrier") is True,
        "addresses": [plain_text(one, 63) for one in (addresses if isinstance(addresses, list) else [])[:50]],
        "master": plain_text(link.get("master"), 63) or None,
        "made_by_stowage": link.get("made_by_stowage") is True,
    }


def pools_observe(host: Host, observation: dict[str, Any]) -> None:
    """Makes the host's pool mounts those that were observed; an observation without a list of pools says nothing."""
    rows = observation.get("pools")
    if not isinstance(rows, list):
        return
    stored = {mount.pool.pool_id: mount for mount in host.pool_mounts.select_related("pool")}
    seen = {pool_id: row for row in rows[:POOLS_MOST] if (pool_id := _pool_id(row))}
    for pool_id, row in seen.items():
        values = {
            "path": plain_text(row.get("path")),
            "capacity_gib": amount(row.get("capacity_gib")),
            "free_gib": amount(row.get("free_gib")),
        }
        mount = stored.get(pool_id)
        if mount is None:
            name = plain_text(row.get("name"), 63) or pool_id[:8]
            pool, _ = Pool.objects.get_or_create(pool_id=pool_id, defaults={"name": name})
            PoolMount.objects.update_or_create(host=host, pool=pool, defaults=values)
        elif any(getattr(mount, name) != value for name, value in values.items()):
            PoolMount.objects.filter(pk=mount.pk).update(**values)
    lost = [mount.pk for pool_id, mount in stored.items() if pool_id not in seen]
    if lost:
        PoolMount.objects.filter(pk__in=lost).delete()


def _pool_id(row: Any) -> str:
    return plain_text(row.get("pool_id"), 64) if isinstance(row, dict) else ""
