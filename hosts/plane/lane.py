"""One lane: a Celery worker of this plane on one queue, in a process of its own."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning

from hosts.plane import effects
from hosts.plane.app import make_app
from hosts.plane.config import PlaneConfig
from hosts.plane.context import Drivers, PlaneContext, state_open
from hosts.plane.control_client import ControlClient, key_read, token_read
from hosts.plane.reports import Publisher

log = logging.getLogger(__name__)

THREADS = 4


def lane_run(config: PlaneConfig, lane: str, broker_url: str, effect_modules: list[str]) -> int:
    """Works on the lane's queue until SIGTERM; gives the process's exit status. For the main thread alone."""
    effects.effects_load(effect_modules)
    app = make_app(broker_url, config.user)
    state, locks, clock = state_open(config)
    publisher = Publisher(app, state, lambda: key_read(config.token_file)).start()
    context = PlaneContext(
        config=config,
        state=state,
        locks=locks,
        drivers=Drivers(config),
        control=ControlClient(config.control_url, lambda: token_read(config.token_file)),
        sink=publisher,
        clock=clock,
    )
    tasks_register(app, context)
    # Root is what a host's plane runs as, and its messages are JSON only, which is what the warning is about.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    log.info("The lane %s knows %d effects.", config.queue(lane), len(effects.effect_names()))
    worker = app.Worker(
        hostname=f"{lane}@{config.name}",
        pool="threads",
        concurrency=THREADS,
        queues=[config.queue(lane)],
        loglevel="WARNING",
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    publisher.stop()
    return int(worker.exitcode or 0)


def tasks_register(app: Celery, context: PlaneContext) -> None:
    """Puts the two tasks of a lane on the app."""

    @app.task(name="hosts.effect")
    def hosts_effect(command: dict[str, Any]) -> None:
        effects.execute(context, command)

    @app.task(name="hosts.abort")
    def hosts_abort(command: dict[str, Any]) -> None:
        effects.abort(context, command)
