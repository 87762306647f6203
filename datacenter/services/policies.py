"""A site's policy: what the planner must keep free, what must survive, and what a plan may cost."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.models import model_to_dict

from datacenter.models import Policy
from datacenter.snapshot import policy_of
from hosts.audit import audit_write
from hosts.errors import Invalid
from hosts.models import Site
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless


@transaction.atomic
def policy_edit(user: User, site: Site, values: dict[str, Any]) -> Policy:
    """Keeps the values as the site's policy; plans made from now on obey it, a plan that waits is not changed.

    Raises Invalid at the first value that is out of its range, naming its field.
    """
    refuse_unless(user, "administer", site)
    policy = policy_of(site)
    before = model_to_dict(policy)
    for name, value in values.items():
        setattr(policy, name, value)
    try:
        policy.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid(messages[0], field=field) from error
    policy.save()
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    audit_write(user, "policy_edit", "site", site.pk, site.name, **changed)
    publish_change("site", site.pk, "policy")
    return policy
