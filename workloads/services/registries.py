"""The registries that hosts pull container images from with a login."""

from __future__ import annotations

from django.db import transaction

from hosts.audit import audit_write
from hosts.credentials import password_encrypt
from hosts.errors import Invalid
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless
from workloads.drivers.references import address_plain, is_address
from workloads.models import Registry

TEXT_MOST = 200


@transaction.atomic
def registry_add(user: User, *, address: str, username: str, password: str) -> Registry:
    """A registry with its login; every pull from that address uses it from now on. Raises Invalid."""
    refuse_unless(user, "operate")
    address = _address_check(address)
    _login_check(username, password, is_new=True)
    registry = Registry.objects.create(
        address=address, username=username, password_encrypted=password_encrypt(password)
    )
    audit_write(user, "registry_add", "registry", registry.pk, address, username=username)
    publish_change("container_image", registry.pk, "registry added")
    return registry


@transaction.atomic
def registry_edit(user: User, registry: Registry, *, address: str, username: str, password: str = "") -> Registry:
    """Changes it. Without a password the stored one stays, for the address and user that it was given for alone."""
    refuse_unless(user, "operate", registry)
    registry = Registry.objects.select_for_update().get(pk=registry.pk)
    address = _address_check(address, besides=registry)
    _login_check(username, password, is_new=(registry.address, registry.username) != (address, username))
    registry.address, registry.username = address, username
    if password:
        registry.password_encrypted = password_encrypt(password)
    registry.save()
    audit_write(user, "registry_edit", "registry", registry.pk, address, username=username, new_password=bool(password))
    publish_change("container_image", registry.pk, "registry changed")
    return registry


@transaction.atomic
def registry_remove(user: User, registry: Registry) -> None:
    """Forgets the login; images that came with it stay where they are."""
    refuse_unless(user, "operate", registry)
    audit_write(user, "registry_remove", "registry", registry.pk, registry.address)
    publish_change("container_image", registry.pk, "registry removed")
    registry.delete()


def _address_check(text: str, besides: Registry | None = None) -> str:
    address = address_plain(text)
    if not is_address(address):
        raise Invalid(
            "A registry's address is what its images' names begin with, such as registry.example or 10.0.0.5:5000;"
            " docker.io for Docker Hub. Correct it.",
            field="address",
        )
    others = Registry.objects.filter(address=address)
    if (others.exclude(pk=besides.pk) if besides else others).exists():
        raise Invalid(f"There is a login for {address} already. Change that one.", field="address")
    return address


def _login_check(username: str, password: str, *, is_new: bool) -> None:
    if not username or len(username) > TEXT_MOST or not username.isprintable() or ":" in username:
        raise Invalid("Give the user's name at the registry, in one line without a colon.", field="username")
    if is_new and not password:
        raise Invalid(
            "Enter the password: one that is stored is not sent to another address, nor for another user.",
            field="password",
        )
    if len(password) > 5000 or not (password.isprintable() or not password):
        raise Invalid("A password, or token, is one line of at most 5,000 characters.", field="password")
