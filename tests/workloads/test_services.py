"""Services of the workloads floor: bad input gets a sentence at its field and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host, Lease, Operation, PoolMount
from tests.factories import container_make, host_make, image_make, user_make, vm_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import SAMPLES, place_make
from workloads import services
from workloads.models import Container, Image, VirtualMachine, Workload

pytestmark = pytest.mark.django_db
State = Operation.State


def create_vm(**values):
    given = {"name": "web-9", "image": None, "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1}
    return services.vm_create(user_make("operator"), **(given | values))


def create_container(**values):
    given = {"name": "cache-9", "image": "busybox:latest", "cpu_cores": 0.5, "memory_mib": 64}
    return services.container_create(user_make("operator"), **(given | values))


def nothing_was_left() -> bool:
    return not (
        Operation.objects.exists()
        or Workload.objects.filter(name__in=["web-9", "cache-9"]).exists()
        or Lease.objects.filter(operation__isnull=False).exists()
    )


def test_a_vm_is_reserved_at_once_and_shown_as_being_made():
    host = host_make()

    create_vm(host=host)

    vm = VirtualMachine.objects.get(name="web-9")
    assert (vm.host, vm.state, vm.desired) == (host, "creating", "running")
    assert str(vm.pk) in vm.disks[0]["path"]


def test_a_viewer_makes_nothing():
    host_make()
    with pytest.raises(Forbidden):
        services.vm_create(user_make("viewer"), name="web-9", image=None, cpu_cores=1, memory_mib=64, disk_gib=1)
    assert nothing_was_left()


def test_a_name_that_is_taken_is_refused_saying_where():
    host = host_make("alpha")
    vm_make(host, "web-9")

    with pytest.raises(Invalid, match="name of a VM on alpha") as caught:
        create_vm(host=host)
    assert caught.value.field == "name"
    assert not Operation.objects.exists()


def test_more_memory_than_any_host_has_is_refused_with_the_largest():
    host_make(memory_mib=4096)

    with pytest.raises(Invalid, match="the largest has 4096 MiB") as caught:
        create_vm(memory_mib=999_999)
    assert caught.value.field == "memory_mib"
    assert nothing_was_left()


def test_a_container_with_more_memory_than_any_host_has_is_refused():
    host_make(memory_mib=4096)

    with pytest.raises(Invalid, match="more memory than any host has"):
        create_container(memory_mib=999_999)
    assert nothing_was_left()


def test_a_disk_larger_than_the_pool_is_refused_naming_the_pool():
    host = host_make()
    PoolMount.objects.filter(host=host).update(capacity_gib=10)

    with pytest.raises(Invalid, match="larger than the pool local") as caught:
        create_vm(host=host, disk_gib=11)
    assert caught.value.field == "disk_gib"
    assert nothing_was_left()


def test_a_disk_larger_than_every_pool_is_refused_at_its_field_also_when_no_host_was_chosen():
    for name, capacity_gib in (("alpha", 10), ("beta", 20)):
        PoolMount.objects.filter(host=host_make(name)).update(capacity_gib=capacity_gib)

    with pytest.raises(
        Invalid, match=r"larger than the pool local of beta.* 20 GiB\. Ask for a smaller disk"
    ) as caught:
        create_vm(disk_gib=1000)
    assert caught.value.field == "disk_gib"
    assert nothing_was_left()


def test_a_vm_without_any_pool_is_refused_saying_where_pools_are_declared():
    PoolMount.objects.filter(host=host_make()).delete()

    with pytest.raises(Invalid, match="Declare one"):
        create_vm()
    assert nothing_was_left()


def test_a_disk_smaller_than_its_image_is_refused():
    host = host_make()
    image = image_make(virtual_size_bytes=2 * 1024**3)

    with pytest.raises(Invalid, match=r"unpacks to 2\.00 GiB"):
        create_vm(host=host, image=image, disk_gib=1)
    assert nothing_was_left()


def test_an_image_for_containers_is_no_disk_image():
    host = host_make()
    image = image_make(format=Image.Format.ENGINE_ARCHIVE, reference="a:1")

    with pytest.raises(Invalid, match="for containers"):
        create_vm(host=host, image=image)
    assert nothing_was_left()


def test_the_last_place_is_given_once():
    host = host_make(memory_mib=1024)
    create_vm(host=host, memory_mib=600)

    with pytest.raises(Refused, match="424 MiB of memory left"):
        create_vm(host=host, name="web-8", memory_mib=600)
    assert Workload.objects.count() == 1


def test_a_move_on_its_way_reserves_memory_on_its_target():
    place = place_make()
    vm = vm_make(place.alpha, memory_mib=3000)
    services.workload_move(place.user, vm, target=place.beta)

    with pytest.raises(Refused, match="MiB of memory left"):
        create_vm(host=place.beta, memory_mib=2000)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"is_cordoned": True}, "closed to new workloads"),
        ({"is_in_maintenance": True}, "in maintenance"),
        ({"power": "off"}, "powered off"),
        ({"last_seen_at": timezone.now() - timedelta(minutes=5)}, "does not answer"),
        ({"lifecycle": "failed"}, "not enrolled"),
    ],
)
def test_a_host_that_is_not_open_takes_nothing(change, sentence):
    host_make()
    host = host_make()
    Host.objects.filter(pk=host.pk).update(**change)
    host.refresh_from_db()

    with pytest.raises(Refused, match=sentence):
        create_vm(host=host)
    assert nothing_was_left()


def test_without_a_host_one_that_has_room_is_taken():
    full, empty = host_make("full"), host_make("empty")
    vm_make(full, memory_mib=4000)

    assert create_vm().host == empty


def test_a_container_image_that_does_not_exist_fails_with_its_name_and_leaves_nothing():
    place = place_make()
    operation = services.container_create(
        place.user, name="cache-9", image="nowhere/none:1", cpu_cores=0.5, memory_mib=64, host=place.alpha
    )

    operation = place.harness.run(operation)

    assert operation.state == State.FAILED
    assert "nowhere/none:1" in operation.message
    assert not Workload.objects.filter(name="cache-9").exists()
    assert place.world.hosts["alpha"].containers == {}


@pytest.mark.parametrize("image", ["", "-rf", "a b", "x;y", "$(id)"])
def test_a_container_image_with_an_impossible_name_is_refused_at_its_field(image):
    host_make()
    with pytest.raises(Invalid) as caught:
        create_container(image=image)
    assert caught.value.field == "image"


def test_a_port_that_another_container_has_is_refused_naming_it():
    host = host_make("alpha")
    container_make(host, "proxy-1", ports=[{"host": 8080, "container": 80, "protocol": "tcp"}])

    with pytest.raises(Refused, match="Port 8080/tcp of alpha belongs to proxy-1"):
        create_container(host=host, ports=[{"host": 8080, "container": 80}])
    assert not Container.objects.filter(name="cache-9").exists()


def test_an_image_that_is_not_one_is_refused_and_no_file_stays(settings, tmp_path: Path):
    html = tmp_path / "page.html"
    html.write_text("<html>404</html>")

    with pytest.raises(Invalid, match="not a qcow2 image"):
        services.image_register(user_make("operator"), path=html, name="page", format="qcow2")
    assert not Image.objects.exists()
    assert not list(Path(settings.IMAGE_DIR).glob("*"))


def test_an_image_is_kept_under_its_checksum(settings, tmp_path: Path):
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)

    image = services.image_register(user_make("operator"), path=disk, name="tiny", format="qcow2")

    assert image.sha256 == hashlib.sha256(disk.read_bytes()).hexdigest()
    assert image.virtual_size_bytes == 64 * 1024**2
    assert (Path(settings.IMAGE_DIR) / str(image.pk)).read_bytes() == disk.read_bytes()


def test_an_image_with_a_backing_file_is_refused(tmp_path: Path):
    base, leaning = tmp_path / "base.qcow2", tmp_path / "leaning.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", leaning], check=True)

    with pytest.raises(Invalid, match="leans on other files"):
        services.image_register(user_make("operator"), path=leaning, name="tiny", format="qcow2")


def test_a_container_archive_needs_its_reference_and_a_tar(tmp_path: Path):
    text, archive = tmp_path / "a.txt", tmp_path / "a.tar"
    text.write_text("no tar")
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    user = user_make("operator")

    with pytest.raises(Invalid, match="not a tar archive"):
        services.image_register(user, path=text, name="a", format="engine-tar", reference="a:1")
    with pytest.raises(Invalid) as caught:
        services.image_register(user, path=archive, name="a", format="engine-tar")
    assert caught.value.field == "reference"
    assert services.image_register(user, path=archive, name="a", format="engine-tar", reference="a:1").pk


def test_an_image_file_that_is_missing_is_refused(tmp_path: Path):
    with pytest.raises(Invalid, match="There is no file"):
        services.image_register(user_make("operator"), path=tmp_path / "none", name="a", format="qcow2")


def test_a_pinned_workload_is_not_moved_and_says_why():
    place = place_make()
    vm = vm_make(place.alpha, is_pinned=True, pin_reason="its licence is bound to this machine")

    with pytest.raises(Refused, match="licence"):
        services.workload_move(place.user, vm, target=place.beta)


def test_a_workload_is_not_moved_to_where_it_is():
    place = place_make()
    with pytest.raises(Invalid, match="already"):
        services.workload_move(place.user, vm_make(place.alpha), target=place.alpha)


def test_a_vms_move_can_be_slowed_and_a_containers_not():
    place = place_make()
    operation = services.workload_move(place.user, vm_make(place.alpha), target=place.beta, bandwidth_mib_s=8)
    assert operation.parameters["bandwidth_mib_s"] == 8

    with pytest.raises(Invalid, match="only a VM's move"):
        services.workload_move(place.user, container_make(place.alpha), target=place.beta, bandwidth_mib_s=8)


def test_only_a_vm_is_slowed_down_to_get_away():
    place = place_make()
    operation = services.workload_move(place.user, vm_make(place.alpha), target=place.beta, auto_converge=False)
    assert operation.parameters["auto_converge"] is False

    with pytest.raises(Invalid, match="only a VM can be slowed"):
        services.workload_move(place.user, container_make(place.alpha), target=place.beta, auto_converge=True)


def test_two_of_an_anti_affinity_group_never_share_a_host():
    place = place_make()
    vm = vm_make(place.alpha, "shop-1", anti_affinity_group="shop")
    vm_make(place.beta, "shop-2", anti_affinity_group="shop")

    with pytest.raises(Refused, match="shop-2 of the same group"):
        services.workload_move(place.user, vm, target=place.beta)
    assert not Operation.objects.exists()


def test_a_workload_under_an_operation_is_refused_at_once():
    """Faults F32: 409, not a block of 30 s."""
    place = place_make()
    vm = vm_make(place.alpha)
    services.workload_move(place.user, vm, target=place.beta)

    for act in (services.workload_stop, services.workload_delete):
        with pytest.raises(Refused, match="is busy: “move VM”"):
            act(place.user, vm)


def test_a_double_click_with_one_key_gives_one_operation():
    host = host_make()

    first = create_vm(host=host, idempotency_key="k1")

    assert create_vm(host=host, idempotency_key="k1") == first
    assert Workload.objects.count() == 1


def test_deleting_an_adopted_vm_leaves_its_disks():
    place = place_make()
    vm = vm_make(place.alpha, state="stopped", is_adopted=True)

    operation = services.workload_delete(place.user, vm)

    assert operation.parameters["spec"] == {}


def test_a_running_workload_is_not_deleted():
    place = place_make()
    with pytest.raises(Refused, match="Stop it before deleting"):
        services.workload_delete(place.user, vm_make(place.alpha))


def test_pinning_is_audited_and_unpinning_an_unpinned_one_refused():
    vm = vm_make(host_make())
    user = user_make("operator")

    services.workload_pin(user, vm, on=True, reason="licence")
    services.workload_pin(user, vm, on=False)

    with pytest.raises(Refused, match="not pinned"):
        services.workload_pin(user, vm, on=False)


def test_every_create_that_fails_gives_back_its_reservation():
    for kind in ("create_vm", "create_container"):
        sample = SAMPLES[kind][0]()
        sample.harness.troubles = [Trouble("start", "refused", 10**6)]
        sample.harness.run(sample.operation)
        assert not Workload.objects.exists()
        Operation.objects.all().delete()
        Host.objects.all().delete()


def test_many_are_stopped_at_once_and_one_that_cannot_be_says_so_and_holds_up_no_other():
    host = host_make()
    first, second, off = vm_make(host, "a"), container_make(host, "b"), vm_make(host, "c", state="stopped")

    members = services.workloads_bulk(user_make("operator"), "stop", [first, off, second], idempotency_key="k")

    assert [(member.workload.name, member.sentence) for member in members] == [
        ("a", ""),
        ("c", "c is stopped; there is nothing to stop."),
        ("b", ""),
    ]
    again = services.workloads_bulk(user_make("operator"), "stop", [first], idempotency_key="k")
    assert again[0].operation == members[0].operation
    assert Operation.objects.filter(kind="stop_workload").count() == 2


@pytest.mark.parametrize(
    ("verb", "count", "sentence"),
    [("explode", 1, "no explode for many"), ("stop", 0, "No workload is selected"), ("stop", 201, "At most 200")],
)
def test_a_wish_for_many_that_makes_no_sense_begins_nothing(verb: str, count: int, sentence: str):
    vm = vm_make(host_make())
    with pytest.raises(Invalid, match=sentence):
        services.workloads_bulk(user_make("operator"), verb, [vm] * count)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"run_as": "root; id"}, "run_as"),
        ({"run_as": "-u"}, "run_as"),
        ({"health_command": "x" * 1001}, "health_command"),
        ({"health_command": "a\nb"}, "health_command"),
    ],
)
def test_a_container_with_a_senseless_user_or_health_check_is_a_sentence_at_its_field(wish, field):
    host_make()
    with pytest.raises(Invalid) as refused:
        create_container(**wish)
    assert refused.value.field == field
    assert nothing_was_left()


def test_a_health_check_and_a_user_go_into_the_command():
    host = host_make()
    operation = create_container(host=host, run_as="1000", is_read_only=True, health_command="wget -q localhost")

    spec = operation.parameters["spec"]
    assert (spec["user"], spec["is_read_only"]) == ("1000", True)
    assert spec["health"]["test"] == ["CMD-SHELL", "wget -q localhost"]
