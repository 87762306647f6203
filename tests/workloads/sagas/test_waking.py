"""New workloads that wake their host: they wait for it, and come to nothing where it does not wake."""

from __future__ import annotations

from typing import Any

import pytest

from hosts import services as host_services
from hosts.errors import Refused
from hosts.models import Host, Lease, Operation
from hosts.operations.intervene import operation_cancel_request
from tests.factories import image_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import Place, place_make
from workloads import services
from workloads.models import Image, Workload

State = Operation.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Place:
    """Beta is off."""
    place = place_make()
    place.world.power_set("beta", False)
    Host.objects.filter(pk=place.beta.pk).update(power="off", desired_power="off", is_cordoned=True)
    place.beta.refresh_from_db()
    return place


def create(place: Place, name: str = "web-9", **values: Any) -> Operation:
    given = {
        "image": Image.objects.first() or image_make("tiny"),
        "cpu_cores": 1,
        "memory_mib": 256,
        "disk_gib": 1,
        "host": place.beta,
    }
    return services.vm_create(place.user, name=name, **(given | {"may_wake": True} | values))


def woken_by() -> list[Operation]:
    return list(Operation.objects.filter(kind="host_power_on"))


def test_a_vm_waits_for_its_host_to_be_woken(place: Place):
    operation = create(place)
    (wake,) = woken_by()
    assert wake.requested_by_name == place.user.get_username()

    ended = place.harness.run(operation)

    assert ended.state == State.DONE
    assert place.world.places(operation.subject_id) == {"beta": "running"}
    assert Host.objects.get(pk=place.beta.pk).power == "on"


def test_the_operation_says_what_it_waits_for(place: Place):
    operation = create(place)
    place.harness.engine().advance(str(operation.pk))
    operation.refresh_from_db()
    assert operation.progress_text == "It waits for beta, which is being woken."


def test_a_container_waits_too(place: Place):
    image_make("busybox", format=Image.Format.ENGINE_ARCHIVE, reference="busybox:latest")
    wish = {"name": "cache-9", "image": "busybox:latest", "cpu_cores": 0.5, "memory_mib": 64, "host": place.beta}
    operation = services.container_create(place.user, may_wake=True, **wish)
    assert place.harness.run(operation).state == State.DONE
    assert place.world.places(operation.subject_id) == {"beta": "running"}


def test_two_wait_for_one_waking(place: Place):
    first, second = create(place), create(place, "web-10")
    assert len(woken_by()) == 1
    assert [place.harness.run(one).state for one in (first, second)] == [State.DONE, State.DONE]


def test_nothing_is_left_of_it_when_the_host_does_not_wake(place: Place):
    operation = create(place)
    place.harness.troubles = [Trouble("power_on", "refused", times=99)]

    ended = place.harness.run(operation)

    assert ended.state == State.FAILED and "beta did not wake: " in ended.message
    assert not Workload.objects.exists() and not Lease.objects.filter(operation=operation).exists()


def test_who_cancels_it_while_it_waits_leaves_nothing_but_a_host_that_is_on(place: Place):
    operation = create(place)
    place.harness.engine().advance(str(operation.pk))
    operation_cancel_request(Operation.objects.get(pk=operation.pk))

    assert place.harness.run(operation).state == State.CANCELLED
    assert not Workload.objects.exists()


def test_no_host_is_woken_for_a_wish_that_does_not_allow_it(place: Place):
    with pytest.raises(Refused, match="beta is powered off"):
        create(place, may_wake=False)
    assert not woken_by()


def test_no_host_in_maintenance_is_woken_and_nothing_is_begun_where_waking_is_refused(place: Place):
    Host.objects.filter(pk=place.beta.pk).update(is_in_maintenance=True)
    with pytest.raises(Refused, match="maintenance"):
        create(place)
    Host.objects.filter(pk=place.beta.pk).update(is_in_maintenance=False)
    place.beta.bmc.delete()
    with pytest.raises(Refused, match="has no BMC"):
        create(place)
    assert not Operation.objects.exists() and not Workload.objects.exists()


def test_the_room_of_a_host_that_is_off_is_given_once(place: Place):
    create(place, memory_mib=place.beta.memory_mib - 100)
    with pytest.raises(Refused, match="MiB of memory left"):
        create(place, "web-10")


def test_a_host_that_was_woken_meanwhile_is_taken_as_it_is(place: Place):
    operation = host_services.host_power_on(place.user, place.beta)
    assert place.harness.run(operation).state == State.DONE

    assert place.harness.run(create(place)).state == State.DONE
    assert len(woken_by()) == 1
