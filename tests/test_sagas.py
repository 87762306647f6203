"""Every registered saga, broken at every step, crashed at every write, run twice, cancelled everywhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hosts.drivers.fake import FakeDataCenter
from hosts.models import Entry, Host, Lease, Operation
from hosts.operations import registry
from tests.hosts.operations.harness import Crash, Harness, Trouble
from tests.saga_samples import SAMPLES, Sample
from workloads.models import Workload

State = Operation.State
ALWAYS = 10**6
pytestmark = pytest.mark.django_db


def every_sample() -> list[Any]:
    return [
        pytest.param(make, id=f"{name}-{number}")
        for name, makes in sorted(SAMPLES.items())
        for number, make in enumerate(makes)
    ]


samples = pytest.mark.parametrize("make", every_sample())


# --- what must hold


def rows() -> dict[str, Any]:
    """What operators see of hosts and workloads, apart from what only time changes."""
    workloads = {
        str(w.pk): (w.host_id, w.state, w.desired, w.memory_mib) for w in Workload.objects.order_by("pk")
    }
    hosts = {
        h.name: (h.is_cordoned, h.is_in_maintenance, h.desired_power, h.machine_id)
        for h in Host.objects.order_by("name")
    }
    return {"workloads": workloads, "hosts": hosts}


def seen(world: FakeDataCenter, stays_changed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The world without traces that are harmless: which generation stamped a definition, files set aside."""
    snapshot = copy.deepcopy(world.snapshot())
    for host in snapshot.values():
        for domain in host["domains"].values():
            for trace in ("generation", "operation", "reason", "boots", *stays_changed):
                domain.pop(trace, None)
        for container in host["containers"].values():
            for trace in ("reason", "starts", *stays_changed):
                container.pop(trace, None)
        for trace in stays_changed:
            host.pop(trace, None)
        for name, files in host["files"].items():
            host["files"][name] = [path for path in files if not path.endswith(".stowage-left")]
    return snapshot


def problems(sample: Sample, world_before: dict[str, Any], rows_before: dict[str, Any]) -> list[str]:
    """Each breach of what must hold once an operation rests, as a sentence."""
    operation = Operation.objects.get(pk=sample.operation.pk)
    wrong = [text for text in sample.world.audit()]
    held = Lease.objects.filter(operation=operation).count()
    if operation.state == State.DONE:
        if not sample.is_done():
            wrong.append("it reads done, and is not")
    elif operation.state in (State.FAILED, State.CANCELLED):
        if not operation.message:
            wrong.append("it failed without a sentence")
        after = seen(sample.world, sample.stays_changed)
        if after != world_before:
            wrong.append(f"it left something on a host: {difference(world_before, after)}")
        if rows() != rows_before:
            wrong.append(f"it left something in the database: {difference(rows_before, rows())}")
    elif operation.state == State.STUCK:
        if not operation.message or not held:
            wrong.append("stuck without a sentence or without its lease")
        # Of a VM two copies never run, whatever is not known; of a container the saga says that they may.
        return [text for text in wrong if "runs on" in text and operation.subject_kind == "vm"]
    else:
        wrong.append(f"it did not end: {operation.state}")
    if held:
        wrong.append("it ended and still holds a lease")
    return wrong


def difference(before: Any, after: Any, at: str = "") -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return "; ".join(difference(before.get(key), after.get(key), f"{at}/{key}") for key in keys)
    return f"{at}: {before!r} became {after!r}"


def never_twice(world: FakeDataCenter) -> Callable[[], None]:
    """Asked at every message: no VM ever runs on two hosts, not for a moment."""

    def look() -> None:
        uuids = {uuid for host in world.hosts.values() for uuid in host.domains}
        for uuid in uuids:
            running = [name for name, state in world.places(uuid).items() if state == "running"]
            assert len(running) <= 1, f"VM {uuid} runs on {running}"

    return look


class Trial:
    """A sample with the state before it, of which a failed operation must leave nothing changed."""

    def __init__(self, make: Callable[[], Sample]) -> None:
        Operation.objects.all().delete()
        Workload.objects.all().delete()
        Host.objects.all().delete()
        from hosts.models import Pool
        from workloads.models import Image

        Pool.objects.all().delete()
        Image.objects.all().delete()
        self.sample = make()
        self.sample.harness.watch = never_twice(self.sample.world)
        self.world_before = seen(self.sample.world, self.sample.stays_changed)
        self.rows_before = rows()
        if self.sample.operation.kind.startswith("create_"):
            self.rows_before["workloads"].pop(self.sample.operation.subject_id)

    def run(self, *troubles: Trouble) -> str:
        self.sample.harness.troubles = list(troubles)
        operation = self.sample.harness.run(self.sample.operation)
        wrong = problems(self.sample, self.world_before, self.rows_before)
        told = [(t.step, t.mode, t.direction) for t in troubles]
        assert not wrong, f"{operation.kind} after {told}: {operation.state} “{operation.message}”: {wrong}"
        return operation.state


def effect_steps(make: Callable[[], Sample]) -> list[str]:
    """The steps of the sample that send an effect when all goes well, and some that only trouble reaches."""
    saga = registry.saga_named(next(name for name, makes in SAMPLES.items() if make in makes))
    return [step.name for step in saga.steps if step.effect is not None]


def undo_steps(make: Callable[[], Sample]) -> list[str]:
    saga = registry.saga_named(next(name for name, makes in SAMPLES.items() if make in makes))
    return [step.name for step in saga.steps if step.undo_effect is not None]


def writes(make: Callable[[], Sample], *troubles: Trouble) -> int:
    """How many journal writes a run has."""
    trial, count = Trial(make), [0]

    def note(when: str) -> None:
        count[0] += 1

    trial.sample.harness.on_write = note
    trial.run(*troubles)
    return count[0]


# --- the trials


def test_every_saga_has_a_sample():
    assert set(registry.sagas()) == set(SAMPLES)


@samples
def test_it_completes(make):
    assert Trial(make).run() == State.DONE


@samples
def test_it_completes_although_every_message_comes_twice(make):
    trial = Trial(make)
    trial.sample.harness.twice = True

    assert trial.run() == State.DONE


@samples
@pytest.mark.parametrize("mode", ["before", "after", "reply lost", "silent"])
def test_a_passing_trouble_at_any_step_is_overcome(make, mode):
    for step in effect_steps(make):
        Trial(make).run(Trouble(step, mode))


@samples
@pytest.mark.parametrize("mode", ["before", "after", "refused", "reply lost", "silent"])
def test_a_lasting_trouble_at_any_step_leaves_nothing_behind(make, mode):
    for step in effect_steps(make):
        Trial(make).run(Trouble(step, mode, ALWAYS))


@samples
@pytest.mark.parametrize("mode", ["before", "after"])
def test_a_passing_trouble_in_an_undo_is_overcome(make, mode):
    last = effect_steps(make)[-1:] or [""]
    for step in undo_steps(make):
        state = Trial(make).run(Trouble(last[0], "refused", ALWAYS), Trouble(step, mode, 1, "undo"))
        assert state != State.RUNNING


@samples
def test_a_lasting_trouble_in_an_undo_asks_a_person_and_goes_on_when_told(make):
    from hosts.operations.intervene import operation_retry_request

    for step in undo_steps(make):
        trial = Trial(make)
        harness = trial.sample.harness
        harness.troubles = [Trouble(step, "after", ALWAYS), Trouble(step, "before", ALWAYS, "undo")]
        operation = harness.run(trial.sample.operation)
        assert operation.state == State.STUCK

        harness.troubles = []
        operation_retry_request(operation)

        assert trial.run() == State.FAILED


@samples
@pytest.mark.parametrize("when", ["before commit", "after commit"])
def test_a_crash_at_any_journal_write_changes_nothing(make, when):
    count = writes(make)
    for number in range(count // 2 + 1):
        trial = Trial(make)
        trial.sample.harness.on_write = crash_at(number, when)

        assert trial.run() == State.DONE


@samples
def test_a_crash_at_any_journal_write_of_a_failing_run_leaves_nothing_behind(make):
    steps = effect_steps(make)
    if not steps:
        return
    trouble = steps[-1] if len(steps) < 4 else steps[len(steps) // 2]
    for number in range(writes(make, Trouble(trouble, "refused", ALWAYS)) // 2 + 1):
        trial = Trial(make)
        trial.sample.harness.on_write = crash_at(number, "after commit")
        trial.run(Trouble(trouble, "refused", ALWAYS))


def crash_at(number: int, wanted: str) -> Callable[[str], None]:
    seen_writes = [0]

    def on_write(when: str) -> None:
        if when != wanted:
            return
        seen_writes[0] += 1
        if seen_writes[0] == number + 1:
            raise Crash

    return on_write


@samples
def test_a_cancel_at_any_moment_leaves_nothing_behind(make):
    for number in range(count_messages(make) + 1):
        trial, left = Trial(make), [number]

        def cancel(harness: Harness, trial: Trial = trial, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                operation = Operation.objects.filter(pk=trial.sample.operation.pk, state__in=["queued", "running"])
                if operation.update(cancel_requested_at=harness.now):
                    harness.ring(str(trial.sample.operation.pk))

        trial.sample.harness.before_message = cancel

        assert trial.run() in (State.CANCELLED, State.DONE, State.FAILED)


def count_messages(make: Callable[[], Sample]) -> int:
    trial, count = Trial(make), [0]

    def note(_harness: Harness) -> None:
        count[0] += 1

    trial.sample.harness.before_message = note
    trial.run()
    return count[0]


@samples
def test_two_workers_at_once_do_no_more_than_one(make):
    alone = Trial(make)
    alone.run()
    trial = Trial(make)
    harness = trial.sample.harness

    def also(h: Harness) -> None:
        h.engine().advance(trial.sample.operation.pk)

    harness.before_message = also
    trial.run()

    assert harness.effects == alone.sample.harness.effects


def test_a_planted_leftover_is_found():
    trial = Trial(SAMPLES["create_vm"][0])
    volumes = trial.sample.harness.contexts["host.alpha"].drivers.get("volumes", lambda _: None)
    volumes.remove = lambda disk, vm_uuid: None

    with pytest.raises(AssertionError, match="left something on a host|belongs to nobody"):
        trial.run(Trouble("start", "refused", ALWAYS))


def test_a_planted_second_copy_is_found():
    trial = Trial(SAMPLES["migrate_vm"][0])
    machines = trial.sample.harness.contexts["host.beta"].drivers.get("machines", lambda _: None)
    source = trial.sample.world.hosts["alpha"]
    kept = dict(source.domains)
    resume = machines.resume

    def resume_both(uuid: str, generation: int) -> None:
        resume(uuid, generation)
        source.domains.update(kept)

    machines.resume = resume_both

    with pytest.raises(AssertionError, match="runs on"):
        trial.run()


def test_the_journal_of_a_finished_operation_is_in_order():
    trial = Trial(SAMPLES["migrate_vm"][1])
    trial.run()

    numbers = list(Entry.objects.filter(operation=trial.sample.operation).values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
