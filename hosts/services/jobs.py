"""Another job for a freed host, and the end of one: by record, signed, with what it was and what it ran last."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import AuditRecord, Decommission, Host, HostJob
from hosts.publish import publish_change
from hosts.services.doors import User, busy_with, refuse_if, refuse_unless
from hosts.services.enrolment import host_remove
from hosts.signing import is_signed, signature_of
from hosts.states import why_not

LAST_RUN_MOST = 50


@transaction.atomic
def host_job_give(user: User, host: Host, *, kind: str, note: str = "", until: date | None = None) -> HostJob:
    """Gives an empty host another job: the planner leaves it alone, and nothing is placed there by itself.

    Raises Refused while workloads are on it, Invalid for a day that has passed.
    """
    refuse_unless(user, "operate", host)
    host = Host.objects.select_for_update(of=("self",)).get(pk=host.pk)
    if kind not in HostJob.Kind.values:
        raise Invalid(f"A host's job is one of {', '.join(HostJob.Kind.values)}.", field="kind")
    if until is not None and until < timezone.localdate():
        raise Invalid("It cannot come back on a day that has passed. Choose a later one, or none.", field="until")
    refuse_if(why_not(host, "give_job", busy=busy_with("host", host.pk)))
    _refuse_unless_empty(host, "give it another job")
    values = {"kind": kind, "note": note.strip()[:200], "until": until, "given_by_name": user.get_username()}
    job, _ = HostJob.objects.update_or_create(host=host, defaults=values)
    audit_write(user, "host_job_give", "host", host.pk, host.name, job=kind, note=job.note, until=str(until or ""))
    publish_change("host", host.pk, "job")
    return job


@transaction.atomic
def host_job_end(user: User, host: Host) -> None:
    """Takes the host back: the planner may use it again. Raises Refused when it has no other job."""
    refuse_unless(user, "operate", host)
    job = HostJob.objects.filter(host=host).first()
    if job is None:
        raise Refused(f"{host.name} has no other job.")
    job.delete()
    audit_write(user, "host_job_end", "host", host.pk, host.name, job=job.kind)
    publish_change("host", host.pk, "job")


@transaction.atomic
def host_decommission(user: User, host: Host, *, typed: str, is_wiped: bool, note: str = "") -> Decommission:
    """Takes a host that is off and empty out of the inventory for good, and keeps a signed record of it.

    `typed` must be its name; `is_wiped` is the word of whoever does it, for Stowage cannot see into a dark machine.
    """
    refuse_unless(user, "administer", host)
    if typed != host.name:
        raise Invalid(f"Nothing was changed: type {host.name} exactly to go on.", field="name")
    host = Host.objects.select_related("rack__site").get(pk=host.pk)
    refuse_if(why_not(host, "decommission", busy=busy_with("host", host.pk)))
    _refuse_unless_empty(host, "decommission it")
    document = _document(user, host, is_wiped, note)
    record = Decommission.objects.create(
        host_name=host.name, document=document, signature=signature_of(settings.SECRET_KEY, _signed(document))
    )
    audit_write(user, "host_decommission", "host", host.pk, host.name, record=str(record.pk), wiped=is_wiped)
    host_remove(user, host)
    return record


def is_genuine(record: Decommission) -> bool:
    """Whether the record is as it was written, by this installation's secret key."""
    return is_signed(settings.SECRET_KEY, _signed(record.document), record.signature)


def _signed(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _refuse_unless_empty(host: Host, purpose: str) -> None:
    count = host.workloads.exclude(state="gone").count()  # type: ignore[attr-defined]  # of the floor above
    if count:
        raise Refused(
            f"{host.name} still has {count} workload{'s' if count > 1 else ''}. Empty it, then {purpose}.",
        )


def _document(user: User, host: Host, is_wiped: bool, note: str) -> dict[str, Any]:
    return {
        "host": host.name,
        "uuid": str(host.pk),
        "site": host.rack.site.name,
        "rack": host.rack.name,
        "machine_id": host.machine_id,
        "serial": str(host.facts.get("serial") or ""),
        "cpu": f"{host.cpu_cores:g} cores {host.cpu_model}".strip(),
        "memory_mib": host.memory_mib,
        "disk_gib": host.disk_gib,
        "enrolled_at": host.enrolled_at.isoformat() if host.enrolled_at else "",
        "ran_last": _ran_last(host),
        "disks_wiped": is_wiped,
        "note": note.strip()[:500],
        "by": user.get_username(),
        "at": timezone.now().isoformat(),
    }


def _ran_last(host: Host) -> list[str]:
    """Names of the workloads that operations were about here, the newest first, each once."""
    about = host.operations.filter(subject_kind__in=("vm", "container")).order_by("-created_at")
    names = list(dict.fromkeys(about.values_list("subject_name", flat=True)[: LAST_RUN_MOST * 10]))
    if not names:
        adopted = AuditRecord.objects.filter(verb="adopt", detail__host=host.name)
        names = list(dict.fromkeys(adopted.values_list("thing_name", flat=True)[: LAST_RUN_MOST * 10]))
    return names[:LAST_RUN_MOST]
