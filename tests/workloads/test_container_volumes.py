"""Containers with volumes: made, moved, deleted, and why some stay where they are."""

from __future__ import annotations

import pytest

from hosts.errors import Invalid, Refused
from hosts.models import Operation
from tests.factories import container_make, host_make, user_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import DATA, SAMPLES
from workloads import services
from workloads.forms import ContainerForm
from workloads.models import Container
from workloads.states import why_not
from workloads.ties import ties_write

pytestmark = pytest.mark.django_db
MOVE = SAMPLES["relocate_container"][0]


def test_a_volume_that_cannot_be_leaves_nothing_behind():
    host_make()
    with pytest.raises(Invalid, match="volume's name"):
        services.container_create(
            user_make("operator"),
            name="cache-9",
            image="busybox:latest",
            cpu_cores=0.5,
            memory_mib=64,
            volumes=[{"source": "../etc", "target": "/data"}],
        )
    assert not Operation.objects.exists() and not Container.objects.exists()


def test_volumes_are_written_one_on_a_line():
    form = ContainerForm({"volumes": "data:/data\n\n/srv/in:/in:ro"})
    form.is_valid()

    assert form.cleaned_data["volumes"] == [
        {"kind": "volume", "source": "data", "target": "/data", "is_read_only": False},
        {"kind": "bind", "source": "/srv/in", "target": "/in", "is_read_only": True},
    ]
    for text in ("data", "data:", "data:/x:rx"):
        form = ContainerForm({"volumes": text})
        assert not form.is_valid() and "Write name:/path" in form.errors["volumes"][0]


def test_a_container_with_a_folder_of_its_host_or_a_shared_volume_stays():
    host = host_make()
    first = container_make(host, "first", volumes=[DATA])
    second = container_make(host, "second", volumes=[DATA])
    third = container_make(host, "third", volumes=[{"kind": "bind", "source": "/srv/in", "target": "/in"}])

    assert ties_write(host) == {first.pk, second.pk, third.pk}

    reasons = [why_not(Container.objects.get(pk=row.pk), "move") or "" for row in (first, second, third)]
    assert "shares the volume data with second" in reasons[0] and "with first" in reasons[1]
    assert "/srv/in of its host" in reasons[2]
    assert ties_write(host) == set()
    second.delete()
    assert ties_write(host) == {first.pk}
    assert why_not(Container.objects.get(pk=first.pk), "move") is None


def test_a_volume_of_that_name_on_the_target_is_a_reason_before_anything_begins():
    here, there = host_make(), host_make()
    container = container_make(here, "first", volumes=[DATA])
    container_make(there, "second", volumes=[DATA])

    with pytest.raises(Refused, match="already has a volume named data"):
        services.workload_move(user_make("operator"), container, target=there)


@pytest.mark.parametrize(
    "step", ["send", "take_sent", "send_rest", "take_rest", "sum_target", "create", "wait_healthy"]
)
def test_a_move_that_fails_leaves_the_old_one_running_with_its_volume(step: str):
    sample = MOVE()
    sample.harness.troubles = [Trouble(step, "refused", 99)]

    assert sample.harness.run(sample.operation).state == "failed"

    alpha, beta = sample.world.hosts["alpha"], sample.world.hosts["beta"]
    (left,) = alpha.containers.values()
    assert (left.state, left.restart_policy) == ("running", "always")
    assert alpha.container_volumes["data"].content == "what was written"
    assert not beta.containers and not beta.container_volumes


def test_a_copy_that_differs_is_not_trusted():
    sample = MOVE()
    volumes = sample.harness.plane("host.beta").drivers.get("container_volumes", lambda _: None)
    volumes.sums = lambda names: dict.fromkeys(names, "something else")

    operation = sample.harness.run(sample.operation)

    assert operation.state == "failed" and "copy of the volume data" in operation.message
    assert not sample.world.hosts["beta"].container_volumes


def test_the_old_one_is_stopped_only_between_the_two_copies():
    sample = MOVE()
    sample.harness.run(sample.operation)

    names = [effect for _, effect, _ in sample.harness.effects]
    assert names.index("container.volumes_send") < names.index("container.fence") < names.index("container.volumes_sum")
    assert names.index("container.wait_healthy") < names.index("container.remove")


def test_a_volume_that_another_container_uses_stays_when_one_is_deleted():
    sample = SAMPLES["delete_workload"][2]()
    alpha = sample.world.hosts["alpha"]
    (container,) = alpha.containers.values()
    other = type(container)("other", "other", container.image, spec=container.spec | {"uuid": "other"})
    alpha.containers["other"] = other

    assert sample.harness.run(sample.operation).state == "done"

    assert list(alpha.container_volumes) == ["data"]
