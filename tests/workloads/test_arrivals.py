"""Uploads in pieces: what breaks off goes on, what comes twice is written once, what is wrong leaves nothing."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from hosts.blobs import blob_path
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Operation
from tests.actors import client_of
from tests.factories import host_make, image_make, user_make
from workloads import services
from workloads.models import Image, ImageArrival
from workloads.services.arrivals import PIECE_MOST_BYTES, arrivals_forget

pytestmark = pytest.mark.django_db


@pytest.fixture
def qcow2(tmp_path: Path) -> bytes:
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    return path.read_bytes()


def begun(content: bytes, image_format: str = "qcow2", **values: Any) -> ImageArrival:
    values = {"name": "debian", "format": image_format, "size_bytes": len(content)} | values
    return services.arrival_begin(user_make(), **values)


def test_pieces_become_the_image_and_the_upload_is_no_more(qcow2: bytes):
    arrival = begun(qcow2, sha256=hashlib.sha256(qcow2).hexdigest().upper())
    half = len(qcow2) // 2
    assert services.arrival_write(user_make(), arrival, 0, [qcow2[:half]]) == half
    with pytest.raises(Refused, match=f"{half} of {len(qcow2)} bytes are there"):
        services.arrival_finish(user_make(), arrival)
    assert services.arrival_write(user_make(), arrival, half, [qcow2[half:]]) == len(qcow2)

    image = services.arrival_finish(user_make(), arrival)

    assert isinstance(image, Image) and image.path.read_bytes() == qcow2
    assert image.sha256 == hashlib.sha256(qcow2).hexdigest() and image.virtual_size_bytes == 64 * 1024**2
    assert not ImageArrival.objects.exists() and not arrival.path.exists()


def test_a_piece_that_comes_twice_or_out_of_turn_is_refused_with_where_to_go_on(qcow2: bytes):
    arrival = begun(qcow2)
    services.arrival_write(user_make(), arrival, 0, [b"abc"])
    for offset in (0, 2, 4):
        with pytest.raises(Refused, match="begins at byte 3"):
            services.arrival_write(user_make(), arrival, offset, [b"abc"])
    assert arrival.path.read_bytes() == b"abc"


def test_a_piece_that_breaks_off_counts_as_far_as_it_came(qcow2: bytes):
    def breaking():
        yield b"abc"
        raise OSError("the connection broke off")

    arrival = begun(qcow2)
    with pytest.raises(OSError, match="broke off"):
        services.arrival_write(user_make(), arrival, 0, breaking())
    assert arrival.received_bytes == 3
    assert services.arrival_write(user_make(), arrival, 3, [b"def"]) == 6


def test_two_pieces_at_once_do_not_mix(qcow2: bytes):
    arrival = begun(qcow2)

    def second_comes():
        with pytest.raises(Refused, match="just now"):
            services.arrival_write(user_make(), arrival, 0, [b"xyz"])
        yield b"abc"

    services.arrival_write(user_make(), arrival, 0, second_comes())
    assert arrival.path.read_bytes() == b"abc"


def test_more_than_was_said_or_than_a_piece_may_have_is_thrown_away():
    arrival = begun(b"abc")
    with pytest.raises(Invalid, match="larger"):
        services.arrival_write(user_make(), arrival, 0, [b"ab", b"cd"])
    assert arrival.received_bytes == 0
    big = begun(b"", size_bytes=2 * PIECE_MOST_BYTES, name="big")
    with pytest.raises(Invalid, match="larger"):
        services.arrival_write(user_make(), big, 0, (b"\0" * 2**20 for _ in range(65)))
    assert big.received_bytes == 0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "taken"}, "name"),
        ({"format": "exe"}, "format"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": 2**50}, "size_bytes"),
        ({"sha256": "abc"}, "sha256"),
        ({"format": "engine-tar", "reference": ""}, "reference"),
    ],
)
def test_what_could_never_be_an_image_is_not_begun(values: dict[str, Any], field: str):
    image_make("taken")
    with pytest.raises(Invalid) as refusal:
        services.arrival_begin(user_make(), **({"name": "new", "format": "qcow2", "size_bytes": 3} | values))
    assert refusal.value.field == field and not ImageArrival.objects.exists()


def test_a_file_that_is_not_what_was_said_stays_to_be_given_up(qcow2: bytes):
    for content, values, sentence in (
        (qcow2, {"sha256": "0" * 64}, "another SHA-256"),
        (b"no image", {}, "not a qcow2 image"),
    ):
        arrival = begun(content, **values)
        services.arrival_write(user_make(), arrival, 0, [content])
        with pytest.raises(Invalid, match=sentence):
            services.arrival_finish(user_make(), arrival)
        assert arrival.received_bytes == len(content) and not Image.objects.exists()
        services.arrival_give_up(user_make(), arrival)
        assert not arrival.path.exists() and not ImageArrival.objects.exists()


def test_a_foreign_format_is_read_by_a_host_and_lent_to_it(qcow2: bytes):
    host = host_make()
    arrival = begun(b"KDMV", "vmdk")
    services.arrival_write(user_make(), arrival, 0, [b"KDMV"])

    operation = services.arrival_finish(user_make(), arrival)

    assert isinstance(operation, Operation) and operation.host == host
    assert operation.parameters["sha256"] == hashlib.sha256(b"KDMV").hexdigest()
    assert blob_path(operation.pk, "arrived").read_bytes() == b"KDMV"
    with pytest.raises(Refused, match="import an image"):
        services.arrival_finish(user_make(), arrival)


def test_uploads_of_which_nothing_comes_are_forgotten_and_there_are_never_too_many():
    old = begun(b"abc")
    services.arrival_write(user_make(), old, 0, [b"a"])
    ImageArrival.objects.update(touched_at=timezone.now() - timedelta(days=3))
    assert arrivals_forget() == 1 and not old.path.exists()
    for number in range(20):
        begun(b"abc", name=f"n{number}")
    with pytest.raises(Refused, match="20 uploads are open"):
        begun(b"abc", name="one-more")
    with pytest.raises(Forbidden):
        services.arrival_begin(user_make("viewer"), name="a", format="qcow2", size_bytes=3)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "https://",
        "https://ann:pw@example.org/a",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_is_none_of_a_file_on_the_web_is_refused(url: str):
    host_make()
    with pytest.raises(Invalid) as refusal:
        services.image_fetch(user_make(), name="debian", format="qcow2", url=url)
    assert refusal.value.field == "url" and not Operation.objects.exists()


def test_the_form_takes_the_file_in_one_piece_too(qcow2: bytes):
    client = client_of("operator")
    sent = {"name": "debian", "format": "qcow2", "file": SimpleUploadedFile("a.qcow2", qcow2)}
    assert client.post("/images/new/", sent)["Location"] == "/images/"
    assert Image.objects.get().name == "debian"

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("box.ovf"))
    sent = {"name": "box", "format": "ova", "file": SimpleUploadedFile("a.ova", packed.getvalue())}
    host_make()
    assert "/operations/" in client.post("/images/new/", sent)["Location"]

    wrong = {"name": "other", "format": "qcow2", "file": SimpleUploadedFile("a.qcow2", b"no image")}
    answer = client.post("/images/new/", wrong)
    assert answer.status_code == 422 and b"not a qcow2 image" in answer.content
    assert not ImageArrival.objects.filter(name="other").exists()


def test_the_page_shows_what_is_not_finished_and_the_api_goes_on_from_there(qcow2: bytes):
    client = client_of("operator")
    body = {"name": "debian", "format": "qcow2", "size_bytes": len(qcow2)}
    told = client.post("/api/image-uploads", body, content_type="application/json").json()
    at = f"/api/image-uploads/{told['uuid']}"
    told = client.put(f"{at}/pieces/0", qcow2[:1000], content_type="application/octet-stream").json()
    assert told["received_bytes"] == 1000
    assert client.put(f"{at}/pieces/0", b"x", content_type="application/octet-stream").status_code == 409
    page = client.get("/images/").content.decode()
    assert "Uploads that are not finished" in page and "debian" in page
    client.put(f"{at}/pieces/1000", qcow2[1000:], content_type="application/octet-stream")
    done = client.post(f"{at}/finish", {}, content_type="application/json").json()
    assert done["image"] == str(Image.objects.get().pk) and done["operation"] is None
    assert client.get(at).status_code == 404
    assert "Uploads that are not finished" not in client.get("/images/").content.decode()


def test_an_upload_is_given_up_on_the_page():
    arrival = begun(b"abc")
    assert client_of("viewer").post(f"/image-uploads/{arrival.pk}/give-up/").status_code == 403
    assert client_of("operator").post(f"/image-uploads/{arrival.pk}/give-up/").status_code == 302
    assert not ImageArrival.objects.exists()
