"""Celery tasks of the hosts floor, all on queue `control`. Each only finds out what is to do from the database."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from hosts.blobs import blobs_forget
from hosts.broker_users import planes_let_in
from hosts.operations.runner import Engine
from hosts.operations.sweep import operations_sweep
from hosts.services.planes import plane_said


@shared_task(name="hosts.operation_advance")
def operation_advance(operation: str) -> None:
    Engine().advance(operation)


@shared_task(name="hosts.effect_reported")
def effect_reported(report: dict[str, Any], signature: str = "") -> None:
    if plane_said(report, signature):
        Engine().report_accept(report)


@shared_task(name="hosts.effect_progress")
def effect_progress(progress: dict[str, Any], signature: str = "") -> None:
    if plane_said(progress, signature):
        Engine().progress_accept(progress)


@shared_task(name="hosts.sweep")
def sweep() -> None:
    planes_let_in()
    operations_sweep()
    blobs_forget()
