"""Giving a workload another name, and a container a newer image."""

from __future__ import annotations

from hosts.errors import Invalid
from hosts.models import Operation
from hosts.services.doors import User, name_check
from workloads.models import Container, Workload
from workloads.services.containers import image_check
from workloads.services.operating import operate
from workloads.services.vms import name_free_check


def workload_rename(user: User, workload: Workload, *, name: str, idempotency_key: str | None = None) -> Operation:
    """Begins to rename it here and on its host: a container at any time, a VM while it is off.

    Raises Invalid for a name that is none, or that another workload has.
    """
    name = name_check(name)
    if name == workload.name:
        raise Invalid(f"{name} is its name already. Choose another.", field="name")

    def reserve(_operation: Operation) -> None:
        name_free_check(name)

    name_free_check(name)
    parameters = {"name": name, "was": workload.name}
    return operate(user, workload, "rename", "rename_workload", idempotency_key, parameters, before_start=reserve)


def container_recreate(
    user: User, container: Container, *, image: str = "", idempotency_key: str | None = None
) -> Operation:
    """Begins to make it anew from `image`, or from the newest of its own image's name.

    The old one is kept, stopped, until the new one is well; else it goes on. What it wrote outside volumes is lost.
    """
    if image := image.strip():
        image_check(image)
    return operate(user, container, "recreate", "recreate_container", idempotency_key, {"image": image})
