"""How a host's power is switched: its BMC, and changing it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import QuerySet

from hosts.bmc_address import address_check, is_wake_only, wake_address
from hosts.credentials import password_encrypt
from hosts.errors import Invalid
from hosts.models import Bmc, BmcProposal, Host, Operation
from hosts.operations.start import operation_start
from hosts.services.doors import User, busy_with, refuse_if, refuse_unless
from hosts.states import why_not


def host_bmc_edit(
    user: User, host: Host, *, url: str, system: str = "", username: str = "", password: str = ""
) -> Operation:
    """Begins to change the host's BMC. What is given is kept once that controller has told its power state.

    Raises Invalid for input that cannot be. What only the controller can tell (wrong password, nobody there) ends
    the operation with its sentence, and the BMC stays what it was.
    """
    refuse_unless(user, "administer", host)
    host = Host.objects.select_related("bmc").get(pk=host.pk)
    refuse_if(why_not(host, "edit_bmc", busy=busy_with("host", host.pk)))
    fields = _checked(host, url=url, system=system, username=username, password=password)
    parameters = {"host": str(host.pk), "url": fields["url"], "system": system, "username": username}
    return operation_start(
        "host_bmc_edit",
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters=parameters | {"with_new_password": bool(password)},
        host=host,
        before_start=partial(_propose, fields),
    )


def bmc_set(host: Host, *, url: str, system: str, username: str, password: str) -> None:
    """Makes the host's BMC what is given, untried; an empty URL takes it away."""
    if not url:
        Bmc.objects.filter(host=host).delete()
        return
    fields = _checked(host, url=url, system=system, username=username, password=password)
    Bmc.objects.update_or_create(host=host, defaults=fields)


def _propose(fields: dict[str, Any], operation: Operation) -> None:
    BmcProposal.objects.create(operation=operation, **fields)


def _checked(host: Host, *, url: str, system: str, username: str, password: str) -> dict[str, Any]:
    """The fields of the row; raises Invalid for a URL that is none, a BMC of another host, a password left out."""
    url = address_check(url.strip().rstrip("/"))
    if is_wake_only(url) and (system or username or password):
        raise Invalid("Wake-on-LAN knows no system, user or password. Leave them empty.", field="bmc_url")
    if other := _same(url, system).exclude(host=host).select_related("host").first():
        raise Invalid(
            f"This is the BMC of {other.host.name}: it would be switched instead. Give the address of this host's own,"
            " or its system where one BMC serves several.",
            field="bmc_url",
        )
    known = Bmc.objects.filter(host=host).first()
    encrypted = password_encrypt(password) if password else _kept_password(known, url, username)
    return {"url": url, "system": system, "username": username, "password_encrypted": encrypted}


def _same(url: str, system: str) -> QuerySet[Bmc]:
    """The controllers that are this one; a network card is the same by whatever way it is reached."""
    if is_wake_only(url):
        return Bmc.objects.filter(url__startswith=f"wol:{wake_address(url).mac}")
    return Bmc.objects.filter(url=url, system=system)


def _kept_password(known: Bmc | None, url: str, username: str) -> bytes:
    """The stored password, for the address and the user that it was given for: no other machine shall be told it."""
    if known is None or not known.password_encrypted or is_wake_only(url):
        return b""
    if (known.url, known.username) != (url, username):
        raise Invalid(
            "Enter the password again: the stored one is not sent to another address, nor for another user.",
            field="bmc_password",
        )
    return bytes(known.password_encrypted)
