"""What beat asks of this floor."""

from __future__ import annotations

from celery import shared_task

from workloads.services.consoles import consoles_sweep


@shared_task(name="workloads.consoles_sweep")
def sweep() -> None:
    """Ends consoles whose web process is gone, and removes old tickets."""
    consoles_sweep()
