"""What beat asks of this floor."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from workloads import services
from workloads.services.consoles import consoles_sweep
from workloads.services.expiry import expiries_sweep


@shared_task(name="workloads.consoles_sweep")
def sweep() -> None:
    """Ends consoles whose web process is gone, and removes old tickets."""
    consoles_sweep()


@shared_task(name="workloads.expiries_sweep")
def sweep_expiries() -> None:
    """Stops and deletes the workloads whose time is over."""
    expiries_sweep()


@shared_task(name="workloads.schedule_ring")
def schedule_ring(schedule: str) -> None:
    """A schedule may be due."""
    services.schedule_ring(UUID(schedule))


@shared_task(name="workloads.schedules_sweep")
def sweep_schedules() -> None:
    """Whatever is due and was not rung for."""
    services.schedules_sweep()
