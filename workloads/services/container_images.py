"""Container images on hosts: pulled from registries, and removed."""

from __future__ import annotations

import uuid as uuids

from hosts.errors import Invalid
from hosts.models import Host, Operation
from hosts.operations.start import operation_start
from hosts.services.doors import User, refuse_if, refuse_unless
from workloads.models import HostImage
from workloads.services.containers import REFERENCE
from workloads.states import why_no_image

STALL_TIMEOUT_S = 60.0


def container_image_pull(
    user: User,
    host: Host,
    *,
    image: str,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to pull the image to the host, with the login that is known for its registry.

    Given up once nothing has come for `stall_timeout_s` (3 to 3600). Raises Invalid for a name that cannot be one.
    """
    refuse_unless(user, "operate", host)
    if not REFERENCE.fullmatch(image):
        raise Invalid("Name the container image like registry.example/team/app:1.2. Correct the name.", field="image")
    if not 3 <= stall_timeout_s <= 3600:
        raise Invalid("The time without news after which a pull is given up is 3 s to 1 hour.", field="stall_timeout_s")
    refuse_if(why_no_image(host, "pull"))
    return operation_start(
        "pull_image",
        user=user,
        subject=("container_image", _lease_of(host, image), image[:200]),
        parameters={"host": str(host.pk), "image": image, "stall_timeout_s": stall_timeout_s},
        host=host,
        idempotency_key=idempotency_key,
    )


def container_image_remove(user: User, image: HostImage, *, idempotency_key: str | None = None) -> Operation:
    """Begins to remove the image with all its names from its host; Refused while a container there uses it."""
    refuse_unless(user, "operate", image)
    refuse_if(why_no_image(image.host, "remove", image))
    return operation_start(
        "remove_image",
        user=user,
        subject=(
            "container_image",
            _lease_of(image.host, image.names[0] if image.names else image.engine_id),
            image.label[:200],
        ),
        parameters={"host": str(image.host_id), "engine_id": image.engine_id, "names": image.names},
        host=image.host,
        idempotency_key=idempotency_key,
    )


def _lease_of(host: Host, name: str) -> str:
    """One operation at a time for each host and name, whether the host has such an image yet or not."""
    return str(uuids.uuid5(host.pk, name))
