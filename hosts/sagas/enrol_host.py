"""Enrol a host: its BMC answers, its plane answers, it is the machine it seems to be, and VMs find their bridge."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from hosts.errors import Refused
from hosts.models import Bmc, Host, Pool, PoolMount
from hosts.operations.queues import host_long, host_short
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.power_calls import host_of, power_call

PLANE_WAIT_S = 120.0
PROBE_TIMEOUT_S = 240.0


def _has_bmc(context: Context) -> bool:
    return Bmc.objects.filter(host=context.parameters["host"]).exists()


def _check_bmc(context: Context) -> EffectCall:
    return power_call(context, "power.check", "check_bmc", timeout_s=60)


def _ping(context: Context) -> EffectCall:
    """No subject: a person may start hostd while this waits, and the answer is the same to everybody."""
    wait_s = float(context.parameters.get("wait_s", PLANE_WAIT_S))
    return EffectCall(host_short(host_of(context).name), "host.ping", timeout_s=10, deadline_s=wait_s)


def _discover(context: Context) -> EffectCall:
    return EffectCall(host_short(host_of(context).name), "host.discover", timeout_s=60, deadline_s=60)


def _check_identity(context: Context) -> None:
    facts, host = context.output("discover"), host_of(context)
    machine_id, host_uuid = facts.get("machine_id") or "", facts.get("host_uuid") or ""
    others = Host.objects.exclude(pk=host.pk)
    if machine_id and (other := others.filter(machine_id=machine_id).first()):
        raise Refused(
            f"This machine is enrolled already, as {other.name}: both have the machine id {machine_id}. Use that entry,"
            " or, if one was cloned from the other, give this one an id of its own and try again."
        )
    same = Q(facts__host_uuid=host_uuid, lifecycle=Host.Lifecycle.ENROLLED)
    if host_uuid and (other := others.filter(same).first()):
        raise Refused(
            f"{other.name} is enrolled with the same libvirt host_uuid {host_uuid}: libvirt would take the two for one"
            " machine. Set another host_uuid in libvirtd.conf here, restart libvirtd and try again."
        )


def _ensure_bridge(context: Context) -> EffectCall:
    host = host_of(context)
    return EffectCall(
        host_short(host.name),
        "host.bridge_ensure",
        {"bridge": host.bridge},
        subject=("host", str(host.pk)),
        timeout_s=20,
    )


def _remove_bridge(context: Context) -> EffectCall | None:
    """Only a bridge that this operation made; after a lost answer the plane's own mark and its use decide."""
    if not context.output("ensure_bridge").get("created", True):
        return None
    host = host_of(context)
    return EffectCall(
        host_short(host.name),
        "host.bridge_remove",
        {"bridge": host.bridge, "only_if_unused": True},
        subject=("host", str(host.pk)),
        timeout_s=20,
    )


def _probe_accelerator(context: Context) -> EffectCall:
    host = host_of(context)
    return EffectCall(host_long(host.name), "host.probe_accelerator", timeout_s=PROBE_TIMEOUT_S, deadline_s=300)


def _record(context: Context) -> None:
    facts, probe, host = context.output("discover"), context.output("probe_accelerator"), host_of(context)
    now = timezone.now()
    host.machine_id = facts.get("machine_id") or ""
    host.cpu_cores = facts.get("cpu_cores") or 0
    host.memory_mib = facts.get("memory_mib") or 0
    host.disk_gib = facts.get("disk_gib") or 0
    host.architecture = (facts.get("architecture") or "")[:20]
    host.cpu_model = (facts.get("cpu_model") or "")[:120]
    host.os_name = (facts.get("os_name") or "")[:120]
    host.kernel = (facts.get("kernel") or "")[:120]
    host.hypervisor = (facts.get("hypervisor") or "")[:60]
    host.engine = (facts.get("engine") or "")[:60]
    host.accelerator = (probe.get("accelerator") or "tcg")[:10]
    host.accelerator_sentence = _accelerator_sentence(probe)[:300]
    host.facts = facts
    host.lifecycle, host.lifecycle_reason = Host.Lifecycle.ENROLLED, ""
    host.power, host.power_read_at, host.desired_power = Host.Power.ON, now, Host.Power.ON
    host.enrolled_at = now
    host.save()
    for row in facts.get("pools") or []:
        if not row.get("pool_id"):
            continue
        pool, _ = Pool.objects.get_or_create(pool_id=row["pool_id"], defaults={"name": row["name"][:63]})
        PoolMount.objects.update_or_create(
            host=host,
            pool=pool,
            defaults={
                "path": row["path"],
                "capacity_gib": row.get("capacity_gib") or 0,
                "free_gib": row.get("free_gib") or 0,
            },
        )
    publish_change("host", host.pk, "enrolled")


def _accelerator_sentence(probe: Output) -> str:
    if probe.get("error"):
        return f"The probe boot failed, so guests are emulated (TCG): {probe['error']['message']}"
    return str(probe.get("sentence") or "")


def _enrolment_failed(context: Context) -> None:
    reason = context.error.message if context.error else "It was cancelled."
    Host.objects.filter(pk=context.parameters["host"], enrolled_at=None).update(
        lifecycle=Host.Lifecycle.FAILED, lifecycle_reason=reason
    )
    publish_change("host", context.parameters["host"], "enrolment failed")


ENROL_HOST = register(
    Saga(
        "enrol_host",
        "enrol host",
        (
            Step("check_bmc", effect=_check_bmc, when=_has_bmc, attempts=2),  # reads only
            Step("ping", effect=_ping, attempts=1, patience_s=20),  # reads only
            Step("discover", effect=_discover),  # reads only
            Step("check_identity", control=_check_identity),
            Step("ensure_bridge", effect=_ensure_bridge, undo_effect=_remove_bridge),
            # The probe's guest ends with the probe. A host where it fails still runs guests, by emulation.
            Step("probe_accelerator", effect=_probe_accelerator, failure_is_output=True),
            Step("record", control=_record),
        ),
        on_undone=_enrolment_failed,
    )
)
