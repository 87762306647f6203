"""Messages of the host planes, from the stream to rows, series and doorbells. No Redis, no store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from datacenter.metrics import collector as module
from datacenter.metrics.collector import OBSERVED, POWER, SAMPLES, Collector, PlaneKeys, observation_digest
from datacenter.metrics.store import Sample
from hosts.errors import Unreachable
from hosts.models import AuditRecord, Host, Lease, Operation
from hosts.services.planes import plane_token_issue
from hosts.signing import signature_of, signing_key
from tests.datacenter.world import a_host, a_user, a_vm, observation, observed_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = timezone.now().timestamp()

    def __call__(self) -> float:
        return self.now


@dataclass
class StoreOfLists:
    """A store that keeps what was written, or is away."""

    written: list[Sample] = field(default_factory=list)
    is_away: bool = False

    def write(self, samples: Sequence[Sample]) -> None:
        if self.is_away:
            raise Unreachable("The metrics store does not answer.")
        self.written += samples


@dataclass
class Bench:
    """A collector with all that it writes to."""

    clock: Clock = field(default_factory=Clock)
    store: StoreOfLists = field(default_factory=StoreOfLists)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    rung: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.collector = Collector(
            self.store,
            write_latest=self.latest.update,
            ring=lambda host, _: self.rung.append(host),
            clock=self.clock,
            key_of=lambda kind, name: f"key of {kind} {name}",
        )

    def send(self, stream: str, *messages: Any) -> None:
        self.collector.handle_all([(stream, signed(stream, json.dumps(message).encode())) for message in messages])
        self.collector.flush()


def signed(stream: str, raw: bytes, name: str = "") -> dict[bytes, bytes]:
    """The fields as the plane sends them that the message names (`name` where it cannot be read)."""
    kind = "site" if stream == POWER else "host"
    key = f"key of {kind} {name or json.loads(raw)[kind]}"
    return {b"data": raw, b"signature": signature_of(key, raw).encode()}


def sample_round(host: Host, *workloads: Workload, **fields: Any) -> dict[str, Any]:
    return {
        "host": host.name,
        "at": timezone.now().timestamp() - 1,
        "host_sample": {"cpu_used_cores": 1.5, "memory_used_mib": 1024, "load_1m": 0.5},
        "workloads": [
            {"kind": "vm", "uuid": str(row.pk), "cpu_used_cores": 0.25, "memory_used_mib": 128} for row in workloads
        ],
    } | fields


def test_a_round_of_samples_goes_to_store_and_pages_with_its_own_time():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    message = sample_round(host, vm)

    bench.send(SAMPLES, message)

    cpu = next(sample for sample in bench.store.written if sample.metric == "stowage_workload_cpu_used_cores")
    assert (cpu.labels, cpu.value, cpu.at) == (
        {"workload_uuid": str(vm.pk), "kind": "vm", "site": "berlin"},
        0.25,
        message["at"],
    )
    memory = next(sample for sample in bench.store.written if sample.metric == "stowage_host_memory_used_bytes")
    assert memory.value == 2**30
    assert bench.latest[f"workload:{vm.pk}"] == {"at": message["at"], "cpu_used_cores": 0.25, "memory_used_mib": 128.0}
    assert bench.rung == [str(host.pk)]


def test_of_many_rounds_handled_at_once_pages_are_told_the_last():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, *(sample_round(host, host_sample={"load_1m": float(number)}) for number in range(5)))

    assert bench.rung == [str(host.pk)]
    assert bench.latest[f"host:{host.pk}"]["load_1m"] == 4.0
    assert len(bench.store.written) == 5


def test_samples_cost_no_sql_of_their_own(django_assert_max_num_queries):
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)

    with django_assert_max_num_queries(2):  # hosts and owners, read every few seconds
        bench.send(SAMPLES, *(sample_round(host, vm) for _ in range(100)))


def test_a_host_may_not_speak_for_another_hosts_workload():
    bench, mallory = Bench(), a_host("mallory")
    vm = a_vm("web", a_host("alpha"))

    bench.send(SAMPLES, sample_round(mallory, vm))

    assert not any(sample.metric.startswith("stowage_workload") for sample in bench.store.written)
    assert f"workload:{vm.pk}" not in bench.latest


def test_nobody_listens_to_a_host_that_was_never_enrolled():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, sample_round(host) | {"host": "ghost"})

    assert not bench.store.written


def test_a_sample_of_the_future_is_counted_as_of_now():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, sample_round(host, at=bench.clock.now + 9999))

    assert {sample.at for sample in bench.store.written} == {bench.clock.now}


def test_samples_wait_while_the_store_is_away_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(module, "UNSENT_MOST", 4)
    bench, host = Bench(), a_host("alpha")
    bench.store.is_away = True
    bench.send(SAMPLES, sample_round(host), sample_round(host))
    bench.send(SAMPLES, sample_round(host))

    bench.store.is_away = False
    bench.collector.flush()

    assert len(bench.store.written) == 4
    assert bench.collector.dropped == 5


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no json",
        b"[]",
        b'{"host": 5}',
        b'{"host": "alpha", "sequence": "x"}',
        b'{"site": "berlin", "readings": [5]}',
        b'{"site": "berlin", "at": "soon", "readings": {"alpha": {}, "beta": "off"}}',
        b'{"host": "alpha", "sequence": 1e400}',
        b'{"host": "alpha", "sequence": NaN}',
        b'{"host": "alpha", "sequence": 99999999999999999999999999}',
        b'{"host": "alpha", "sequence": 7, "workloads": 5, "links": 5, "pools": 5, "hypervisor": 5}',
        b'{"host": "alpha", "sequence": 8, "pools": [[], {"pool_id": "\\u0000"}]}',
        b'{"host": "alpha", "workloads": [{"kind": [], "uuid": {}}], "host_sample": []}',
        b'{"host": "alpha", "workloads": ' + b"[" * 100_000,
        b'{"host": "alpha", "junk": "' + b"x" * 5_000_000 + b'"}',
    ],
)
@pytest.mark.parametrize("stream", [SAMPLES, OBSERVED, POWER])
def test_nonsense_is_dropped_and_the_next_message_handled(stream: str, raw: bytes):
    bench, host = Bench(), a_host("alpha")

    name = "berlin" if stream == POWER else "alpha"
    bench.collector.handle_all([(stream, signed(stream, raw, name)), (stream, {}), (stream, {b"other": raw})])
    bench.send(SAMPLES, sample_round(host))

    assert bench.store.written


@pytest.mark.parametrize("signature", [None, b"", b"0" * 64, b"\xff"])
def test_a_message_that_its_plane_has_not_signed_is_dropped(signature: bytes | None):
    bench, host = Bench(), a_host("alpha")
    raw = json.dumps(sample_round(host)).encode()
    fields = {b"data": raw} | ({b"signature": signature} if signature is not None else {})

    bench.collector.handle_all([(SAMPLES, fields), (SAMPLES, signed(SAMPLES, raw, "beta"))])
    bench.collector.flush()

    assert not bench.store.written


def test_a_planes_key_is_the_hash_of_its_newest_token():
    host, clock = a_host("alpha"), Clock()
    keys = PlaneKeys(clock)
    assert keys.key_of("host", "alpha") is None

    clock.now += 1
    old = plane_token_issue(a_user("administrator"), of=host)
    assert keys.key_of("host", "alpha") == signing_key(old)

    clock.now += 3
    new = plane_token_issue(a_user("administrator"), of=host)
    assert keys.key_of("host", "alpha") == signing_key(new)
    assert keys.key_of("site", "alpha") is None


def test_of_many_observations_of_a_host_only_the_last_is_applied():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    first, second = observation(host, observed_vm(vm, state="stopped")), observation(host, observed_vm(vm))

    bench.send(OBSERVED, first, second)

    vm.refresh_from_db()
    assert vm.state == "running"
    host.refresh_from_db()
    assert host.observed_sequence == second["sequence"]


def test_an_unchanged_observation_costs_no_statement(django_assert_num_queries):
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.send(OBSERVED, observation(host, observed_vm(vm)))

    with django_assert_num_queries(0):
        bench.send(OBSERVED, observation(host, observed_vm(vm)))


def test_an_unchanged_observation_is_applied_again_after_a_minute():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.send(OBSERVED, observation(host, observed_vm(vm)))
    Workload.objects.filter(pk=vm.pk).update(state="unknown")

    bench.clock.now += 61
    bench.send(OBSERVED, observation(host, observed_vm(vm)))

    vm.refresh_from_db()
    assert vm.state == "running"


def test_a_database_that_is_away_is_no_nonsense(monkeypatch):
    def away(*_: Any) -> bool:
        raise OperationalError("database is locked")

    bench, host = Bench(), a_host("alpha")
    monkeypatch.setattr(module, "host_observe", away)

    with pytest.raises(OperationalError):
        bench.send(OBSERVED, observation(host))


def test_a_host_that_stops_answering_has_its_workloads_doubted_and_trusted_again():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.collector.look_for_silence()
    bench.send(OBSERVED, observation(host, observed_vm(vm)))

    bench.clock.now += 20
    bench.collector.look_for_silence()
    vm.refresh_from_db()
    assert (vm.state, vm.state_reason) == ("unknown", "alpha does not answer.")
    host.refresh_from_db()
    assert host.power == Host.Power.UNKNOWN

    bench.send(OBSERVED, observation(host, observed_vm(vm)))
    vm.refresh_from_db()
    host.refresh_from_db()
    assert (vm.state, host.power) == ("running", Host.Power.ON)


def test_a_host_that_went_silent_and_is_then_read_as_off_runs_nothing():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.collector.look_for_silence()
    bench.clock.now += 20
    bench.collector.look_for_silence()

    Host.objects.update(power=Host.Power.OFF)
    bench.clock.now += 6
    bench.collector.look_for_silence()

    vm.refresh_from_db()
    assert (vm.state, vm.state_reason) == ("stopped", "alpha is switched off.")


def power_round(bench: Bench, site: str = "berlin", **readings: str) -> dict[str, Any]:
    return {"site": site, "at": bench.clock.now, "readings": readings}


def switched_by_hand(bench: Bench, **readings: str) -> None:
    """Two rounds of the site's plane, some time after the host's last word."""
    for _ in range(2):
        bench.clock.now += 10
        bench.send(POWER, power_round(bench, **readings))


def test_a_host_switched_off_by_hand_is_off_and_what_it_ran_is_stopped():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.send(OBSERVED, observation(host, observed_vm(vm)))
    bench.collector.look_for_silence()

    switched_by_hand(bench, alpha="off")
    bench.clock.now += 16
    bench.collector.look_for_silence()

    host.refresh_from_db()
    vm.refresh_from_db()
    assert (host.power, host.desired_power, vm.state) == ("off", "on", "stopped")
    assert AuditRecord.objects.get(verb="power_seen").thing_name == "alpha"


def test_one_reading_of_a_power_is_not_believed():
    bench, host = Bench(), a_host("alpha")
    bench.clock.now += 10

    bench.send(POWER, power_round(bench, alpha="off"))

    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_host_that_spoke_after_the_reading_is_on():
    bench, host = Bench(), a_host("alpha")
    early = power_round(bench, alpha="off") | {"at": bench.clock.now - 60}

    bench.send(POWER, early)
    bench.send(POWER, early)

    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_site_may_not_speak_for_another_sites_hosts():
    bench, host = Bench(), a_host("alpha")
    bench.clock.now += 10

    for _ in range(3):
        bench.send(POWER, power_round(bench, site="munich", alpha="off"))

    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_host_under_an_operation_is_not_judged_by_its_power():
    bench, host = Bench(), a_host("alpha")
    operation = Operation.objects.create(kind="host_power_on", subject_kind="host", subject_id=str(host.pk))
    Lease.objects.create(thing_kind="host", thing_id=str(host.pk), operation=operation)

    switched_by_hand(bench, alpha="off")

    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_host_switched_on_by_hand_is_no_longer_off():
    bench, host = Bench(), a_host("alpha", power="off", desired_power="off")

    switched_by_hand(bench, alpha="on")

    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_collector_that_has_just_started_calls_nobody_silent():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.clock.now += 3600

    bench.collector.look_for_silence()

    vm.refresh_from_db()
    assert vm.state == "running"


def test_the_digest_is_blind_to_what_changes_every_time():
    host = a_host("alpha")
    pool = {"pool_id": "p", "free_gib": 1.0}
    first, second = observation(host, pools=[pool]), observation(host, pools=[pool | {"free_gib": 2.0}])

    assert observation_digest(first) == observation_digest(second)
    assert observation_digest(first) != observation_digest(second | {"workloads": [observed_vm()]})


def test_a_host_that_is_not_enrolled_is_not_believed_about_workloads_and_pools():
    """It may be a machine that is known by another name: then each of its workloads would seem to run twice."""
    bench, host = Bench(), a_host("alpha")
    twin = a_host("twin", lifecycle=Host.Lifecycle.ENROLLING)
    vm, row = a_vm("web", host), observed_vm()
    row["uuid"] = str(vm.pk)
    pool = {"name": "local", "pool_id": "p1", "path": "/var/lib/libvirt/images", "capacity_gib": 10, "free_gib": 5}

    bench.send(OBSERVED, observation(host, row, pools=[pool]))
    bench.send(OBSERVED, observation(twin, row, pools=[pool]))

    assert list(vm.sightings.values_list("host__name", flat=True)) == ["alpha"]
    assert not twin.pool_mounts.exists()
    assert Host.objects.get(name="twin").last_seen_at is not None
