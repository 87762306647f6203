"""The verbs a plane can carry out, and the discipline under which it does so.

`execute` is the whole host side of a saga's step. A command is refused when it is late, when its generation
is older than one already seen of its subject, or when its step was undone before. It runs while it holds its
step and its subject; a second delivery of a running step attaches to it, one of a finished step repeats its
report. Nothing here knows of Celery or Redis. Source: design.md, rules 5 and 6.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hosts.errors import DriverError, NotFound, Refused, StowageError, TimedOut, error_to_data
from hosts.plane.context import PlaneContext
from hosts.plane.progress import Progress

log = logging.getLogger(__name__)

EffectFunction = Callable[[PlaneContext, dict[str, Any], Progress], dict[str, Any]]
Data = dict[str, Any]

QUIESCED = "quiesced"
DETAIL_CHARACTERS = 8000
# A waiting step holds one of its lane's four threads; the fourth must stay free for an abort.
WAITERS_AT_MOST = 3
_waiters = threading.BoundedSemaphore(WAITERS_AT_MOST)


@dataclass(frozen=True)
class Effect:
    """A registered verb. `brings_work` ones are refused while the host is quiesced."""

    name: str
    lane: str
    function: EffectFunction
    is_exclusive: bool
    brings_work: bool


_registry: dict[str, Effect] = {}


def effect(
    name: str, *, lane: str, is_exclusive: bool = True, brings_work: bool = False
) -> Callable[[EffectFunction], EffectFunction]:
    """Registers a function as the verb `name` of lane "short", "long" or "site".

    The function gets (context, arguments, progress), gives a small JSON-ready dict, and must be an "ensure":
    run twice equals run once. `is_exclusive=False` is for verbs that only read: they take no lock on the
    subject, so a question is answered while a migration runs.
    """

    def register(function: EffectFunction) -> EffectFunction:
        _registry[name] = Effect(name, lane, function, is_exclusive, brings_work)
        return function

    return register


def effects_load(modules: list[str]) -> None:
    """Imports the modules by dotted name, so that their effects are registered."""
    for module in modules:
        import_module(module)


def effect_find(name: str) -> Effect:
    """The verb of that name; raises NotFound."""
    try:
        return _registry[name]
    except KeyError:
        raise NotFound(f"This plane cannot do {name}: is it older than the dashboard?") from None


def effect_names() -> list[str]:
    return sorted(_registry)


def abort(context: PlaneContext, command: Data) -> None:
    """Asks a step, or with an empty step its operation, to stop; who runs it sees so within half a second."""
    context.state.abort_request(command["operation"], command.get("step") or "")


def execute(context: PlaneContext, command: Data) -> Data | None:
    """Carries out one command and gives its report, which is kept and handed to the sink as well.

    None when the same step already runs here: its own run will report. Never raises for what a command or a
    driver does; blocks for as long as the effect takes.
    """
    key = step_key(command)
    with context.locks.attempt(f"step {key}") as is_mine:
        if not is_mine:
            context.state.attempt_raise(key, command["attempt"])
            _progress_send(context, command, {"percent": None, "text": "already running here", "data": {}})
            return None
        repeated = _report_repeat(context, command)
        if repeated is not None:
            return repeated
        try:
            _refuse_when_unfit(context, command)
        except Refused as refusal:
            return _refusal_report(context, command, refusal)
        context.state.step_started(key, command["attempt"])
        return _run(context, command)


def step_key(command: Data) -> str:
    return _key(command, command["direction"])


def _key(command: Data, direction: str) -> str:
    return f"{command['operation']}:{command['step']}:{direction}"


def _report_repeat(context: PlaneContext, command: Data) -> Data | None:
    """The finished step's report, sent again under the new attempt; None when the step is to run.

    A step that reads "running" although its lock was free belonged to a process that died: it runs again.
    """
    known = context.state.step(step_key(command))
    if known is None or known.report is None:
        return None
    if known.state == "failed" and command["attempt"] > known.attempt:
        return None
    return _report_keep(context, command, known.state, known.report | {"attempt": command["attempt"]})


def _refuse_when_unfit(context: PlaneContext, command: Data) -> None:
    """Raises Refused when the command must not start now."""
    now = context.clock()
    if now > command["deadline_at"]:
        late_s = now - command["deadline_at"]
        raise Refused(f"The command came {late_s:.0f} s too late and was not carried out.")
    if command["direction"] == "do":
        if context.state.is_aborted(command["operation"], command["step"]):
            raise Refused("The step was cancelled before it started.")
        if context.state.step(_key(command, "undo")) is not None:
            raise Refused("The step was undone before this message came, so it was not carried out.")
        _refuse_when_quiesced(context, command)
    _generation_accept(context, command)


def _refuse_when_quiesced(context: PlaneContext, command: Data) -> None:
    known = _registry.get(command["effect"])
    if known is not None and known.brings_work and context.state.flag(QUIESCED):
        raise Refused(f"{context.config.name} takes no new work: it is being emptied.")


def _generation_accept(context: PlaneContext, command: Data) -> None:
    subject = command.get("subject")
    if not subject:
        return
    if not context.state.generation_accept(subject["uuid"], command["generation"]):
        highest = context.state.generation_highest(subject["uuid"])
        raise Refused(
            "The command is older than another already seen for the same subject and was not carried out.",
            detail=f"generation {command['generation']}, highest seen {highest}",
        )


def _run(context: PlaneContext, command: Data) -> Data:
    """Runs the effect under its subject's lock and turns whatever happens into the report."""
    key = step_key(command)
    progress = Progress(
        lambda word: _progress_send(context, command, word, context.state.attempt_of(key)),
        lambda: command["direction"] == "do" and context.state.is_aborted(command["operation"], command["step"]),
        timeout_s=command["timeout_s"],
    )
    started_at = time.monotonic()
    try:
        with progress:
            output = _run_locked(context, command, progress)
        state, error = "done", None
    except StowageError as failure:
        log.warning("%s failed: %s %s", command["effect"], failure.message, failure.detail)
        output, state, error = {}, "failed", failure
    except Exception as failure:  # the edge: whatever an effect raises becomes its report
        log.exception("%s broke", command["effect"])
        output, state = {}, "failed"
        error = DriverError(
            f"{context.config.name} could not do {command['effect']}: {type(failure).__name__}.",
            detail=traceback.format_exc()[-DETAIL_CHARACTERS:],
        )
    log.info("%s %s in %.2f s", command["effect"], state, time.monotonic() - started_at)
    return _report_keep(context, command, state, _report(context, command, state, output, error))


def _run_locked(context: PlaneContext, command: Data, progress: Progress) -> Data:
    verb = effect_find(command["effect"])
    with ExitStack() as held:
        if verb.is_exclusive:
            name = (command.get("subject") or {}).get("uuid")
            _subject_hold(context, held, f"subject {name}", progress) if name else None
        if command["direction"] == "undo":
            # A step is never undone while it is still being done, with or without a subject.
            _subject_hold(context, held, f"step {_key(command, 'do')}", progress)
        _generation_accept(context, command)
        output = verb.function(context, command["arguments"], progress)
    return output if output is not None else {}


def _subject_hold(context: PlaneContext, held: ExitStack, name: str, progress: Progress) -> None:
    """Takes the lock for as long as `held` lasts, waiting at most until the step's time is up."""
    if held.enter_context(context.locks.wait(name, lambda: False)):
        return
    if not _waiters.acquire(blocking=False):
        raise TimedOut("Too many steps wait for others on this host; this one was not started.")
    try:
        progress.update("waiting for another step on the same subject", at_once=True)
        if not held.enter_context(context.locks.wait(name, lambda: not progress.is_aborted())):
            progress.check()
        progress.update("")
    finally:
        _waiters.release()


def _report(context: PlaneContext, command: Data, state: str, output: Data, error: StowageError | None) -> Data:
    return {
        "operation": command["operation"],
        "step": command["step"],
        "direction": command["direction"],
        "attempt": command["attempt"],
        "generation": command["generation"],
        "plane": context.config.name,
        "plane_kind": context.config.kind,
        "state": state,
        "output": output,
        "error": error_to_data(error) if error else None,
        "finished_at": context.clock(),
    }


def _report_keep(context: PlaneContext, command: Data, state: str, report: Data) -> Data:
    """Keeps the report first and offers it to the sink second: a crash between the two loses nothing.

    The report carries the highest attempt delivered meanwhile, for that is the one still waited for.
    """
    ticket, kept = context.state.step_finished(step_key(command), state, report)
    context.sink.report(ticket, kept)
    return kept


def _refusal_report(context: PlaneContext, command: Data, refusal: Refused) -> Data:
    """Reports a refusal without marking the step as run: a timely repeat of it may still run."""
    log.warning("%s refused: %s %s", command["effect"], refusal.message, refusal.detail)
    report = _report(context, command, "refused", {}, refusal)
    context.sink.report(context.state.refusal_add(report), report)
    return report


def _progress_send(context: PlaneContext, command: Data, word: Data, attempt: int = 0) -> None:
    context.sink.progress(
        {
            "operation": command["operation"],
            "step": command["step"],
            "direction": command["direction"],
            "attempt": max(attempt, command["attempt"]),
            "plane": context.config.name,
            "plane_kind": context.config.kind,
        }
        | word
    )
