"""Registries with a login, pulls and removals as services, and the images that hosts tell of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Entry, Operation
from hosts.step_secrets import secret_of
from tests.actors import client_of
from tests.factories import host_make, user_make
from workloads import plane_api, services
from workloads.image_inventory import host_images_observe
from workloads.models import HostImage, Registry

pytestmark = pytest.mark.django_db
LOGIN = {"address": "registry.example:5000", "username": "puller", "password": "not-a-secret-5"}
ROW = {"engine_id": "sha256:1", "names": ["redis:7"], "size_bytes": 5, "used_by": ["cache-1"]}


def test_a_registrys_password_is_encrypted_and_comes_back_nowhere():
    registry = services.registry_add(user_make("operator"), **LOGIN)

    assert LOGIN["password"].encode() not in bytes(registry.password_encrypted)
    assert LOGIN["password"] not in str(list(AuditRecord.objects.values_list("detail", flat=True)))
    client = client_of("administrator")
    pages = ["/container-images/", f"/registries/{registry.pk}/", "/api/registries"]
    pages.append(f"/admin/workloads/registry/{registry.pk}/change/")
    assert all(LOGIN["password"] not in client.get(page).content.decode() for page in pages)


def test_a_stored_password_is_kept_for_its_address_and_user_alone():
    user = user_make("operator")
    registry = services.registry_add(user, **LOGIN)

    same = services.registry_edit(user, registry, address="HTTPS://registry.example:5000/", username="puller")

    assert bytes(same.password_encrypted) == bytes(registry.password_encrypted)
    for other in ({"address": "evil.example"}, {"username": "root"}):
        with pytest.raises(Invalid, match="Enter the password"):
            services.registry_edit(user, registry, **(LOGIN | {"password": ""} | other))


@pytest.mark.parametrize(
    "address", ["", "registry", "a b.example", "http://", "x.example:0", "x.example:70000", "é.ex"]
)
def test_an_address_that_no_image_begins_with_is_refused(address: str):
    with pytest.raises(Invalid, match="what its images' names begin with"):
        services.registry_add(user_make("operator"), **(LOGIN | {"address": address}))


def test_the_second_login_for_a_registry_is_refused():
    user = user_make("operator")
    services.registry_add(user, **(LOGIN | {"address": "index.docker.io"}))

    with pytest.raises(Invalid, match=r"There is a login for docker\.io already"):
        services.registry_add(user, **(LOGIN | {"address": "docker.io"}))


def test_a_viewer_neither_adds_a_registry_nor_pulls():
    viewer = user_make("viewer")
    with pytest.raises(Forbidden):
        services.registry_add(viewer, **LOGIN)
    with pytest.raises(Forbidden):
        services.container_image_pull(viewer, host_make(), image="redis:7")


def test_a_steps_secret_is_for_the_address_that_it_names():
    registry = services.registry_add(user_make("operator"), **LOGIN)
    operation = Operation(kind="pull_image")
    secret = {"kind": "registry", "registry": str(registry.pk), "address": registry.address}
    entry = Entry(operation=operation, data={"secret": secret})

    assert plane_api and secret_of(entry) == LOGIN["password"]
    Registry.objects.filter(pk=registry.pk).update(address="other.example")
    assert secret_of(entry) is None


def test_an_image_is_pulled_to_a_host_that_answers_and_once_at_a_time():
    user, host = user_make("operator"), host_make()
    services.container_image_pull(user, host, image="redis:7")

    with pytest.raises(Refused):
        services.container_image_pull(user, host, image="redis:7")
    silent = host_make("silent", last_seen_at=timezone.now() - timedelta(minutes=5))
    with pytest.raises(Refused, match="does not answer"):
        services.container_image_pull(user, silent, image="redis:7")
    for image in ("", "-x", "a b", "x" * 300, "<b>"):
        with pytest.raises(Invalid, match="Correct the name"):
            services.container_image_pull(user, host, image=image)
    with pytest.raises(Invalid, match="3 s to 1 hour"):
        services.container_image_pull(user, host, image="redis:8", stall_timeout_s=0.1)


def test_an_image_in_use_is_not_removed():
    host = host_make()
    host_images_observe(host, [ROW])

    with pytest.raises(Refused, match="is used by cache-1"):
        services.container_image_remove(user_make("operator"), HostImage.objects.get())


def test_images_become_those_that_the_host_tells_of():
    host, other = host_make(), host_make("other")
    host_images_observe(other, [ROW])

    host_images_observe(host, [ROW, {"engine_id": "sha256:2"}, "rubbish", {"names": 5}])
    host_images_observe(host, [ROW | {"names": ["redis:7\x00", "redis:latest"]}])
    host_images_observe(host, None)

    assert [image.names for image in host.container_images.all()] == [["redis:7", "redis:latest"]]
    assert other.container_images.count() == 1
