"""Container images on a real dockerd, from a real registry that asks for a password, and from one that hangs."""

from __future__ import annotations

import base64
import crypt
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually, forget
from tests.stack import Stack

USER, PASSWORD = "puller", "not-a-secret-2"
NAME = "team/app"
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: stowage, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Debian's docker-registry on the lab's network; it has team/app:1 and lets in nobody else."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs Debian's docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    address = f"{stack.lab['switch_address']}:{free_port(stack)}"
    password = crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH))
    (folder / "htpasswd").write_text(f"{USER}:{password.replace('$2b$', '$2y$', 1)}\n")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, address=address))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        eventually(lambda: is_listening(address), 15)
        image_push(address, Path(stack.lab["images"]["container"]["path"]))
        yield address
    finally:
        process.terminate()
        process.wait(10)


def free_port(stack: Stack) -> int:
    with socket.socket() as probe:
        probe.bind((stack.lab["switch_address"], 0))
        return int(probe.getsockname()[1])


def is_listening(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def image_push(address: str, archive: Path) -> None:
    """The lab's own image with a second layer that is no use but to be fetched. Source: distribution's API v2."""
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        config = json.load(saved.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        first = saved.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    second = io.BytesIO()
    with tarfile.open(fileobj=second, mode="w") as tar:
        entry = tarfile.TarInfo("ballast")
        entry.size = 24 << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    layers = [first, second.getvalue()]
    config["rootfs"]["diff_ids"] = [digest_of(layer) for layer in layers]
    config.pop("history", None)
    packed = [gzip.compress(layer, 1) for layer in layers]
    stated = json.dumps(config).encode()
    kind = "application/vnd.docker."
    made = {
        "schemaVersion": 2,
        "mediaType": f"{kind}distribution.manifest.v2+json",
        "config": described(f"{kind}container.image.v1+json", stated),
        "layers": [described(f"{kind}image.rootfs.diff.tar.gzip", layer) for layer in packed],
    }
    for blob in (*packed, stated):
        place = call("POST", f"http://{address}/v2/{NAME}/blobs/uploads/").headers["Location"]
        call("PUT", f"{place}&digest={digest_of(blob)}", blob, "application/octet-stream")
    call("PUT", f"http://{address}/v2/{NAME}/manifests/1", json.dumps(made).encode(), made["mediaType"])


def described(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def call(method: str, url: str, content: bytes = b"", media_type: str = "") -> Any:
    request = urllib.request.Request(url, content, method=method)
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    if media_type:
        request.add_header("Content-Type", media_type)
    return urllib.request.urlopen(request, timeout=30)


class Moody(http.server.ThreadingHTTPServer):
    """A registry without a login that sends half of a layer and no more; of a tag "busy" it says 429."""

    daemon_threads = True
    layer = os.urandom(4 << 20)
    stated = json.dumps({"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}, "os": "linux"}).encode()

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), MoodyAnswer)
        self.asked: list[str] = []
        self.has_half = threading.Event()
        self.is_over = threading.Event()

    def manifest(self) -> bytes:
        kind = "application/vnd.docker."
        layer = described(f"{kind}image.rootfs.diff.tar.gzip", self.layer)
        config = described(f"{kind}container.image.v1+json", self.stated)
        made = {"schemaVersion": 2, "mediaType": f"{kind}distribution.manifest.v2+json"}
        return json.dumps(made | {"config": config, "layers": [layer]}).encode()


class MoodyAnswer(http.server.BaseHTTPRequestHandler):
    server: Moody
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.endswith("/manifests/busy"):
            self._answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"later"}]}')
        elif "/manifests/" in self.path:
            self._answer(200, self.server.manifest(), "application/vnd.docker.distribution.manifest.v2+json")
        elif self.path.endswith(digest_of(self.server.stated)):
            self._answer(200, self.server.stated)
        elif "/blobs/" in self.path:
            self._half()
        else:
            self._answer(200, b"{}")

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, content: bytes, media_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", digest_of(content))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def _half(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.layer)))
        self.end_headers()
        self.wfile.write(self.server.layer[: len(self.server.layer) // 2])
        self.server.has_half.set()
        self.server.is_over.wait(60)
        self.close_connection = True


@pytest.fixture
def moody(stack: Stack) -> Iterator[Moody]:
    server = Moody(stack.lab["switch_address"])
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    yield server
    server.is_over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def hanging(stack: Stack) -> Iterator[str]:
    """The address of one that takes connections and says nothing."""
    with socket.create_server((stack.lab["switch_address"], 0)) as server:
        yield f"{stack.lab['switch_address']}:{server.getsockname()[1]}"


def pulled(person: ApiPerson, host: str, image: str, **more: Any) -> dict[str, Any]:
    """How the pull ended."""
    wanted = {"host": person.host(host)["uuid"], "image": image} | more
    status, operation = person.call("POST", "/container-images/pull", wanted)
    assert status == 202, operation
    return person.ended(operation["uuid"])


def images_of(person: ApiPerson, host: str, name: str) -> list[dict[str, Any]]:
    return [row for row in person.get(f"/container-images?host={host}") if name in row["names"]]


def test_an_image_behind_a_password_is_pulled_used_and_removed(stack: Stack, person: ApiPerson, registry: str):
    image = f"{registry}/{NAME}:1"
    refused = pulled(person, HOST, image)
    assert refused["state"] == "failed" and f"wants a login for {image}" in refused["message"]

    status, row = person.call("POST", "/registries", {"address": registry, "username": USER, "password": "wrong"})
    assert status == 201 and "password" not in json.dumps(row)
    refused = pulled(person, HOST, image)
    assert refused["state"] == "failed" and "does not let the user" in refused["message"]
    person.call("PUT", f"/registries/{row['uuid']}", {"address": registry, "username": USER, "password": PASSWORD})

    missing = pulled(person, HOST, f"{registry}/{NAME}:2")
    assert missing["state"] == "failed" and "Check its name and tag" in missing["message"]

    done = pulled(person, HOST, image)
    assert done["state"] == "done", done
    layers = done["layers"]
    assert len(layers) == 2 and max(layer["total_bytes"] for layer in layers) > 24 << 20
    assert all(layer["done_bytes"] == layer["total_bytes"] for layer in layers)
    assert image in stack.inside(HOST, "docker", "images", "--format", "{{.Repository}}:{{.Tag}}")
    eventually(lambda: images_of(person, HOST, image) != [], 20)

    # on a host that has not got it, the container's own step brings it, with the login
    wanted = {"name": "flow-pulled", "image": image, "memory_mib": 64, "cpu_cores": 0.1}
    person.done("POST", "/workloads/containers", wanted | {"host": person.host(OTHER)["uuid"]})
    box = person.workload("flow-pulled")
    assert box is not None
    try:
        eventually(lambda: [row["used_by"] for row in images_of(person, OTHER, image)] == [["flow-pulled"]], 20)
        found = images_of(person, OTHER, image)[0]
        status, answer = person.call("DELETE", f"/container-images/{found['uuid']}")
        assert status == 409 and "is used by flow-pulled" in answer["message"]
    finally:
        forget(person, box["uuid"])
    for host in (HOST, OTHER):
        eventually(lambda host=host: [row["used_by"] for row in images_of(person, host, image)] == [[]], 20)
        person.done("DELETE", f"/container-images/{images_of(person, host, image)[0]['uuid']}")
        assert registry not in stack.inside(host, "docker", "images")
        eventually(lambda host=host: images_of(person, host, image) == [], 20)

    words = json.dumps(stack.rows("select data from hosts_entry")) + json.dumps(
        stack.rows("select parameters, message, progress_data from hosts_operation")
    )
    assert PASSWORD not in words and base64.b64encode(PASSWORD.encode()).decode() not in words


def test_a_registry_that_hangs_ends_by_its_time_or_by_cancelling(stack: Stack, person: ApiPerson, hanging: str):
    image = f"{hanging}/{NAME}:1"
    began = time.monotonic()
    given_up = pulled(person, HOST, image, stall_timeout_s=3)
    assert given_up["state"] == "failed" and "sent nothing for 3 s" in given_up["message"], given_up
    assert time.monotonic() - began < 12

    wanted = {"host": person.host(HOST)["uuid"], "image": image}
    status, operation = person.call("POST", "/container-images/pull", wanted)
    assert status == 202
    eventually(lambda: person.get(f"/operations/{operation['uuid']}")["progress_text"].startswith("pulling"), 10)
    began = time.monotonic()
    assert person.call("POST", f"/operations/{operation['uuid']}/cancel")[0] == 202
    assert person.ended(operation["uuid"])["state"] == "cancelled"
    assert time.monotonic() - began < 10
    assert hanging not in stack.inside(HOST, "docker", "images")


def test_a_pull_that_hangs_within_a_layer_leaves_nothing_and_too_many_requests_are_not_made_more(
    stack: Stack, person: ApiPerson, moody: Moody
):
    address = f"{moody.server_address[0]}:{moody.server_address[1]}"

    def parts() -> str:
        return stack.inside(HOST, "sh", "-c", "ls /var/lib/docker/tmp | grep GetImageBlob || true")

    wanted = {"host": person.host(HOST)["uuid"], "image": f"{address}/{NAME}:1"}
    operation = person.call("POST", "/container-images/pull", wanted)[1]
    assert moody.has_half.wait(15)
    path = f"/operations/{operation['uuid']}"
    eventually(lambda: any(layer["done_bytes"] for layer in person.get(path)["layers"]), 10)
    assert parts() != ""
    assert person.call("POST", f"{path}/cancel")[0] == 202
    assert person.ended(operation["uuid"])["state"] == "cancelled"
    eventually(lambda: parts() == "", 10)
    assert address not in stack.inside(HOST, "docker", "images")

    moody.asked.clear()
    refused = pulled(person, HOST, f"{address}/{NAME}:busy")
    assert refused["state"] == "failed" and "too many requests" in refused["message"], refused
    assert len([path for path in moody.asked if path.endswith("/busy")]) <= 6, moody.asked
