"""A module of effects that breaks the others on request: what a host plane loads when a test wants it to fail.

It registers no verb. Loaded last, it wraps each verb that was registered before it, and before running one it
looks for `failpoint.json` in the plane's run directory: {"effect": name, "act": one of ACTS}. The file is taken away
before anything happens, so a fault strikes once, also when the process that met it is started again.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hosts.errors import DriverError
from hosts.plane import effects
from hosts.plane.context import PlaneContext
from hosts.plane.progress import Progress

log = logging.getLogger(__name__)

FILE = "failpoint.json"
HANG_S = 8.0
# kill_before: dies before the effect. kill_after: did it and died before saying so (the reply is lost).
# raise: fails without having done anything. raise_after: did it and says that it failed. twice: does it two times.
# hang: answers nothing for 8 s, or until it is told to stop.
ACTS = ("kill_before", "kill_after", "raise", "raise_after", "twice", "hang")
SENTENCE = "A fault was put here by a test."


def _wanted(context: PlaneContext, effect: str) -> str | None:
    """What shall go wrong with this run of the effect; the wish is used up by asking."""
    path = Path(context.config.run_dir) / FILE
    try:
        wish = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    if wish["effect"] != effect:
        return None
    try:
        path.rename(path.with_suffix(".met"))
    except FileNotFoundError:
        return None  # another thread met it
    log.warning("failpoint: %s at %s", wish["act"], effect)
    return str(wish["act"])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _hang(progress: Progress) -> None:
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        progress.check()
        time.sleep(0.1)


def _breakable(verb: effects.Effect) -> effects.Effect:
    function = verb.function

    def run(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
        act = _wanted(context, verb.name)
        if act == "kill_before":
            _die()
        elif act == "raise":
            raise DriverError(SENTENCE)
        elif act == "hang":
            _hang(progress)
        output = function(context, arguments, progress)
        if act == "kill_after":
            _die()
        elif act == "raise_after":
            raise DriverError(SENTENCE)
        elif act == "twice":
            output = function(context, arguments, progress)
        return output

    return replace(verb, function=run)


for _name, _verb in list(effects._registry.items()):
    effects._registry[_name] = _breakable(_verb)
