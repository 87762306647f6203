"""What a VM is told at its first boot: what cloud-init would read, and a sentence for what it would not."""

from __future__ import annotations

import io
import json

import pycdlib
import pytest
import yaml

from hosts.errors import Invalid, Refused
from hosts.models import Operation
from tests.factories import host_make, image_make, user_make, vm_make
from tests.saga_samples import SSH_KEY
from workloads import services
from workloads.drivers.seed_image import SEED_BYTES, seed_image, seed_wiped
from workloads.first_boot import FirstBoot, seed_files
from workloads.models import VirtualMachine, VmSeed

UUID, MAC = "11111111-1111-4111-8111-111111111111", "52:54:00:00:00:01"


def files(**wish: object) -> dict[str, str]:
    return seed_files("web_1", UUID, MAC, FirstBoot(**wish))  # type: ignore[arg-type]


def config(**wish: object) -> dict[str, object]:
    text = files(**wish)["user-data"]
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def test_a_user_gets_keys_and_a_hash_and_never_the_password_itself():
    account = config(user="ann", ssh_keys=(SSH_KEY,), password="correct horse")["users"][0]  # type: ignore[index]

    assert (account["name"], account["ssh_authorized_keys"], account["lock_passwd"]) == ("ann", [SSH_KEY], False)
    assert account["hashed_passwd"].startswith("$6$")
    assert "correct horse" not in json.dumps(files(user="ann", password="correct horse"))


def test_a_vm_knows_itself_by_its_uuid_and_a_name_that_dns_allows():
    assert yaml.safe_load(files(user="ann", ssh_keys=(SSH_KEY,))["meta-data"]) == {
        "instance-id": UUID,
        "local-hostname": "web-1",
    }


def test_a_fixed_address_goes_to_the_vms_own_card_and_without_one_nothing_is_said():
    network = yaml.safe_load(
        files(packages=("htop",), address="10.0.0.5/24", gateway="10.0.0.1", name_servers=("9.9.9.9",))[
            "network-config"
        ]
    )

    assert network["ethernets"]["eth0"] == {
        "match": {"macaddress": MAC},
        "set-name": "eth0",
        "addresses": ["10.0.0.5/24"],
        "gateway4": "10.0.0.1",
        "nameservers": {"addresses": ["9.9.9.9"]},
    }
    assert "network-config" not in files(packages=("htop",))


def test_user_data_of_ones_own_is_passed_on_as_it_is():
    for text in ("#cloud-config\npackages: [htop]\n", "#!/bin/sh\necho : : [\n"):
        assert files(user_data=text)["user-data"] == text


@pytest.mark.parametrize(
    ("wish", "field", "sentence"),
    [
        ({"user": "Ann", "password": "long enough"}, "user", "small letters"),
        ({"user": "root", "password": "long enough"}, "user", "not root"),
        ({"user": "a" * 33, "password": "long enough"}, "user", "1 to 32"),
        ({"user": "ann"}, "ssh_keys", "without one nobody gets in"),
        ({"ssh_keys": (SSH_KEY,)}, "user", "Name the user"),
        ({"user": "ann", "ssh_keys": ("ssh-ed25519 nonsense",)}, "ssh_keys", "one line like"),
        ({"user": "ann", "ssh_keys": ("-----BEGIN OPENSSH PRIVATE KEY-----",)}, "ssh_keys", "Paste the public one"),
        ({"user": "ann", "ssh_keys": (SSH_KEY.replace("ssh-ed25519", "ssh-rsa"),)}, "ssh_keys", "one line like"),
        ({"user": "ann", "password": "short"}, "password", "at least 8"),
        ({"packages": ("htop; reboot",)}, "packages", "not the name of a package"),
        ({"packages": ("a", "x")}, "packages", "not the name of a package"),
        ({"address": "10.0.0.5"}, "address", "with its prefix"),
        ({"address": "10.0.0.0/24"}, "address", "with its prefix"),
        ({"address": "10.0.0.5/24", "gateway": "10.0.1.1"}, "gateway", "not in 10.0.0.0/24"),
        ({"address": "10.0.0.5/24", "name_servers": ("dns",)}, "name_servers", "not an IP address"),
        ({"gateway": "10.0.0.1"}, "address", "need an address"),
        ({"user_data": "packages: [htop]"}, "user_data", "first line must be #cloud-config"),
        ({"user_data": "#cloud-config\na: [1\nb: 2\n"}, "user_data", "not YAML in line 3"),
        ({"user_data": "#cloud-config\n- a\n- b\n"}, "user_data", "this is none"),
        ({"user_data": "#cloud-config\na: !!python/object/apply:os.system [id]\n"}, "user_data", "not YAML"),
        ({"user_data": "#!" + "x" * 65536}, "user_data", "more than 64 KiB"),
        ({"user_data": "#!/bin/sh\n", "user": "ann"}, "user_data", "not in both"),
    ],
)
def test_what_no_guest_could_follow_is_a_sentence_at_its_field(wish: dict[str, object], field: str, sentence: str):
    with pytest.raises(Invalid, match=sentence) as refused:
        files(**wish)

    assert refused.value.field == field


def test_the_seed_disk_is_one_that_cloud_init_finds():
    image = seed_image({"meta-data": "{}", "user-data": "#cloud-config\n", "network-config": "{}"})

    disk = pycdlib.PyCdlib()
    disk.open_fp(io.BytesIO(image))
    assert len(image) == SEED_BYTES
    assert disk.pvd.volume_identifier.strip() == b"cidata"
    read = io.BytesIO()
    disk.get_file_from_iso_fp(read, rr_path="/user-data")
    assert read.getvalue() == b"#cloud-config\n"


def test_a_wiped_seed_disk_keeps_identity_and_network_and_nothing_to_do():
    told = files(user="ann", password="correct horse", address="10.0.0.5/24")

    wiped = seed_wiped(seed_image(told))

    assert len(wiped) == SEED_BYTES
    for secret in (b"ann", b"$6$", b"hashed_passwd"):
        assert secret not in wiped
    assert UUID.encode() in wiped and MAC.encode() in wiped and b"#cloud-config\n{}" in wiped
    assert seed_wiped(b"no disk at all") == bytes(SEED_BYTES)


def test_a_seed_disk_holds_nothing_else_and_no_more_than_fits():
    with pytest.raises(Invalid, match="cloud-init's files only"):
        seed_image({"../etc/passwd": "x"})
    with pytest.raises(Invalid, match="too large"):
        seed_image({"user-data": "x" * SEED_BYTES})


@pytest.mark.django_db
def test_the_wish_is_kept_under_encryption_and_in_no_command():
    wish = FirstBoot(user="ann", ssh_keys=(SSH_KEY,), password="correct horse")
    operation = services.vm_create(
        user_make("operator"),
        name="web-9",
        image=image_make("debian"),
        cpu_cores=1,
        memory_mib=256,
        disk_gib=1,
        host=host_make(),
        first_boot=wish,
    )

    vm = VirtualMachine.objects.get(name="web-9")
    stored = bytes(VmSeed.objects.get(vm=vm).files_encrypted)
    assert b"ann" not in stored
    assert [disk["target"] for disk in vm.disks] == ["vda", "vdb"]
    told = json.dumps(Operation.objects.get(pk=operation.pk).parameters)
    assert "ssh-ed25519" not in told and "$6$" not in told
    assert [disk["image"] is None for disk in operation.parameters["spec"]["disks"]] == [False, True]


@pytest.mark.django_db
def test_a_bad_wish_makes_nothing():
    image, host = image_make("debian"), host_make()
    with pytest.raises(Invalid):
        services.vm_create(
            user_make("operator"),
            name="web-9",
            image=image,
            cpu_cores=1,
            memory_mib=256,
            disk_gib=1,
            host=host,
            first_boot=FirstBoot(user="ROOT"),
        )

    assert not VirtualMachine.objects.exists() and not Operation.objects.exists()


@pytest.mark.django_db
def test_a_vm_without_first_boot_data_has_none_to_wipe():
    with pytest.raises(Refused, match="has no first-boot data"):
        services.seed_wipe(user_make("operator"), vm_make(host_make()))
