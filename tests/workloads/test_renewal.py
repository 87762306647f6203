"""Another name for a workload, a newer image for a container."""

from __future__ import annotations

import pytest

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Operation
from tests.factories import container_make, host_make, user_make, vm_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import SAMPLES
from workloads import services
from workloads.models import Container, Snapshot, Workload
from workloads.states import why_not

pytestmark = pytest.mark.django_db


def test_a_name_is_given_once():
    host = host_make()
    vm_make(host, "web-1", state="stopped")
    container = container_make(host, "cache-1")

    for name, sentence in (("web-1", "the name of a VM"), ("cache-1", "is its name already"), ("a/b", "begins with")):
        with pytest.raises(Invalid, match=sentence):
            services.workload_rename(user_make("operator"), container, name=name)
    assert not Operation.objects.exists()


def test_the_new_name_is_taken_while_the_host_is_asked():
    sample = SAMPLES["rename_workload"][0]()
    sample.harness.troubles = [Trouble("rename", "refused", 99)]

    assert sample.harness.run(sample.operation).state == "failed"

    assert Workload.objects.get(pk=sample.operation.subject_id).name == "cache-1"


@pytest.mark.parametrize(
    ("state", "sentence"), [("running", "only while it is off"), ("unknown", "wait until"), ("stopped", None)]
)
def test_a_vm_is_renamed_while_it_is_off(state: str, sentence: str | None):
    reason = why_not(vm_make(host_make(), state=state), "rename")

    assert sentence in reason if sentence else reason is None


def test_a_vm_with_snapshots_keeps_its_name():
    vm = vm_make(host_make(), state="stopped", snapshot_count=1)

    assert "snapshots" in (why_not(vm, "rename") or "")
    assert not Snapshot.objects.exists()


def test_only_a_running_container_is_made_anew():
    host = host_make()

    assert "only a container" in (why_not(vm_make(host), "recreate") or "")
    assert "only a running container" in (why_not(container_make(host, state="stopped"), "recreate") or "")
    assert why_not(container_make(host), "recreate") is None


def test_a_viewer_makes_nothing_anew():
    container = container_make(host_make())
    with pytest.raises(Forbidden):
        services.container_recreate(user_make("viewer"), container)
    with pytest.raises(Invalid, match="Name the container image"):
        services.container_recreate(user_make("operator"), container, image="a b")
    Container.objects.filter(pk=container.pk).update(state="stopped")
    with pytest.raises(Refused, match="only a running"):
        services.container_recreate(user_make("operator"), container)


def test_a_new_one_that_is_not_well_gives_its_place_back():
    sample = SAMPLES["recreate_container"][0]()
    sample.harness.troubles = [Trouble("wait_healthy", "refused", 99)]

    operation = sample.harness.run(sample.operation)

    (left,) = sample.world.hosts["alpha"].containers.values()
    assert operation.state == "failed"
    assert (left.image, left.state, left.restart_policy) == ("busybox:latest", "running", "always")


def test_the_newest_image_is_no_reason_to_stop_a_container():
    sample = SAMPLES["recreate_container"][1]()
    host = sample.world.hosts["alpha"]
    host.images["busybox:latest"] = "sha256:busybox:latest"  # as the fake registry would give it

    operation = sample.harness.run(sample.operation)

    (left,) = host.containers.values()
    assert operation.state == "failed" and "newest busybox:latest already" in operation.message
    assert left.starts == 0


def test_a_container_is_killed_when_it_shall_be_off_at_once():
    container = SAMPLES["stop_workload"][1]()
    operation = Operation.objects.get(pk=container.operation.pk)
    Operation.objects.filter(pk=operation.pk).update(parameters=operation.parameters | {"force": True})
    operation.refresh_from_db()

    assert container.harness.run(operation).state == "done"

    assert ("alpha", "container.kill", "do") in container.harness.effects
