"""Sites and racks."""

from __future__ import annotations

from django.db import transaction

from hosts.audit import audit_write
from hosts.errors import Invalid
from hosts.models import Rack, Site
from hosts.services.doors import User, name_check, refuse_unless


@transaction.atomic
def site_create(user: User, *, name: str, description: str = "") -> Site:
    """A new site; raises Invalid when the name is taken."""
    refuse_unless(user, "administer")
    name = name_check(name)
    if Site.objects.filter(name=name).exists():
        raise Invalid(f"There is already a site {name}. Choose another name.", field="name")
    site = Site.objects.create(name=name, description=description[:200])
    audit_write(user, "site_create", "site", site.pk, site.name)
    return site


@transaction.atomic
def rack_create(user: User, *, site: str | Site, name: str) -> Rack:
    """A new rack. A site given by a name that is not known yet is made with it."""
    refuse_unless(user, "administer")
    name = name_check(name, "rack")
    if isinstance(site, str):
        site_name = name_check(site, "site")
        site = Site.objects.filter(name=site_name).first() or site_create(user, name=site_name)
    if Rack.objects.filter(site=site, name=name).exists():
        raise Invalid(f"{site.name} already has a rack {name}. Choose another name.", field="rack")
    rack = Rack.objects.create(site=site, name=name)
    audit_write(user, "rack_create", "rack", rack.pk, str(rack))
    return rack
