"""Templates and flavours: what is asked for again and again, under a name."""

from __future__ import annotations

import uuid as uuids
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation
from hosts.services.doors import User, name_check, refuse_unless
from workloads.first_boot import FirstBoot
from workloads.models import Flavour, Template, Workload
from workloads.services.vms import DISK_GIB_LEAST, VCPUS_MOST
from workloads.services.wishes import wish_begin, wish_plain, wish_rehearse

MOST = 1000
VERBS = {Workload.Kind.VM: "create_vm", Workload.Kind.CONTAINER: "create_container"}
OWN = ("name", "host", "may_wake", "first_boot")  # of each workload, not of its template


def template_save(user: User, *, name: str, kind: str, wish: dict[str, Any], note: str = "") -> Template:
    """Keeps a wish as the next version of the template of that name.

    `wish` are the arguments of `vm_create` or `container_create`; name, host and first boot are left out. Raises
    Invalid with the field for a wish that could never be carried out, and where the name is of the other kind.
    """
    refuse_unless(user, "operate")
    name = name_check(name)
    if kind not in VERBS:
        raise Invalid("Choose whether it is a VM or a container.", field="kind")
    plain = wish_plain({key: value for key, value in wish.items() if key not in OWN})
    wish_rehearse(user, VERBS[Workload.Kind(kind)], plain | {"name": f"rehearsal-{uuids.uuid4().hex}"})
    if Template.objects.filter(name=name).exclude(kind=kind).exists():
        raise Invalid(f"{name} is a template of the other kind. Choose another name.", field="name")
    if Template.objects.count() >= MOST:
        raise Refused(f"There are {MOST} versions of templates already. Remove some first.")
    try:
        with transaction.atomic():
            version = (Template.objects.filter(name=name).aggregate(most=Max("version"))["most"] or 0) + 1
            row = Template(name=name, version=version, kind=kind, wish=plain, note=note.strip()[:200])
            row.made_by_name = user.get_username()
            row.save(force_insert=True)
            audit_write(user, "template_save", "template", row.pk, str(row))
    except IntegrityError:
        raise Refused(f"Somebody has just saved a version of {name}. Look at it, then save again.") from None
    return row


def template_use(
    user: User,
    template: Template,
    *,
    name: str,
    host: Host | None = None,
    may_wake: bool = False,
    first_boot: FirstBoot | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to make a workload from the template; raises as `vm_create` and `container_create`."""
    refuse_unless(user, "operate")
    verb = VERBS[Workload.Kind(template.kind)]
    if first_boot is not None and verb != "create_vm":
        raise Invalid("A container has no first boot. Leave it empty.", field="first_boot")
    plain = template.wish | {"name": name, "host": str(host.pk) if host else None, "may_wake": may_wake}
    return wish_begin(user, verb, plain, first_boot=first_boot, idempotency_key=idempotency_key)


@transaction.atomic
def template_remove(user: User, template: Template) -> None:
    """Removes one version; what was made from it stays."""
    refuse_unless(user, "operate")
    audit_write(user, "template_remove", "template", template.pk, str(template))
    template.delete()


@transaction.atomic
def flavour_add(user: User, *, name: str, cpu_cores: int, memory_mib: int, disk_gib: float) -> Flavour:
    """A size under a name; raises Invalid with the field for one that no VM may have, or a name that is taken."""
    refuse_unless(user, "operate")
    name = name_check(name)
    if not 1 <= cpu_cores <= VCPUS_MOST:
        raise Invalid(f"A VM has 1 to {VCPUS_MOST} virtual CPUs.", field="cpu_cores")
    if not 32 <= memory_mib < 2**31:
        raise Invalid("A VM needs at least 32 MiB of memory.", field="memory_mib")
    if not DISK_GIB_LEAST <= disk_gib <= 65536:
        raise Invalid(f"A disk has {DISK_GIB_LEAST} to 65,536 GiB.", field="disk_gib")
    if Flavour.objects.filter(name=name).exists():
        raise Invalid(f"There is a flavour {name} already. Choose another name.", field="name")
    if Flavour.objects.count() >= MOST:
        raise Refused(f"There are {MOST} flavours already. Remove some first.")
    row = Flavour.objects.create(name=name, cpu_cores=cpu_cores, memory_mib=memory_mib, disk_gib=disk_gib)
    audit_write(user, "flavour_add", "flavour", row.pk, name, cpu_cores=cpu_cores, memory_mib=memory_mib)
    return row


@transaction.atomic
def flavour_remove(user: User, flavour: Flavour) -> None:
    """Removes a flavour; VMs of that size stay as they are."""
    refuse_unless(user, "operate")
    audit_write(user, "flavour_remove", "flavour", flavour.pk, flavour.name)
    flavour.delete()
