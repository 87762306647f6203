from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.errors import Invalid, Refused, Rejected, Unreachable
from hosts.plane.control_client import ControlClient, token_read
from tests.hosts.plane.control_peer import ControlPeer

ME = {"name": "alpha", "kind": "host", "site": "lab", "broker_url": "redis://x"}
IMAGE = "22222222-2222-4222-8222-222222222222"
BYTES = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def peer() -> Iterator[ControlPeer]:
    peer = ControlPeer()
    peer.planes["tok"] = ME
    peer.image, peer.etag = BYTES, SHA256
    yield peer
    peer.close()


@pytest.fixture
def client(peer: ControlPeer) -> Iterator[ControlClient]:
    client = ControlClient(peer.url, lambda: "tok")
    yield client
    client.close()


def test_me_tells_who_we_are_and_no_lead_between_equal_clocks(client: ControlClient) -> None:
    assert client.me() == (ME, 0.0)


def test_an_unknown_token_is_refused(peer: ControlPeer) -> None:
    with pytest.raises(Refused, match="enrolled"):
        ControlClient(peer.url, lambda: "other").me()


def test_a_control_plane_that_is_away_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        ControlClient("http://127.0.0.1:1", lambda: "tok").me()


@pytest.mark.parametrize(
    "path", ["http://evil.example/x", "/plane/v1/me", "/plane/v1/secrets/../me", "//evil/plane/v1/secrets/a/b"]
)
def test_a_secret_is_fetched_from_the_secrets_path_alone(client: ControlClient, peer: ControlPeer, path: str) -> None:
    with pytest.raises(Invalid):
        client.secret(path)
    assert peer.requests == []


def test_a_secret_of_a_step_is_fetched(client: ControlClient) -> None:
    assert client.secret(f"/plane/v1/secrets/{IMAGE}/power_off") == "swordfish"


def test_an_image_arrives_whole_and_leaves_no_part(client: ControlClient, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "image"
    client.image_fetch(IMAGE, SHA256, len(BYTES), target)

    assert target.read_bytes() == BYTES
    assert [path.name for path in target.parent.iterdir()] == ["image"]


def test_a_broken_transfer_goes_on_from_where_it_stopped(
    client: ControlClient, peer: ControlPeer, tmp_path: Path
) -> None:
    peer.cut_after = 300_000
    client.image_fetch(IMAGE, SHA256, len(BYTES), tmp_path / "image")

    assert (tmp_path / "image").read_bytes() == BYTES
    assert [wanted for _, wanted in peer.requests] == [None, "bytes=300000-"]


def test_a_part_left_by_a_dead_process_is_continued(client: ControlClient, peer: ControlPeer, tmp_path: Path) -> None:
    (tmp_path / "image.part").write_bytes(BYTES[:1000])
    client.image_fetch(IMAGE, SHA256, len(BYTES), tmp_path / "image")

    assert (tmp_path / "image").read_bytes() == BYTES
    assert peer.requests[0][1] == "bytes=1000-"


def test_a_damaged_image_is_rejected_and_forgotten(client: ControlClient, peer: ControlPeer, tmp_path: Path) -> None:
    peer.image = b"<html>" + BYTES[6:]
    with pytest.raises(Rejected, match="checksum"):
        client.image_fetch(IMAGE, SHA256, len(BYTES), tmp_path / "image")

    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_the_image_has_are_not_written(
    client: ControlClient, peer: ControlPeer, tmp_path: Path
) -> None:
    peer.image = BYTES * 3
    with pytest.raises(Rejected, match="more bytes"):
        client.image_fetch(IMAGE, SHA256, len(BYTES), tmp_path / "image")


def test_a_missing_or_empty_token_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        token_read(str(tmp_path / "none"))
    (tmp_path / "empty").touch()
    with pytest.raises(Refused, match="is empty"):
        token_read(str(tmp_path / "empty"))
