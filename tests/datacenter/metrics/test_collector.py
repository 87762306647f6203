"""Messages of the host planes, from the stream to rows, series and doorbells. No Redis, no store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from datacenter.metrics import collector as module
from datacenter.metrics.collector import OBSERVED, POWER, SAMPLES, Collector, PlaneKeys, observation_digest
from datacenter.metrics.store import Sample
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


LINE = re.compile(r"(\w+)\{(.*)\} (\S+) (\d+)\n")


def sample_of(line: str) -> Sample:
    """The stored line, read again."""
    found = LINE.fullmatch(line)
    assert found is not None, line
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
    return Sample(found[1], labels, float(found[3]), int(found[4]) / 1000)


@dataclass
class Bench:
    """A collector with all that it writes to."""

    clock: Clock = field(default_factory=Clock)
    written: list[Sample] = field(default_factory=list)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.collector = Collector(self.tell, clock=self.clock, key_of=lambda kind, name: f"key of {kind} {name}")

    def tell(self, payloads: dict[str, bytes]) -> None:
        self.told += payloads
        self.latest |= {key: json.loads(payload) for key, payload in payloads.items()}

    def send(self, stream: str, *messages: Any) -> None:
        self.collector.handle_all([(stream, signed(stream, json.dumps(message).encode())) for message in messages])
        self.collector.flush()
        self.written += [sample_of(line) for line in self.collector.lines_take()]


def signed(stream: str, raw: bytes, name: str = "") -> dict[bytes, bytes]:
    """The fields as the plane sends them that the message names (`name` where it cannot be read)."""
    kind = "site" if stream == POWER else "host"
    key = f"key of {kind} {name or json.loads(raw)[kind]}"
    return {b"data": raw, b"signature": signature_of(key, raw).encode()}


def sample_round(host: Host, *workloads: Workload, **fields: Any) -> dict[str, Any]:
    rows = [[str(row.pk), 0.25, 128.0, None] for row in workloads]
    return {
        "host": host.name,
        "at": round(timezone.now().timestamp() - 1, 3),
        "host_sample": {"cpu_used_cores": 1.5, "memory_used_mib": 1024, "load_1m": 0.5},
        "workloads": [{"kind": "vm", "keys": ["cpu_used_cores", "memory_used_mib", "processes"], "rows": rows}],
    } | fields


def test_a_round_of_samples_goes_to_store_and_pages_with_its_own_time():
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    message = sample_round(host, vm)

    bench.send(SAMPLES, message)

    cpu = next(sample for sample in bench.written if sample.metric == "stowage_workload_cpu_used_cores")
    assert (cpu.labels, cpu.value, cpu.at) == (
        {"workload_uuid": str(vm.pk), "kind": "vm", "site": "berlin"},
        0.25,
        message["at"],
    )
    memory = next(sample for sample in bench.written if sample.metric == "stowage_host_memory_used_bytes")
    assert memory.value == 2**30
    assert bench.latest[f"workload:{vm.pk}"] == {"at": message["at"], "cpu_used_cores": 0.25, "memory_used_mib": 128.0}
    assert sorted(bench.told) == [f"host:{host.pk}", f"workload:{vm.pk}"]


def test_of_many_rounds_handled_at_once_pages_are_told_the_last():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, *(sample_round(host, host_sample={"load_1m": float(number)}) for number in range(5)))

    assert bench.told == [f"host:{host.pk}"]
    assert bench.latest[f"host:{host.pk}"]["load_1m"] == 4.0
    assert len(bench.written) == 5


def test_a_batch_of_samples_touches_no_sql(django_assert_num_queries):
    bench, host = Bench(), a_host("alpha")
    vm = a_vm("web", host)
    bench.send(SAMPLES, sample_round(host, vm))  # hosts and owners are read every few seconds, with or without samples

    with django_assert_num_queries(0):
        bench.send(SAMPLES, *(sample_round(host, vm) for _ in range(100)))

    assert len(bench.written) == 101 * 5


def test_single_disks_and_sensors_are_series_of_their_own():
    bench, host = Bench(), a_host("alpha")
    parts = {
        "device_disk_read_bytes_total": {'sd"a': 5, "sdb": "many"},
        "temperature_celsius": {"inlet": -3.5},
        "made_up": {"x": 1},
        "cpu_used_cores": {"x": 1},
    }

    bench.send(SAMPLES, sample_round(host, host_sample={}, host_parts=parts))

    assert {(sample.metric, sample.value) for sample in bench.written} == {
        ("stowage_host_device_disk_read_bytes_total", 5.0),
        ("stowage_host_temperature_celsius", -3.5),
    }


def test_what_is_not_fresh_is_told_to_the_hosts_page_as_plain_text():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, sample_round(host, stale=["The engine\x1b[0m sleeps.", *["x" * 1000] * 50]))

    stale = bench.latest[f"host:{host.pk}"]["stale"]
    assert stale[0] == "The engine[0m sleeps."
    assert len(stale) == 10 and max(map(len, stale)) == 300


def test_a_late_sample_is_stored_with_its_time_and_not_shown_as_the_newest():
    bench, host = Bench(), a_host("alpha")
    bench.send(SAMPLES, sample_round(host))
    late_at = round(bench.clock.now - 3600)

    bench.send(SAMPLES, sample_round(host), sample_round(host, at=late_at, host_sample={"load_1m": 9}))

    assert bench.latest[f"host:{host.pk}"]["load_1m"] == 0.5
    assert [sample.value for sample in bench.written if sample.at == late_at] == [9.0]
    assert bench.collector.late_buckets == {-(-late_at // 300) * 300}


def test_a_hosts_bmc_adds_watts_and_degrees_to_its_figures():
    bench, host = Bench(), a_host("alpha")
    measured = {"alpha": {"power_watts": 210.5, "temperature_celsius": {"Inlet": 22}}}
    reading = {"site": "berlin", "at": bench.clock.now - 2, "readings": {}, "sensors": measured}

    bench.send(POWER, reading)
    bench.send(SAMPLES, sample_round(host))

    assert ("stowage_host_power_watts", 210.5) in {(sample.metric, sample.value) for sample in bench.written}
    assert ("stowage_host_temperature_celsius", 22.0) in {(sample.metric, sample.value) for sample in bench.written}
    assert bench.latest[f"host:{host.pk}"]["power_watts"] == 210.5
    assert bench.latest[f"host:{host.pk}"]["cpu_used_cores"] == 1.5


def test_what_pages_watch_is_sorted_by_the_host_that_can_sample_it():
    bench, alpha = Bench(), a_host("alpha")
    beta = a_host("beta")
    vm = a_vm("web", beta)
    bench.send(SAMPLES, sample_round(alpha))

    watched = bench.collector.watched_by_host([f"host:{alpha.pk}", f"workload:{vm.pk}", f"host:{vm.pk}", "nonsense"])

    assert watched == {"alpha": (True, set()), "beta": (False, {str(vm.pk)})}


def test_a_host_may_not_speak_for_another_hosts_workload():
    bench, mallory = Bench(), a_host("mallory")
    vm = a_vm("web", a_host("alpha"))

    bench.send(SAMPLES, sample_round(mallory, vm))

    assert not any(sample.metric.startswith("stowage_workload") for sample in bench.written)
    assert f"workload:{vm.pk}" not in bench.latest


def test_nobody_listens_to_a_host_that_was_never_enrolled():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, sample_round(host) | {"host": "ghost"})

    assert not bench.written


def test_a_sample_of_the_future_is_counted_as_of_now():
    bench, host = Bench(), a_host("alpha")

    bench.send(SAMPLES, sample_round(host, at=bench.clock.now + 9999))

    assert {sample.at for sample in bench.written} == {int(bench.clock.now * 1000) / 1000}


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
        b'{"host": "alpha", "workloads": [{"kind": [], "keys": {}}], "host_sample": []}',
        b'{"host": "alpha", "workloads": [{"kind": "vm", "keys": 5, "rows": 5}], "host_parts": {"x": 5}}',
        b'{"host": "alpha", "workloads": [{"kind": "vm", "keys": [[], {}], "rows": [5, [], [{}]]}], "stale": 5}',
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

    assert bench.written


@pytest.mark.parametrize("signature", [None, b"", b"0" * 64, b"\xff"])
def test_a_message_that_its_plane_has_not_signed_is_dropped(signature: bytes | None):
    bench, host = Bench(), a_host("alpha")
    raw = json.dumps(sample_round(host)).encode()
    fields = {b"data": raw} | ({b"signature": signature} if signature is not None else {})

    bench.collector.handle_all([(SAMPLES, fields), (SAMPLES, signed(SAMPLES, raw, "beta"))])

    assert not bench.collector.lines_take()


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
