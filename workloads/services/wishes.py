"""A wish for a new workload as it is kept: by schedules until it is due, by templates until somebody uses them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from hosts.errors import Refused
from hosts.models import Host, Operation
from hosts.services.doors import User
from workloads.first_boot import FirstBoot
from workloads.models import Image
from workloads.services.containers import container_create
from workloads.services.vms import vm_create

NEW = ("create_vm", "create_container")


def wish_plain(wish: dict[str, Any]) -> dict[str, Any]:
    """The wish as JSON holds it: an image or host by its UUID."""
    return {key: str(value.pk) if isinstance(value, Host | Image) else value for key, value in wish.items()}


def wish_begin(
    user: User, verb: str, plain: dict[str, Any], *, first_boot: FirstBoot | None = None, idempotency_key: str | None
) -> Operation:
    """Begins what `create_vm` or `create_container` was asked for; raises as these, and Refused without its image."""
    wish = dict(plain)
    wish["host"] = Host.objects.filter(pk=wish["host"]).first() if wish.get("host") else None
    if verb == "create_container":
        return container_create(user, **wish, idempotency_key=idempotency_key)
    asked = [kind for kind in ("image", "iso") if wish.get(kind)]
    for kind in ("image", "iso"):
        wish[kind] = Image.objects.filter(pk=wish[kind]).first() if kind in asked else None
    if not asked or any(wish[kind] is None for kind in asked):
        raise Refused("The image that it was to be made from is gone.")
    return vm_create(user, **wish, first_boot=first_boot, idempotency_key=idempotency_key)


def wish_rehearse(user: User, verb: str, plain: dict[str, Any], *, first_boot: FirstBoot | None = None) -> None:
    """Makes it and takes it back at once, for what is wrong with the wish itself; raises Invalid, with the field.

    That there is no room now is no fault of the wish: there may be later.
    """
    with transaction.atomic():
        try:
            wish_begin(user, verb, plain, first_boot=first_boot, idempotency_key=None)
        except Refused:
            pass
        finally:
            transaction.set_rollback(True)
