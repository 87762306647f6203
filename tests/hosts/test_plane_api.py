"""The planes' HTTP doors: tokens, secrets of one step, image bytes with ranges, blobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from hosts import services
from hosts.blobs import blob_keep, blob_path, blobs_forget
from hosts.models import Host, Operation, Site
from tests.factories import host_make, image_make, rack_make, user_make
from tests.hosts.operations.harness import Harness
from tests.saga_samples import SAMPLES, container_in, place_make
from workloads import services as workload_services

pytestmark = pytest.mark.django_db
BYTES = bytes(range(256)) * 4


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token() -> str:
    return services.plane_token_issue(user_make("administrator"), of=host_make("alpha"))


def test_a_plane_learns_its_name_its_site_and_its_broker(client: Client, token: str):
    answer = client.get("/plane/v1/me", headers=bearer(token)).json()

    assert (answer["name"], answer["kind"], answer["site"]) == ("alpha", "host", "lab")
    assert answer["broker_url"]


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic x"}])
def test_without_a_valid_token_every_door_is_closed(client: Client, headers: dict[str, str]):
    uuid = "00000000-0000-0000-0000-000000000000"
    for path in ("me", "controllers", f"images/{uuid}/content", f"secrets/{uuid}/x", f"blobs/{uuid}/x"):
        assert client.get(f"/plane/v1/{path}", headers=headers).status_code == 401


def test_a_logged_in_person_is_no_plane(client: Client):
    client.force_login(user_make("administrator"))

    assert client.get("/plane/v1/me").status_code == 401


def test_a_new_token_ends_the_old_one(client: Client, token: str):
    services.plane_token_issue(user_make("administrator"), of=Host.objects.get(name="alpha"))

    assert client.get("/plane/v1/me", headers=bearer(token)).status_code == 401


def test_a_sites_plane_gets_the_controllers_of_its_own_hosts_alone(client: Client):
    host_make("alpha")
    host_make("far", rack=rack_make("elsewhere"))
    site_token = services.plane_token_issue(user_make("administrator"), of=Site.objects.get(name="lab"))

    rows = client.get("/plane/v1/controllers", headers=bearer(site_token)).json()["controllers"]

    assert [(row["host"], row["password"]) for row in rows] == [("alpha", "bmc-password")]


def test_a_hosts_plane_gets_no_controllers(client: Client, token: str):
    assert client.get("/plane/v1/controllers", headers=bearer(token)).status_code == 404


def test_a_secret_is_given_to_the_plane_its_step_was_sent_to_while_it_runs_and_to_no_other(client: Client):
    sample = SAMPLES["host_power_on"][0]()
    harness: Harness = sample.harness
    harness.engine().advance(sample.operation.pk)  # power_on is under way
    path = f"/plane/v1/secrets/{sample.operation.pk}/power_on"
    admin = user_make("administrator")
    host = sample.operation.host
    assert host is not None
    site_token = services.plane_token_issue(admin, of=host.rack.site)
    host_token = services.plane_token_issue(admin, of=host)

    assert client.get(path, headers=bearer(site_token)).json() == {"secret": "bmc-password"}
    assert client.get(path, headers=bearer(host_token)).status_code == 404
    assert client.get(path.replace("power_on", "ping"), headers=bearer(site_token)).status_code == 404

    harness.run(sample.operation)
    assert client.get(path, headers=bearer(site_token)).status_code == 404


@pytest.fixture
def image_url(settings) -> str:
    image = image_make(size_bytes=len(BYTES), sha256="b" * 64)
    folder = Path(settings.IMAGE_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(image.pk)).write_bytes(BYTES)
    return f"/plane/v1/images/{image.pk}/content"


def body(answer) -> bytes:
    return b"".join(answer.streaming_content)


def test_an_image_comes_whole_with_its_checksum(client: Client, token: str, image_url: str):
    answer = client.get(image_url, headers=bearer(token))

    assert (answer.status_code, answer["ETag"], answer["Content-Length"]) == (200, f'"{"b" * 64}"', "1024")
    assert body(answer) == BYTES


def test_a_broken_transfer_goes_on_where_it_stopped(client: Client, token: str, image_url: str):
    headers = bearer(token) | {"Range": "bytes=1000-", "If-Range": f'"{"b" * 64}"'}
    answer = client.get(image_url, headers=headers)

    assert (answer.status_code, answer["Content-Range"]) == (206, "bytes 1000-1023/1024")
    assert body(answer) == BYTES[1000:]


def test_a_part_of_another_image_is_not_continued(client: Client, token: str, image_url: str):
    headers = bearer(token) | {"Range": "bytes=1000-", "If-Range": '"other"'}

    answer = client.get(image_url, headers=headers)

    assert answer.status_code == 200
    assert body(answer) == BYTES


def test_a_range_past_the_end_is_refused(client: Client, token: str, image_url: str):
    answer = client.get(image_url, headers=bearer(token) | {"Range": "bytes=5000-"})

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */1024")


def test_a_blob_is_left_by_the_plane_of_its_step_and_fetched_by_one_of_the_same_operation(client: Client):
    place = place_make()
    place.world.registry.clear()
    operation = workload_services.workload_move(place.user, container_in(place), target=place.beta)
    path = f"/plane/v1/blobs/{operation.pk}/export"
    admin = user_make("administrator")
    tokens = {host.name: services.plane_token_issue(admin, of=host) for host in (place.alpha, place.beta)}
    stranger = services.plane_token_issue(admin, of=host_make("gamma"))
    statuses: dict[str, object] = {}

    def at_export(_harness: Harness) -> None:
        if not statuses and operation.entries.filter(kind="started", step="export").exists():
            for name, token in (("beta", tokens["beta"]), ("gamma", stranger), ("alpha", tokens["alpha"])):
                statuses[f"put {name}"] = client.put(path, BYTES, headers=bearer(token)).status_code
            statuses["get gamma"] = client.get(path, headers=bearer(stranger)).status_code
            statuses["get beta"] = body(client.get(path, headers=bearer(tokens["beta"]))) == BYTES

    place.harness.before_message = at_export
    operation = place.harness.run(operation)

    assert operation.state == Operation.State.DONE
    assert statuses == {
        "put beta": 404,
        "put gamma": 404,
        "put alpha": 200,
        "get gamma": 404,
        "get beta": True,
    }


def test_what_an_operation_left_goes_when_it_has_ended(settings):
    operation = Operation.objects.create(kind="x", subject_kind="x", subject_id="x", subject_name="x")
    blob_keep(operation.pk, "export", [b"abc"])
    assert blobs_forget() == 0

    Operation.objects.filter(pk=operation.pk).update(state="done")
    assert blobs_forget() == 1
    assert not blob_path(operation.pk, "export").exists()
