"""Templates and flavours: versions that never change, forms that are filled in by them, and what they make."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host, Pool
from tests.actors import client_of
from tests.factories import LOCAL_POOL, host_make, image_make, pool_mount_make, user_make, vm_make
from workloads import services
from workloads.models import Container, Flavour, Image, Template, VirtualMachine, Workload

pytestmark = pytest.mark.django_db
BOX: dict[str, Any] = {
    "image": "redis:7",
    "command": ["redis-server", "--save", "a b"],
    "environment": {"TOKEN": "geheim=1"},
    "ports": [{"host": 6379, "container": 6379, "protocol": "tcp"}],
    "volumes": [{"kind": "volume", "source": "data", "target": "/data", "is_read_only": True}],
    "cpu_cores": 0.5,
    "memory_mib": 64,
    "restart_policy": "always",
}


@pytest.fixture
def host() -> Host:
    host = host_make()
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return host


def vm_wish(**values: Any) -> dict[str, Any]:
    image = Image.objects.first() or image_make("tiny")
    return {"image": image, "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1} | values


def test_the_same_name_again_is_the_next_version_and_the_first_stays_what_it_was(host: Host):
    first = services.template_save(user_make(), name="web", kind="vm", wish=vm_wish())
    second = services.template_save(user_make(), name="web", kind="vm", wish=vm_wish(memory_mib=512), note="more room")

    assert (first.version, second.version) == (1, 2)
    assert Template.objects.get(pk=first.pk).wish["memory_mib"] == 256
    assert not Workload.objects.exists(), "the rehearsal leaves nothing"
    with pytest.raises(Invalid, match="other kind"):
        services.template_save(user_make(), name="web", kind="container", wish=BOX)


def test_what_is_made_from_it_is_what_was_kept(host: Host):
    user = user_make()
    vm = services.template_save(user, name="web", kind="vm", wish=vm_wish(name="x", host=host, may_wake=True))
    box = services.template_save(user, name="cache", kind="container", wish=BOX)
    assert not {"name", "host", "may_wake"} & set(vm.wish)

    services.template_use(user, vm, name="web-1", host=host)
    services.template_use(user, box, name="cache-1", host=host)

    assert VirtualMachine.objects.get(name="web-1").memory_mib == 256
    made = Container.objects.get(name="cache-1")
    assert (made.command, made.environment, made.restart_policy) == (BOX["command"], BOX["environment"], "always")
    again = [services.template_use(user, vm, name="web-2", host=host, idempotency_key="k") for _ in range(2)]
    assert again[0] == again[1]


def test_one_whose_image_is_gone_says_so(host: Host):
    template = services.template_save(user_make(), name="web", kind="vm", wish=vm_wish())
    Image.objects.all().delete()
    with pytest.raises(Refused, match="image that it was to be made from is gone"):
        services.template_use(user_make(), template, name="web-1", host=host)


@pytest.mark.parametrize(
    ("name", "kind", "changes", "field"),
    [
        ("a/b", "vm", {}, "name"),
        ("w" * 300, "vm", {}, "name"),
        ("web", "pod", {}, "kind"),
        ("web", "vm", {"cpu_cores": 0}, "cpu_cores"),
        ("web", "vm", {"memory_mib": 2**40}, "memory_mib"),
        ("web", "vm", {"disk_gib": 0.01}, "disk_gib"),
    ],
)
def test_a_wish_that_could_never_be_is_not_kept(host: Host, name: str, kind: str, changes: dict[str, Any], field: str):
    with pytest.raises(Invalid) as refusal:
        services.template_save(user_make(), name=name, kind=kind, wish=vm_wish(**changes))
    assert refusal.value.field == field and not Template.objects.exists()


def test_a_full_data_center_is_no_fault_of_the_template(host: Host):
    vm_make(host, memory_mib=host.memory_mib)
    services.template_save(user_make(), name="web", kind="vm", wish=vm_wish())
    with pytest.raises(Forbidden):
        services.template_save(user_make("viewer"), name="web", kind="vm", wish=vm_wish())


def test_the_form_keeps_a_template_and_a_template_fills_the_form(host: Host):
    client, image = client_of("operator"), image_make("tiny")
    sent = {"image": str(image.pk), "cpu_cores": 2, "memory_mib": 300, "disk_gib": 1, "act": "keep"}

    nameless = client.post("/workloads/new/vm/", sent)
    assert nameless.status_code == 422 and b"A name begins with a letter" in nameless.content
    assert client.post("/workloads/new/vm/", sent | {"template_name": "web"}).status_code == 302
    kept = Template.objects.get(name="web")
    assert (kept.wish["cpu_cores"], kept.wish["memory_mib"]) == (2, 300) and not Workload.objects.exists()

    filled = client.get(f"/workloads/new/vm/?template={kept.pk}").content.decode()
    assert 'value="300"' in filled and f'value="{image.pk}" selected' in filled
    box = services.template_save(user_make(), name="cache", kind="container", wish=BOX)
    filled = client.get(f"/workloads/new/container/?template={box.pk}").content.decode()
    assert "redis-server --save &#x27;a b&#x27;" in filled and "data:/data:ro" in filled and "6379:6379/tcp" in filled
    assert client.get("/workloads/new/container/?template=nonsense").status_code == 200
    page = client.get("/templates/").content.decode()
    assert "version 1" in page and "tiny" in page and "geheim" not in page


def test_a_flavour_is_the_size_that_was_chosen_by_name(host: Host):
    client, image = client_of("operator"), image_make("tiny")
    size: dict[str, Any] = {"name": "small", "cpu_cores": 1, "memory_mib": 192, "disk_gib": 0.5}
    assert client.post("/flavours/new/", size).status_code == 302
    flavour = Flavour.objects.get()
    with pytest.raises(Invalid, match="already"):
        services.flavour_add(user_make(), **size)
    for wrong in ({"cpu_cores": 0}, {"memory_mib": 1}, {"disk_gib": 0.0}):
        with pytest.raises(Invalid):
            services.flavour_add(user_make(), **(size | {"name": "other"} | wrong))

    sent = {"name": "web-1", "image": str(image.pk), "cpu_cores": 9, "memory_mib": 9999, "disk_gib": 9}
    sent |= {"flavour": str(flavour.pk), "host": str(host.pk)}
    assert client.post("/workloads/new/vm/", sent).status_code == 302
    made = VirtualMachine.objects.get(name="web-1")
    assert (made.cpu_cores, made.memory_mib, made.disk_gib) == (1, 192, 0.5)
    assert client.post(f"/flavours/{flavour.pk}/remove/").status_code == 302 and not Flavour.objects.exists()


def test_the_api_saves_uses_and_removes_and_shows_no_value_of_an_environment(host: Host):
    client = client_of("operator")
    body = {"name": "cache", "container": BOX | {"name": "x"}, "note": "first"}
    made = client.post("/api/templates", body, content_type="application/json").json()
    assert (made["version"], made["wish"]["environment"]) == (1, ["TOKEN"])
    both = body | {"vm": {"name": "x", "image": made["uuid"]}}
    assert client.post("/api/templates", both, content_type="application/json").status_code == 422

    use = {"name": "cache-1", "host": str(host.pk)}
    answer = client.post(f"/api/templates/{made['uuid']}/use", use, content_type="application/json")
    assert answer.status_code == 202 and Container.objects.filter(name="cache-1").exists()
    told = use | {"name": "cache-2", "first_boot": {"user": "ann"}}
    answer = client.post(f"/api/templates/{made['uuid']}/use", told, content_type="application/json")
    assert answer.status_code == 422 and "no first boot" in answer.json()["message"]
    assert client.delete(f"/api/templates/{made['uuid']}").status_code == 204
    assert client.get("/api/templates").json() == []
