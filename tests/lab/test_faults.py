"""Faults put into the running lab, and what must hold afterwards: `../shared/faults.md`.

`make test` runs one fast case of each group and a few failpoints that the printed seed chooses; `make test-faults`
all of them with three seeds. The seed also chooses at which step of a deed a failpoint strikes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.lab.api_person import ApiPerson
from tests.lab.cables import MANAGEMENT, SECOND, cable_pulled
from tests.lab.faults import failpoints, table, truth
from tests.lab.faults.deeds import DEEDS, Deed, Stage, fresh_name
from tests.lab.faults.injections import (
    database_locked,
    failpoint_set,
    frozen,
    kill,
    pids_inside,
    redeliver,
    redis_ask,
    run_inside,
)
from tests.lab.flow import HOST, OTHER, eventually
from tests.lab.test_power_by_hand import switch_by_hand
from tests.stack import Stack

ENDED = ("done", "failed", "cancelled", "stuck")
OPERATION_LIMIT_S = 240.0
TRUTH_LIMIT_S = 120.0
IN_EVERY_RUN = 2  # failpoints; the others are for `make test-faults`
SLOW_MIB_S = 8  # a move of a tiny guest then takes long enough to be struck
BOOT_S = 3.0


@pytest.fixture
def stage(stack: Stack, person: ApiPerson, tiny: str) -> Stage:
    truth.settled(stack, TRUTH_LIMIT_S)
    return Stage(stack, person, tiny)


@pytest.fixture
def named(stage: Stage) -> Iterator[Callable[[str], str]]:
    """Names for workloads of a test, which are gone after it."""
    names: list[str] = []

    def make(word: str) -> str:
        names.append(fresh_name(word))
        return names[-1]

    yield make
    for name in names:
        stage.forget(name)


def ended(stage: Stage, operation: str) -> dict[str, Any]:
    """The operation once it rests. The dashboard may be away for a while: the database is asked."""
    until = time.monotonic() + OPERATION_LIMIT_S
    query = f"select state, message from hosts_operation where uuid = '{operation.replace('-', '')}'"
    while (found := stage.stack.rows(query)[0])[0] not in ENDED:
        assert time.monotonic() < until, f"the operation did not end in {OPERATION_LIMIT_S:.0f} s: {found}"
        time.sleep(0.1)
    return {"state": found[0], "message": found[1]}


def attended(stage: Stage, operation: str) -> dict[str, Any]:
    """As `ended`; what needs attention is tried again once, as an operator would, and the outcome says so."""
    found = ended(stage, operation)
    if found["state"] != "stuck":
        return found
    assert found["message"], "it needs attention and does not say why"
    assert stage.person.call("POST", f"/operations/{operation}/retry")[0] == 202
    query = f"select count(*) from hosts_operation where uuid = '{operation.replace('-', '')}' and state = 'stuck'"
    eventually(lambda: stage.stack.rows(query)[0][0] == 0, 30)
    again = ended(stage, operation)
    return {"state": again["state"], "message": f"after a retry by hand ({found['message']}) {again['message']}"}


def noted(fault: str, step: str, stage: Stage, began: float, outcome: dict[str, Any] | str) -> None:
    """Waits until the page is there and tells the truth, and adds the table's row."""
    eventually(lambda: page_answers(stage), TRUTH_LIMIT_S)
    truth.settled(stage.stack, TRUTH_LIMIT_S)
    text = outcome if isinstance(outcome, str) else f"{outcome['state']} {outcome['message']}".strip()
    table.rows.append(table.Row(fault, step, text[:90], time.monotonic() - began))


def page_answers(stage: Stage) -> bool:
    try:
        return requests.get(f"{stage.stack.url}/login/", timeout=5).ok
    except requests.RequestException:
        return False


# --- a failpoint at a step of each deed

_steps: dict[str, list[tuple[str, str, str]]] = {}


def steps_of(deed: Deed, stage: Stage, name: str) -> list[tuple[str, str, str]]:
    """(step, effect, host) of all that the deed sends to hosts, from the journal of a run in which nothing fails."""
    if deed.name not in _steps:
        deed.ready(stage, name)
        operation = deed.act(stage, name)
        assert ended(stage, operation)["state"] == "done"
        query = (
            "select step, json_extract(data, '$.command.effect'), json_extract(data, '$.queue') from hosts_entry"
            f" where operation_id = '{operation.replace('-', '')}' and kind = 'started' order by number"
        )
        _steps[deed.name] = [(step, effect, queue.split(".")[1]) for step, effect, queue in stage.stack.rows(query)]
    return _steps[deed.name]


def _failpoint_cases() -> list[Any]:
    cases = [(deed, act) for deed in DEEDS for act in failpoints.ACTS]
    chosen = set(random.Random(table.SEED).sample(range(len(cases)), IN_EVERY_RUN))
    return [
        pytest.param(
            deed, act, id=f"{deed.name}-{act}".replace(" ", "_"), marks=[] if number in chosen else pytest.mark.fault
        )
        for number, (deed, act) in enumerate(cases)
    ]


@pytest.mark.parametrize(("deed", "act"), _failpoint_cases())
def test_a_step_that_breaks_leaves_everything_exactly_once(
    stage: Stage, named: Callable[[str], str], deed: Deed, act: str
):
    steps = steps_of(deed, stage, named("clean"))
    step, effect, host = random.Random(f"{table.SEED} {deed.name} {act}").choice(steps)
    name = named("struck")
    deed.ready(stage, name)
    file = failpoint_set(stage.stack, host, effect, act)
    began = time.monotonic()

    operation = deed.act(stage, name)
    outcome = attended(stage, operation)

    assert not file.exists(), f"{effect} on {host} was never asked for"
    noted(f"{deed.name}: {act}", f"{step} ({effect})", stage, began, outcome)
    assert outcome["state"] in ("done", "failed"), outcome
    assert outcome["state"] == "done" or outcome["message"], "it failed without a sentence"


# --- provisioning


@pytest.mark.fault
def test_f5_libvirtd_dies_while_a_vm_is_made(stage: Stage, named: Callable[[str], str]):
    name, began = named("f5"), time.monotonic()
    operation = stage.begun("POST", "/workloads/vms", stage.vm_wish(name))
    kill(pids_inside(stage.stack, HOST, "libvirtd -l"))

    outcome = ended(stage, operation)

    assert outcome["state"] in ("done", "failed"), outcome
    noted("F5 kill libvirtd", "create VM", stage, began, outcome)


@pytest.mark.fault
def test_f6_a_qemu_that_dies_is_shown_and_not_restarted_secretly(stage: Stage, named: Callable[[str], str]):
    name = named("f6")
    uuid = stage.made("vms", name)
    began = time.monotonic()
    kill(pids_inside(stage.stack, HOST, f"-uuid {uuid}"))

    seconds = eventually(lambda: stage.named(name)["state"] in ("crashed", "stopped"), 15)

    time.sleep(3)
    assert not pids_inside(stage.stack, HOST, f"-uuid {uuid}")
    noted("F6 kill QEMU", "running", stage, began, f"{stage.named(name)['state']} shown after {seconds:.1f} s")


def test_f9_one_name_twice_at_once_is_one_vm(stage: Stage, named: Callable[[str], str]):
    name, began = named("f9"), time.monotonic()
    answers = at_once(stage, [("POST", "/workloads/vms", stage.vm_wish(name))] * 4)

    begun = [body["uuid"] for status, body in answers if status == 202]
    assert len(begun) == 1, answers
    assert all(status in (400, 409, 422) and body["message"] for status, body in answers if status != 202), answers
    outcome = ended(stage, begun[0])
    assert outcome["state"] == "done"
    noted("F9 one name four times", "create VM", stage, began, "one made, three refused")


@pytest.mark.fault
def test_f12_dockerd_dies_while_a_container_is_made_and_its_neighbours_run_on(
    stage: Stage, named: Callable[[str], str]
):
    stage.made("containers", named("f12-peer"))
    pids = "docker inspect -f '{{.State.Pid}}' $(docker ps -q)"
    before = set(run_inside(stage.stack, HOST, pids).split())
    name, began = named("f12"), time.monotonic()
    operation = stage.begun("POST", "/workloads/containers", stage.container_wish(name))
    kill(pids_inside(stage.stack, HOST, "dockerd --config-file"))

    outcome = ended(stage, operation)

    noted("F12 kill dockerd", "create container", stage, began, outcome)
    assert before and before <= set(run_inside(stage.stack, HOST, pids).split())
    assert outcome["state"] in ("done", "failed")


def test_f13_a_message_that_comes_eight_times_makes_one_container(stage: Stage, named: Callable[[str], str]):
    name, began = named("f13"), time.monotonic()
    operation = stage.begun("POST", "/workloads/containers", stage.container_wish(name))
    assert ended(stage, operation)["state"] == "done"

    redeliver(stage.stack, operation, "create", 8)
    redeliver(stage.stack, operation, "start", 4)
    time.sleep(1)

    noted("F13 delivered 8 times", "create container", stage, began, "one container")


# --- migration: struck while memory travels


def moving(stage: Stage, name: str) -> tuple[str, str]:
    """(uuid, operation) of a VM whose memory is on its way from HOST to OTHER, slowly."""
    uuid = stage.made("vms", name)
    time.sleep(BOOT_S)  # a guest that has not booted has next to no memory to send
    wish = {"target": stage.person.host(OTHER)["uuid"], "bandwidth_mib_s": SLOW_MIB_S}
    operation = stage.begun("POST", f"/workloads/{uuid}/move", wish)
    entries = "select kind from hosts_entry where operation_id = '{}' and step = 'migrate'"
    query = entries.format(operation.replace("-", ""))
    eventually(lambda: len(stage.stack.rows(query)) > 0, 30)
    time.sleep(0.5)
    assert stage.stack.rows(query) == [("started",)], "the move was over before anything could strike it"
    return uuid, operation


Strike = Callable[[Stage], None]


def _part(name: str) -> Strike:
    import os
    import signal

    return lambda stage: os.kill(stage.stack.pid_of(name), signal.SIGKILL)


STRIKES: dict[str, Strike] = {
    "F16 kill source agent": lambda s: kill(pids_inside(s.stack, HOST, "--lane long")),
    "F16 kill source hostd": lambda s: kill(pids_inside(s.stack, HOST, "manage.py hostd --config")),
    "F17 kill target agent": lambda s: kill(pids_inside(s.stack, OTHER, "--lane ")),
    "F17 kill control worker": _part("control"),
    "F17 kill web": _part("web"),
    "F17 kill broker": _part("redis"),
    "F18 kill source libvirtd": lambda s: kill(pids_inside(s.stack, HOST, "libvirtd -l")),
    "F18 kill target libvirtd": lambda s: kill(pids_inside(s.stack, OTHER, "libvirtd -l")),
    "F51 flush broker": lambda s: redis_ask(s.stack, "FLUSHALL"),
}
FAST_STRIKES = {"F18 kill target libvirtd"}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=[] if name in FAST_STRIKES else pytest.mark.fault) for name in STRIKES],
)
def test_a_move_that_is_struck_ends_with_the_vm_running_once(stage: Stage, named: Callable[[str], str], fault: str):
    name = named("moved")
    uuid, operation = moving(stage, name)
    began = time.monotonic()

    STRIKES[fault](stage)
    outcome = ended(stage, operation)

    noted(fault, "migrate", stage, began, outcome)
    assert outcome["state"] in ("done", "failed"), outcome
    running_once(stage, uuid, outcome)


def running_once(stage: Stage, uuid: str, outcome: dict[str, Any]) -> None:
    """The VM runs on one host, which is the target exactly when the move says that it is done."""
    found = [copy for copy in truth.look(stage.stack).real if copy.uuid == uuid]
    assert [copy.state for copy in found] == [truth.ON], found
    assert found[0].host == (OTHER if outcome["state"] == "done" else HOST), (found, outcome)


@pytest.mark.fault
def test_f23_the_targets_qemu_dies(stage: Stage, named: Callable[[str], str]):
    uuid, operation = moving(stage, named("f23"))
    began = time.monotonic()
    kill(pids_inside(stage.stack, OTHER, f"-uuid {uuid}"))

    outcome = ended(stage, operation)

    noted("F23 kill target QEMU", "migrate", stage, began, outcome)
    assert outcome["state"] == "failed"
    running_once(stage, uuid, outcome)


@pytest.mark.fault
def test_f23_the_sources_qemu_dies(stage: Stage, named: Callable[[str], str]):
    name = named("f23")
    uuid, operation = moving(stage, name)
    began = time.monotonic()
    kill(pids_inside(stage.stack, HOST, f"-uuid {uuid}"))

    outcome = ended(stage, operation)

    noted("F23 kill source QEMU", "migrate", stage, began, outcome)
    assert outcome["state"] != "done"
    assert stage.named(name)["state"] in ("crashed", "stopped") and stage.named(name)["host"] == HOST


@pytest.mark.fault
@pytest.mark.parametrize(
    ("fault", "host", "cable", "seconds"),
    [
        ("F24 target unreachable for its peer", OTHER, SECOND, 25.0),
        ("F24 source cut off from the centre", HOST, MANAGEMENT, 20.0),
    ],
)
def test_f24_a_partition_while_memory_travels(
    stage: Stage, named: Callable[[str], str], fault: str, host: str, cable: str, seconds: float
):
    uuid, operation = moving(stage, named("f24"))
    began = time.monotonic()
    with cable_pulled(stage.stack, host, cable):
        time.sleep(seconds)

    outcome = ended(stage, operation)

    noted(fault, "migrate", stage, began, outcome)
    assert outcome["state"] in ("done", "failed"), outcome
    running_once(stage, uuid, outcome)


@pytest.mark.fault
def test_f19_the_sources_libvirtd_is_frozen_at_the_end(stage: Stage, named: Callable[[str], str]):
    uuid, operation = moving(stage, named("f19"))
    began = time.monotonic()
    with frozen(pids_inside(stage.stack, HOST, "libvirtd -l")):
        time.sleep(20)

    outcome = ended(stage, operation)

    noted("F19 freeze source libvirtd", "migrate", stage, began, outcome)
    assert outcome["state"] in ("done", "failed"), outcome
    running_once(stage, uuid, outcome)


def test_f32_other_verbs_are_refused_at_once_and_f34_a_cancelled_move_stays(stage: Stage, named: Callable[[str], str]):
    uuid, operation = moving(stage, named("f32"))
    began = time.monotonic()
    for method, path, body in (
        ("POST", "/stop?force=true", None),
        ("POST", "/snapshots", {"name": "now"}),
        ("POST", "/pause", None),
        ("DELETE", "", None),
    ):
        status, answer = stage.person.call(method, f"/workloads/{uuid}{path}", body)
        assert status == 409 and "busy" in answer["message"], answer
    assert time.monotonic() - began < 15, "a refusal must not wait for the move"

    assert stage.person.call("POST", f"/operations/{operation}/cancel")[0] == 202
    outcome = ended(stage, operation)

    noted("F32 verbs, F34 cancel", "migrate", stage, began, outcome)
    running_once(stage, uuid, outcome)
    assert outcome["state"] in ("cancelled", "failed", "done")


@pytest.mark.fault
def test_f36_the_target_loses_its_power(stage: Stage, named: Callable[[str], str]):
    uuid, operation = moving(stage, named("f36"))
    ran = [row for row in stage.person.get("/workloads")["items"] if row["host"] == OTHER and row["state"] == "running"]
    began = time.monotonic()
    switch_by_hand(stage.stack, OTHER, "ForceOff")
    eventually(lambda: stage.person.host(OTHER)["power"] == "off", 60)
    stage.person.done("POST", f"/hosts/{stage.person.host(OTHER)['uuid']}/power-on")
    for row in ran:
        eventually(lambda row=row: _runs(stage, row["uuid"]), 120)

    outcome = ended(stage, operation)

    noted("F36 target loses power", "migrate", stage, began, outcome)
    assert outcome["state"] == "failed"
    running_once(stage, uuid, outcome)


def _runs(stage: Stage, uuid: str) -> bool:
    if stage.person.get(f"/workloads/{uuid}")["state"] == "running":
        return True
    stage.person.call("POST", f"/workloads/{uuid}/start")
    return False


# --- power


@pytest.mark.fault
def test_f43_a_host_that_loses_power_in_an_operation_harms_no_other(stage: Stage, named: Callable[[str], str]):
    name, began = named("f43"), time.monotonic()
    ran = [row for row in stage.person.get("/workloads")["items"] if row["host"] == OTHER and row["state"] == "running"]
    operation = stage.begun("POST", "/workloads/vms", stage.vm_wish(name, OTHER))
    switch_by_hand(stage.stack, OTHER, "ForceOff")
    stage.made("containers", named("f43-other"))
    eventually(lambda: stage.person.host(OTHER)["power"] == "off", 60)
    stage.person.done("POST", f"/hosts/{stage.person.host(OTHER)['uuid']}/power-on")
    for row in ran:
        eventually(lambda row=row: _runs(stage, row["uuid"]), 120)

    outcome = ended(stage, operation)

    noted("F43 host loses power", "create VM", stage, began, outcome)


# --- the parts of Stowage


@pytest.mark.fault
@pytest.mark.parametrize("part", ["redis", "control", "beat", "web", "collector", "plan"])
def test_a_part_of_stowage_dies_while_a_vm_is_made(stage: Stage, named: Callable[[str], str], part: str):
    name, began = named("part"), time.monotonic()
    operation = stage.begun("POST", "/workloads/vms", stage.vm_wish(name))
    _part(part)(stage)

    outcome = ended(stage, operation)

    noted(f"F51-F60 kill {part}", "create VM", stage, began, outcome)
    assert outcome["state"] == "done", outcome


def test_f51_a_flushed_broker_loses_and_doubles_nothing(stage: Stage, named: Callable[[str], str]):
    names = [named("f51") for _ in range(3)]
    began = time.monotonic()
    operations = [stage.begun("POST", "/workloads/containers", stage.container_wish(name)) for name in names]
    redis_ask(stage.stack, "FLUSHALL")

    outcomes = [ended(stage, operation)["state"] for operation in operations]

    noted("F51 flush broker", "create 3 containers", stage, began, ", ".join(outcomes))
    assert outcomes == ["done"] * 3


@pytest.mark.fault
def test_f54_a_lanes_process_dies_with_work_in_hand(stage: Stage, named: Callable[[str], str]):
    name, began = named("f54"), time.monotonic()
    operation = stage.begun("POST", "/workloads/vms", stage.vm_wish(name))
    kill(pids_inside(stage.stack, HOST, "--lane "))

    outcome = ended(stage, operation)

    noted("F54 kill lanes", "create VM", stage, began, outcome)
    assert outcome["state"] == "done", outcome


@pytest.mark.fault
def test_f59_a_locked_database_delays_and_breaks_nothing(stage: Stage, named: Callable[[str], str]):
    name, began = named("f59"), time.monotonic()
    operation = stage.begun("POST", "/workloads/vms", stage.vm_wish(name))
    with database_locked(stage.stack, 30.0):
        time.sleep(1)

    outcome = ended(stage, operation)

    noted("F59 database locked 30 s", "create VM", stage, began, outcome)
    assert outcome["state"] == "done", outcome


def test_f68_a_double_click_is_one_operation(stage: Stage, named: Callable[[str], str]):
    uuid = stage.made("containers", named("f68"))
    began = time.monotonic()

    answers = at_once(stage, [("POST", f"/workloads/{uuid}/stop", None)] * 4)

    begun = {body["uuid"] for status, body in answers if status == 202}
    assert len(begun) == 1, answers
    assert all(status in (202, 409) for status, _ in answers), answers
    outcome = ended(stage, begun.pop())
    noted("F68 four clicks at once", "stop container", stage, began, outcome)


@pytest.mark.fault
@pytest.mark.parametrize("daemon", ["dockerd --config-file", "libvirtd -l"])
def test_f70_a_frozen_daemon_costs_only_its_own_host(stage: Stage, named: Callable[[str], str], daemon: str):
    began = time.monotonic()
    with frozen(pids_inside(stage.stack, HOST, daemon)):
        stage.made("vms", named("f70"), OTHER)
        stage.made("containers", named("f70"), OTHER)
        time.sleep(5)

    noted(f"F70 freeze {daemon.split()[0]}", "beside it", stage, began, "the other host worked on")


# --- behind Stowage's back


def test_f67_what_somebody_does_by_hand_is_shown_and_not_fought(stage: Stage, named: Callable[[str], str]):
    vm, box = named("f67-vm"), named("f67-box")
    uuid = stage.made("vms", vm)
    stage.made("containers", box)
    began = time.monotonic()
    run_inside(stage.stack, HOST, f"virsh destroy {vm}; docker rm -f {box}")

    eventually(lambda: stage.named(vm)["state"] == "stopped" and stage.person.workload(box) is None, 15)

    time.sleep(2)
    assert not pids_inside(stage.stack, HOST, f"-uuid {uuid}"), "it was started again by itself"
    noted("F67 virsh destroy, docker rm -f", "running", stage, began, "shown, not fought")


@pytest.mark.fault
def test_f67_a_vm_that_somebody_undefined_is_shown_gone(stage: Stage, named: Callable[[str], str]):
    name = named("f67-gone")
    uuid = stage.made("vms", name)
    began = time.monotonic()
    run_inside(stage.stack, HOST, f"virsh destroy {name}; virsh undefine {name} --nvram")

    eventually(lambda: stage.person.workload(name) is None, 20)

    run_inside(stage.stack, HOST, f"rm -f /var/lib/libvirt/images/{uuid}* /var/lib/stowage/shared/{uuid}*")
    noted("F67 virsh undefine", "running", stage, began, "shown as gone")


def at_once(stage: Stage, calls: list[tuple[str, str, Any]]) -> list[tuple[int, Any]]:
    """The answers to calls that several people make at the same moment."""
    from concurrent.futures import ThreadPoolExecutor

    people = [ApiPerson(stage.stack) for _ in calls]
    with ExitStack() as held:
        pool = held.enter_context(ThreadPoolExecutor(len(calls)))
        waiting = [pool.submit(person.call, *call) for person, call in zip(people, calls, strict=True)]
        return [each.result() for each in waiting]
