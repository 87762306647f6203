"""What templates ask about a workload."""

from __future__ import annotations

from django import template

from workloads.models import Workload
from workloads.queries import differs as differs_sentence

register = template.Library()


@register.filter
def differs(workload: Workload) -> str:
    """A sentence when what is differs from what was asked for, else empty."""
    return differs_sentence(workload)
