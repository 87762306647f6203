"""What may be done to a host in its present state: `None`, or the sentence that says why not.

The API's 409, the disabled button's tooltip and the planner's reason are this sentence.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hosts.bmc_address import is_wake_only

HostVerb = Literal[
    "place",
    "power_on",
    "power_off",
    "maintenance_on",
    "maintenance_off",
    "edit",
    "edit_bmc",
    "remove",
    "retry_enrolment",
    "shell",
    "give_job",
    "decommission",
    "wake_drill",
    "lift_quarantine",
]
HOST_VERBS: tuple[HostVerb, ...] = (
    "place",
    "power_on",
    "power_off",
    "maintenance_on",
    "maintenance_off",
    "edit",
    "edit_bmc",
    "remove",
    "retry_enrolment",
    "drain",
    "shell",
    "give_job",
    "decommission",
    "wake_drill",
    "lift_quarantine",
)
SILENT_AFTER = timedelta(seconds=30)
_NEEDS_ENROLLED = (
    "give_job",
    "wake_drill",
    "lift_quarantine",
    "place",
    "power_on",
    "power_off",
    "maintenance_on",
    "maintenance_off",
    "drain",
    "edit_bmc",
    "shell",
)


def is_silent(host: Any, now: datetime | None = None) -> bool:
    """Whether the host's plane has said nothing for 30 s: what is shown of it is old."""
    return host.last_seen_at is None or (now or datetime.now(UTC)) - host.last_seen_at > SILENT_AFTER


def why_not(host: Any, verb: str, *, busy: str | None = None, now: datetime | None = None) -> str | None:
    """None, or why the verb is not possible now. Asks no database.

    `busy` is the sentence about the operation that holds the host (`hosts.queries`/`operations.lease`), if any.
    "place" asks whether the host takes a new workload.
    """
    if verb in _NEEDS_ENROLLED and host.lifecycle != "enrolled":
        return f"{host.name} is not enrolled: {host.lifecycle_reason or 'its enrolment is under way'}."
    if busy and verb not in ("edit", "place", "shell"):
        return busy
    reason = _REASONS.get(verb)
    if reason is None:
        raise ValueError(f"no verb {verb} for a host")
    return reason(host, now)


def _place(host: Any, now: datetime | None) -> str | None:
    if host.power == "off" or host.desired_power == "off":
        return f"{host.name} is powered off. Power it on first."
    if reason := why_closed_once_on(host):
        return reason
    if host.is_cordoned:
        return f"{host.name} is closed to new workloads."
    if is_silent(host, now):
        return f"{host.name} does not answer. Check that it is reachable and that hostd runs there."
    return None


def why_closed_once_on(host: Any) -> str | None:
    """None, or why a host that is off would take no new workload once it is woken.

    Switching it off has closed it, and waking opens it again.
    """
    if host.quarantined_at is not None:
        return f"{host.name} is in quarantine, because it did not wake. Lift that on its page."
    return f"{host.name} is in maintenance. End the maintenance first." if host.is_in_maintenance else None


def _no_bmc(host: Any) -> str:
    return f"{host.name} has no BMC, so its power cannot be switched from here. Enter one on its page."


def why_no_switching(host: Any) -> str | None:
    """None, or why the host can never be switched off and woken from here. Reads the relation "bmc"."""
    if not has_bmc(host):
        return _no_bmc(host)
    if is_woken_by_lan(host) and not host.can_shut_down:
        return (
            f"{host.name} has Wake-on-LAN only: it can be woken, and nothing can switch it off. Let its plane do that:"
            ' write "shutdown_command": ["systemctl", "poweroff"] into its configuration and start hostd anew.'
        )
    return None


def why_no_fencing(host: Any) -> str | None:
    """None, or why the host's power can never be cut and read as off. Reads the relation "bmc"."""
    if not has_bmc(host):
        return f"{host.name} has no BMC, so it cannot be fenced."
    if is_woken_by_lan(host):
        return f"{host.name} has Wake-on-LAN only, which cannot cut its power, so it cannot be fenced."
    return None


def is_woken_by_lan(host: Any) -> bool:
    """Whether Wake-on-LAN is all there is: the power can be neither read nor cut."""
    return has_bmc(host) and is_wake_only(host.bmc.url)


def _power_on(host: Any, _now: datetime | None) -> str | None:
    if not has_bmc(host):
        return _no_bmc(host)
    if host.power == "on" and host.desired_power == "on":
        return f"{host.name} is on."
    return None


def _power_off(host: Any, now: datetime | None) -> str | None:
    if reason := why_no_switching(host):
        return reason
    if host.power == "off":
        return f"{host.name} is off."
    if is_silent(host, now):
        return f"{host.name} does not answer, so nobody can tell whether it is empty."
    return None


def _lift_quarantine(host: Any, _now: datetime | None) -> str | None:
    return f"{host.name} is not in quarantine." if host.quarantined_at is None else None


def _maintenance_on(host: Any, _now: datetime | None) -> str | None:
    return f"{host.name} is in maintenance." if host.is_in_maintenance else None


def _maintenance_off(host: Any, _now: datetime | None) -> str | None:
    return None if host.is_in_maintenance else f"{host.name} is not in maintenance."


def _drain(host: Any, now: datetime | None) -> str | None:
    if host.power == "off":
        return f"{host.name} is off."
    if is_silent(host, now):
        return f"{host.name} does not answer, so nothing can be moved away from it."
    return None


def _remove(host: Any, _now: datetime | None) -> str | None:
    """Emptiness is the service's question: it needs the database."""
    return None


def _retry_enrolment(host: Any, _now: datetime | None) -> str | None:
    return None if host.lifecycle == "failed" else f"{host.name} is {host.lifecycle}; there is nothing to retry."


def _give_job(host: Any, _now: datetime | None) -> str | None:
    """Emptiness is the service's question: it needs the database."""
    return None


def _decommission(host: Any, _now: datetime | None) -> str | None:
    if host.lifecycle == "enrolled" and host.power != "off":
        return f"{host.name} is not switched off. Switch it off first."
    return None


def job_sentence(host: Any) -> str:
    """What other job the host has, empty where it has none. Reads the relation: select_related("job") for many."""
    job = getattr(host, "job", None)
    if job is None:
        return ""
    until = f" until {job.until:%Y-%m-%d}" if job.until else ""
    if job.kind == "spare":
        return f"{host.name} is held as a spare{until}."
    return f"{host.name} is lent to {job.note or job.get_kind_display()}{until}."


def _shell(host: Any, now: datetime | None) -> str | None:
    if not host.is_shell_enabled:
        return (
            f'A shell on {host.name} is not enabled. Write "host_shell": true into its plane\'s configuration and '
            "start hostd anew."
        )
    if host.power == "off":
        return f"{host.name} is powered off. Power it on first."
    return f"{host.name} does not answer." if is_silent(host, now) else why_no_gateway(host)


def why_no_gateway(host: Any) -> str | None:
    """None, or why no console of this host can be opened."""
    if host.console_address:
        return None
    return f"{host.name} has not told where its consoles are to be had. Look into the log of hostd there."


def has_bmc(host: Any) -> bool:
    """Whether a BMC is known. Reads the relation: select_related("bmc") where many hosts are asked."""
    return getattr(host, "bmc", None) is not None


_REASONS = {
    "give_job": _give_job,
    "decommission": _decommission,
    "place": _place,
    "power_on": _power_on,
    "power_off": _power_off,
    "maintenance_on": _maintenance_on,
    "maintenance_off": _maintenance_off,
    "edit": lambda _host, _now: None,
    "edit_bmc": lambda _host, _now: None,
    "remove": _remove,
    "drain": _drain,
    "retry_enrolment": _retry_enrolment,
    "shell": _shell,
    "wake_drill": _power_off,  # emptiness is the host's own question: its plane is asked
    "lift_quarantine": _lift_quarantine,
}
