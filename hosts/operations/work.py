"""One operation inside one transaction: what happens next, forward or back, and what its reports mean."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from hosts.errors import DriverError, Refused, StowageError, TimedOut, error_from_data, error_to_data
from hosts.models import Entry, Operation
from hosts.operations import registry
from hosts.operations.journal import Fold, StepFold, append, fold, from_wire_name, wire_name
from hosts.operations.lease import Thing, generations_of, lease_raise, lease_release
from hosts.operations.queues import plane_of
from hosts.operations.saga import Again, Context, EffectCall, Saga, Step
from hosts.operations.signals import operation_finished
from hosts.operations.transport import Transport
from hosts.publish import publish_change

log = logging.getLogger(__name__)

Kind = Entry.Kind
State = Operation.State
STEPS_MOST = 200  # in one transaction; an operation that needs more goes on at the next ring
UNDO_ATTEMPTS = 5
UNDO_PATIENCE_S = 60.0
RESEND_AFTER_S = 15.0  # no acknowledgement, or no heartbeat any more; doubled with each resend
RESEND_AFTER_MOST_S = 60.0
LATE_MARGIN_S = 5.0  # past a command's deadline: until then a plane may still begin it


def is_past_return(saga: Saga, journal: Fold) -> bool:
    """Whether the operation can only go forward any more."""
    return any(step.point_of_no_return and journal.step(step.name).state == Kind.DONE for step in saga.steps)


class Work:
    """One operation inside one transaction. The caller calls `save` before the commit, and `after_commit` after it."""

    def __init__(
        self, operation: Operation, now: datetime, transport: Transport, pause_s: Callable[[int], float]
    ) -> None:
        self.operation = operation
        self.now = now
        self.has_written = False
        self._is_changed = False
        self.after_commit: list[Callable[[], None]] = []
        self._transport = transport
        self._pause_s = pause_s
        self._saga = registry.saga_named(operation.kind)
        self._journal = fold(list(operation.entries.order_by("number")))
        self._held: dict[Thing, int] | None = None

    # --- what happens next

    def go_on(self) -> None:
        """Does all that needs no answer of a host."""
        for _ in range(STEPS_MOST):
            if not self.next():
                return
        self.after_commit.append(partial(self._transport.ring, str(self.operation.pk)))

    def next(self) -> bool:
        """Does one thing; whether there may be more to do at once."""
        if self._journal.undoing:
            return self._undo_next()
        for step in self._saga.steps:
            state = self._journal.step(step.name)
            if state.state not in (Kind.DONE, "skipped"):
                return self._cancel(step, state) if self._is_cancelled(step) else self._do(step, state)
        self._finish(State.DONE, "")
        return False

    def _is_cancelled(self, step: Step) -> bool:
        """Whether the wish to cancel counts at this step."""
        if not self.operation.cancel_requested_at or step.cancel_waits:
            return False
        return not is_past_return(self._saga, self._journal)

    def _do(self, step: Step, state: StepFold) -> bool:
        if state.state == Kind.STARTED:
            return False
        if state.state == Kind.FAILED and state.retry_at is None:
            return self._failure_settle(step, state)
        if state.retry_at is not None and self.now < state.retry_at:
            return False
        context = self._context()
        if step.when is not None and not step.when(context):
            self._append(Kind.DONE, step.name, skipped=True)
            return True
        if step.control is not None:
            return self._control(step, state, context)
        return self._effect_start(step, state, context)

    def _control(self, step: Step, state: StepFold, context: Context) -> bool:
        assert step.control is not None
        try:
            output = self._guarded(partial(step.control, context))
        except Again as again:
            return self._again(step, state, again)
        except StowageError as error:
            return self._failed(step, state, error, Kind.FAILED, began=False)
        self._append(Kind.DONE, step.name, output=output or {})
        self._running(step)
        return True

    def _again(self, step: Step, state: StepFold, again: Again) -> bool:
        since = self._journal.asked_again_since.get(step.name, self.now)
        if (self.now - since).total_seconds() >= step.patience_s:
            return self._failed(step, state, StowageError(again.sentence), Kind.FAILED)
        names = [each.name for each in self._saga.steps]
        names = names[names.index(again.from_step) : names.index(step.name) + 1]
        delay_s = self._pause_s(1) * again.after_s
        retry_at = (self.now + timedelta(seconds=delay_s)).isoformat()
        self._append(Kind.NOTED, step.name, note="again", steps=names, retry_at=retry_at)
        self.after_commit.append(partial(self._transport.ring, str(self.operation.pk), delay_s + 0.05))
        self.operation.progress_text = again.sentence[:300]
        self._save()
        return False

    def _effect_start(self, step: Step, state: StepFold, context: Context) -> bool:
        assert step.effect is not None
        try:
            call = self._guarded(partial(step.effect, context))
        except StowageError as error:
            return self._failed(step, state, error, Kind.FAILED, began=False)
        self._send(Kind.STARTED, step, state, call)
        self._running(step)
        return False

    def _failure_settle(self, step: Step, state: StepFold) -> bool:
        """A step has failed for good: an answer, a question to a person, or the way back."""
        assert state.error is not None
        if step.failure_is_output:
            self._append(Kind.DONE, step.name, output={"error": error_to_data(state.error)})
            return True
        if step.stuck_on_failure or is_past_return(self._saga, self._journal):
            self._stuck(state.error)
            return False
        self._undo_begin(state.error, cancelled=bool(self.operation.cancel_requested_at))
        return True

    # --- the way back

    def _cancel(self, step: Step, state: StepFold) -> bool:
        if state.state == Kind.STARTED:
            name = wire_name(step.name, state.round)
            self.after_commit.append(partial(self._transport.abort, state.queue, str(self.operation.pk), name))
            return False
        if state.state == Kind.FAILED and (step.failure_is_output or step.stuck_on_failure):
            return self._failure_settle(step, state)  # first what is true, then the wish to cancel
        self._undo_begin(Refused("Cancelled by an operator."), cancelled=True)
        return True

    def _undo_begin(self, error: StowageError, *, cancelled: bool) -> None:
        self._append(Kind.NOTED, "", note="undoing", error=error_to_data(error), cancelled=cancelled)
        self._held = None
        lease_raise(self.operation)  # whatever was sent before is stale from here on
        self.operation.state = State.UNDOING
        self.operation.message = error.message
        self.operation.progress_percent = None
        self.operation.progress_text = "undoing"
        self._save()

    def _undo_next(self) -> bool:
        for step in reversed(self._saga.steps):
            state = self._journal.step(step.name)
            if state.state in ("", "skipped", Kind.UNDONE) or state.never_began:
                continue
            return self._undo(step, state)
        error = self._journal.error
        if self._saga.on_undone is not None:
            self._guarded(partial(self._saga.on_undone, self._context()))
        self._finish(State.CANCELLED if self._journal.cancelled else State.FAILED, error.message if error else "")
        return False

    def _undo(self, step: Step, state: StepFold) -> bool:
        if state.state == Kind.UNDO_STARTED:
            return False
        if state.state == Kind.UNDO_FAILED and state.retry_at is None:
            assert state.error is not None
            self._stuck(state.error)
            return False
        if state.retry_at is not None and self.now < state.retry_at and state.state == Kind.UNDO_FAILED:
            return False
        context = self._context()
        try:
            if step.undo is not None and state.state != Kind.FAILED:  # a failed control step was rolled back
                self._guarded(partial(step.undo, context))
            call = self._guarded(partial(step.undo_effect, context)) if step.undo_effect is not None else None
        except StowageError as error:
            return self._failed(step, state, error, Kind.UNDO_FAILED)
        if call is None:
            self._append(Kind.UNDONE, step.name)
            return True
        self._send(Kind.UNDO_STARTED, step, state, call)
        self._save()
        return False

    # --- reports

    def report(self, report: dict[str, Any]) -> bool:
        """Takes the report of the step under way; whether it was one."""
        name, round_number = from_wire_name(report["step"])
        state = self._journal.steps.get(name)
        is_undo = report["direction"] == "undo"
        if state is None or state.state != (Kind.UNDO_STARTED if is_undo else Kind.STARTED):
            return False
        if round_number != state.round:
            return False
        if not is_from(report, state.queue):
            log.warning("operation %s: a report of %s by %s", self.operation.pk, name, report.get("plane"))
            return False
        attempt = int(report["attempt"])
        if isinstance(report.get("finished_at"), float):
            self.operation.reported_at[report["plane"]] = report["finished_at"]
        if report["state"] == "done" and attempt <= state.attempt:
            # Of an earlier attempt too: the effect is an ensure verb, and it is done.
            output = report.get("output") or {}
            self._append(Kind.UNDONE if is_undo else Kind.DONE, name, attempt, output=output)
            self.operation.heartbeat_at = self.now
            self._save()
            return True
        if attempt != state.attempt:
            return False
        error = error_from_data(report["error"]) if report.get("error") else DriverError("The host gave no reason.")
        step = self._saga.step(name)
        # "refused" is said before anything is done: by a plane that got the message too late, or a stale one.
        if report["state"] == "refused" and self.now.timestamp() >= state.command["deadline_at"] - 1:
            error = TimedOut(f"{plane_of(state.queue)} took the command too late to begin it.", error.message)
        self._failed(
            step, state, error, Kind.UNDO_FAILED if is_undo else Kind.FAILED, began=report["state"] != "refused"
        )
        return True

    def lost_find(self) -> bool:
        """Sends the step under way again when nobody answers, and gives it up past its time."""
        found = next(((name, s) for name, s in self._journal.steps.items() if s.is_in_flight), None)
        if found is None:
            return False
        name, state = found
        assert state.started_at is not None
        heard = max(filter(None, (self.operation.heartbeat_at, state.started_at)))
        silent_s = (self.now - heard).total_seconds()
        if silent_s < min(RESEND_AFTER_MOST_S, RESEND_AFTER_S * 2**state.resends):
            return False
        command = state.command
        is_acknowledged = heard > state.started_at or state.was_heard
        ends_at = command["deadline_at"] + (command["timeout_s"] if is_acknowledged else 0) + LATE_MARGIN_S
        if self.now.timestamp() > ends_at:
            step = self._saga.step(name)
            kind = Kind.UNDO_FAILED if state.state == Kind.UNDO_STARTED else Kind.FAILED
            # Silence proves nothing: it may have been done by a host whose answers do not come through.
            return self._failed(step, state, silence(state.queue, is_acknowledged), kind)
        again = command | {"attempt": state.attempt + 1, "sent_at": self.now.timestamp()}
        self._append(
            Kind(state.state),
            name,
            again["attempt"],
            command=again,
            queue=state.queue,
            secret=state.secret,
            again=True,
            heard=is_acknowledged,
        )
        self.after_commit.append(partial(self._transport.send, state.queue, again))
        return True

    # --- writing

    def _failed(self, step: Step, state: StepFold, error: StowageError, kind: Kind, began: bool = True) -> bool:
        """Writes a failure, with the time of the next try where there is one; whether to go on at once."""
        is_undo = kind == Kind.UNDO_FAILED
        attempts, patience_s = (UNDO_ATTEMPTS, UNDO_PATIENCE_S) if is_undo else (step.attempts, step.patience_s)
        waited_s = (self.now - (state.first_at or self.now)).total_seconds()
        is_wanted = is_undo or not self._is_cancelled(step)
        retry_at = None
        if error.transient and is_wanted and (state.tries + 1 < attempts or waited_s < patience_s):
            delay_s = self._pause_s(state.tries + 1)
            retry_at = self.now + timedelta(seconds=delay_s)
            self.after_commit.append(partial(self._transport.ring, str(self.operation.pk), delay_s + 0.05))
        self._append(
            kind,
            step.name,
            state.attempt,
            error=error_to_data(error),
            retry_at=retry_at.isoformat() if retry_at else None,
            began=began,
        )
        if retry_at is not None:
            self.operation.progress_text = f"trying again: {error.message}"[:300]
        self._save()
        return retry_at is None

    def _send(self, kind: Kind, step: Step, state: StepFold, call: EffectCall) -> None:
        sent_at = self.now.timestamp()
        command = {
            "operation": str(self.operation.pk),
            "step": wire_name(step.name, state.round),
            "direction": "undo" if kind == Kind.UNDO_STARTED else "do",
            "attempt": state.attempt + 1,
            "generation": self._generations().get(call.subject, 0) if call.subject else 0,
            "effect": call.effect,
            "subject": {"kind": call.subject[0], "uuid": call.subject[1]} if call.subject else None,
            "arguments": call.arguments,
            "deadline_at": sent_at + call.deadline_s,
            "timeout_s": call.timeout_s,
            "sent_at": sent_at,
        }
        self._append(kind, step.name, state.attempt + 1, command=command, queue=call.queue, secret=call.secret)
        self.after_commit.append(partial(self._transport.send, call.queue, command))

    def _append(self, kind: Kind, step: str, attempt: int = 0, **data: Any) -> None:
        entry = append(self.operation, self._journal.count + 1, kind, step, attempt, at=self.now, **data)
        self._journal.add(entry)
        self.has_written = True

    def _running(self, step: Step) -> None:
        self.operation.state = State.RUNNING
        self.operation.progress_text = step.name.replace("_", " ")
        self.operation.progress_percent = None
        self.operation.progress_data = {}
        self._save()

    def _stuck(self, error: StowageError) -> None:
        self.operation.state = State.STUCK
        self.operation.message = error.message
        self.operation.progress_text = ""
        self._save()
        self._announce()

    def _finish(self, state: State, message: str) -> None:
        self.operation.state = state
        self.operation.message = message
        self.operation.finished_at = self.now
        self.operation.progress_percent = 100.0 if state == State.DONE else None
        self.operation.progress_text = ""
        self._save()
        lease_release(self.operation)
        self._announce()

    def _announce(self) -> None:
        operation_id = self.operation.pk
        self.after_commit.append(lambda: _tell(operation_id))

    def _save(self) -> None:
        """The row is written once, at the end: several steps may have changed it."""
        self.has_written = self._is_changed = True

    def save(self) -> None:
        """Writes what changed of the operation's row, and rings its pages when the transaction is over."""
        if self._is_changed:
            self.operation.save()
            publish_change("operation", self.operation.pk, self.operation.state)

    def _context(self) -> Context:
        return Context(self.operation, self._journal.outputs(), self._generations(), self._journal.error)

    def _generations(self) -> dict[Thing, int]:
        if self._held is None:
            self._held = generations_of(self.operation)
        return self._held

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What the step's function gives; whatever it wrote is gone when it raises.

        Errors of ours pass. A database that is away passes too: the sweep comes again. Anything else is a defect,
        which must end in a sentence and an undo, not in an operation that hangs.
        """
        try:
            with transaction.atomic():
                return act()
        except (StowageError, Again, OperationalError, InterfaceError):
            raise
        except IntegrityError as error:
            raise Refused("Something of that name or address exists already. Choose another.", repr(error)) from error
        except Exception as error:  # the runner is the one place where everything is caught
            log.exception("operation %s: a step of %s broke", self.operation.pk, self._saga.name)
            raise StowageError("Stowage made a mistake here; its log has the details.", repr(error)) from error


def is_from(report: dict[str, Any], queue: str) -> bool:
    """Whether the report is of the plane that the queue's commands go to."""
    return report.get("plane") == plane_of(queue) and queue.startswith(f"{report.get('plane_kind')}.")


def silence(queue: str, is_acknowledged: bool) -> TimedOut:
    """The sentence for a plane that does not answer."""
    name = plane_of(queue)
    kind = "host" if queue.startswith("host.") else "site"
    if is_acknowledged:
        return TimedOut(f"{name} began but did not end in time; what it did is not known.")
    how = f"manage.py hostd --{'site ' + name + ' --' if kind == 'site' else ''}config FILE"
    return TimedOut(f"Nobody answers on {kind} {name}. Is it reachable, and does `{how}` run there?", f"queue {queue}")


def _tell(operation_id: UUID) -> None:
    """Tells the floors above that an operation rests; their errors are theirs."""
    operation_finished.send_robust(sender=None, operation_id=operation_id)
