"""The control plane's Celery app: queues `control`, `plan` and `alerts`.

Settings and their reasons: decisions/0003. Messages are doorbells; the database is the truth.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "datacenter.settings")

from django.conf import settings

app = Celery("stowage")
# "Current" counts for this thread alone; requests and tasks run in threads, where `current_app` would
# otherwise be Celery's empty default, which talks to an AMQP broker on localhost.
app.set_default()
app.conf.update(
    broker_url=settings.REDIS_URL,
    accept_content=["json"],
    result_accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_acks_late=False,  # a lost message is found by the sweep; redelivery would run steps twice
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    broker_transport_options={"visibility_timeout": 3600, "socket_timeout": 30, "socket_keepalive": True},
    broker_connection_retry_on_startup=True,
    worker_soft_shutdown_timeout=5,
    task_default_queue="control",
    task_routes={
        "datacenter.plan.*": {"queue": "plan"},
        # of its own: a mail server that hangs must hold up no operation
        "datacenter.alerts.*": {"queue": "alerts"},
    },
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    timezone="UTC",
    worker_hijack_root_logger=False,
    beat_schedule={
        "sweep operations": {"task": "hosts.sweep", "schedule": 15.0, "options": {"expires": 15}},
        "sweep consoles": {"task": "workloads.consoles_sweep", "schedule": 60.0, "options": {"expires": 60}},
        "sweep expiries": {"task": "workloads.expiries_sweep", "schedule": 60.0, "options": {"expires": 60}},
        "sweep schedules": {"task": "workloads.schedules_sweep", "schedule": 60.0, "options": {"expires": 60}},
        "evaluate alerts": {"task": "datacenter.alerts.evaluate", "schedule": 10.0, "options": {"expires": 10}},
        "send notices": {"task": "datacenter.alerts.send_due", "schedule": 5.0, "options": {"expires": 5}},
        "forget alerts": {"task": "datacenter.alerts.forget", "schedule": 6 * 3600.0, "options": {"expires": 3600}},
        "remember pools": {"task": "datacenter.alerts.pools", "schedule": 300.0, "options": {"expires": 300}},
        "autopilot": {"task": "datacenter.plan.autopilot", "schedule": 15.0, "options": {"expires": 15}},
        "forget decisions": {
            "task": "datacenter.decisions_forget",
            "schedule": 6 * 3600.0,
            "options": {"expires": 3600},
        },
        "sweep recoveries": {"task": "datacenter.recoveries_sweep", "schedule": 5.0, "options": {"expires": 5}},
        "sweep maintenance": {"task": "datacenter.maintenance_sweep", "schedule": 5.0, "options": {"expires": 5}},
        "sweep plans": {"task": "datacenter.plan_sweep", "schedule": 15.0, "options": {"expires": 15}},
        # seven minutes past: the hour's last five-minute aggregates are made by then
        "refresh the profiles": {
            "task": "datacenter.plan.profiles",
            "schedule": crontab(minute=7),
            "options": {"expires": 3000},
        },
        "keep the ledger": {"task": "datacenter.plan.ledger", "schedule": 300.0, "options": {"expires": 300}},
        "look at losses": {"task": "datacenter.plan.losses", "schedule": 60.0, "options": {"expires": 50}},
        "begin wake drills": {"task": "datacenter.plan.drills", "schedule": 300.0, "options": {"expires": 300}},
        "write the inventory": {"task": "datacenter.inventory_write", "schedule": 60.0, "options": {"expires": 60}},
    },
)
app.autodiscover_tasks()
