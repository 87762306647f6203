"""What templates ask about a workload."""

from __future__ import annotations

from django import template

from workloads.forms import RESTARTS
from workloads.models import Workload
from workloads.queries import differs as differs_sentence

register = template.Library()


@register.filter
def restart_said(policy: str) -> str:
    """What a container does when it ends, in words."""
    return dict(RESTARTS).get(policy, policy)


@register.filter
def differs(workload: Workload) -> str:
    """A sentence when what is differs from what was asked for, else empty."""
    return differs_sentence(workload)
