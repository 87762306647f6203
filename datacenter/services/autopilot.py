"""The autopilot's settings, its account, and the one switch that stops it everywhere."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractBaseUser, Group
from django.contrib.auth.models import User as Account
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.models import model_to_dict

from datacenter.hours import windows_read
from datacenter.models import Autopilot, Plan
from datacenter.models.plan import AUTOPILOT
from datacenter.services.plans import plan_stop
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Site
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless

ACCOUNT = AUTOPILOT
Mode = Autopilot.Mode


def autopilot_of(site: Site) -> Autopilot:
    """The site's autopilot; one that is off, not stored, where there is none."""
    return Autopilot.objects.filter(site=site).first() or Autopilot(site=site)


def autopilot_account() -> Account:
    """Who acts: an operator that nobody can log in as, so that journals and the audit log name it.

    Raises Refused when somebody has that name and a password of their own.
    """
    account, is_new = Account.objects.get_or_create(username=ACCOUNT)
    if is_new:
        account.set_unusable_password()
        account.save(update_fields=["password"])
        account.groups.add(Group.objects.get_or_create(name="operator")[0])
    if account.has_usable_password():
        raise Refused(f"There is an account {ACCOUNT} with a password. Rename it: the autopilot needs the name.")
    return account


@transaction.atomic
def autopilot_edit(user: User, site: Site, values: dict[str, Any]) -> Autopilot:
    """Keeps the values as the site's autopilot, which obeys them from its next look on.

    Raises Invalid at the first value that cannot be, naming its field.
    """
    refuse_unless(user, "administer", site)
    # held until the end: a stop that comes in between must not be written over
    autopilot = Autopilot.objects.select_for_update().filter(site=site).first() or Autopilot(site=site)
    before = model_to_dict(autopilot)
    for name, value in values.items():
        setattr(autopilot, name, value)
    windows_read(autopilot.windows)
    if autopilot.time_zone not in available_timezones():
        raise Invalid("Choose a time zone such as Europe/Berlin, or UTC.", field="time_zone")
    try:
        autopilot.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid(messages[0], field=field) from error
    if autopilot.is_on:
        autopilot_account()
    autopilot.packed_at = autopilot.foresaw_at = autopilot.overloaded_since = None  # it looks at once
    autopilot.save()
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    audit_write(user, "autopilot_edit", "site", site.pk, site.name, **changed)
    publish_change("autopilot", site.pk, "edited")
    return autopilot


@transaction.atomic
def autopilot_stop(user: AbstractBaseUser) -> list[str]:
    """Switches it off at every site and stops its running plans; what is under way ends. The sites' names."""
    refuse_unless(user, "operate", None)
    stopped = []
    for autopilot in Autopilot.objects.select_related("site").exclude(packing=Mode.OFF, relief=Mode.OFF):
        Autopilot.objects.filter(pk=autopilot.pk).update(packing=Mode.OFF, relief=Mode.OFF)
        stopped.append(autopilot.site.name)
        audit_write(user, "autopilot_stop", "site", autopilot.site.pk, autopilot.site.name)
        publish_change("autopilot", autopilot.site.pk, "stopped")
    for plan in Plan.objects.filter(state=Plan.State.RUNNING, approved_by__username=ACCOUNT).select_related("site"):
        plan_stop(user, plan)
    return stopped
