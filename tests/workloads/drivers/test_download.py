"""Files fetched by their address, from a server of the test: what is followed, and where it never goes."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Invalid, Rejected, Unreachable
from workloads.drivers.download import download, url_check

CONTENT = b"0123456789" * 1000


class Running:
    """A caller who lets it run."""

    def update(self, *arguments: Any, **options: Any) -> None: ...

    def check(self) -> None: ...


class Handler(http.server.BaseHTTPRequestHandler):
    """/file, /moved to it, /round in circles, /short of what it promised, /endless."""

    def do_GET(self) -> None:
        if self.path in ("/moved", "/round", "/inside"):
            self.send_response(302)
            to = {"/moved": "/file", "/round": "/round", "/inside": "http://169.254.169.254/latest/meta-data"}
            self.send_header("Location", to[self.path])
            self.end_headers()
        elif self.path in ("/file", "/short", "/endless"):
            self.send_response(200)
            if self.path != "/endless":
                self.send_header("Content-Length", str(len(CONTENT) + (self.path == "/short")))
            self.end_headers()
            self.wfile.write(CONTENT * (100 if self.path == "/endless" else 1))
        else:
            self.send_error(404)

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/file", "/moved"])
def test_a_file_is_fetched_and_its_sum_told(server: str, tmp_path: Path, path: str) -> None:
    sha256 = download(server + path, tmp_path / "a", 10**6, Running(), "any")
    assert (tmp_path / "a").read_bytes() == CONTENT and sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("path", "error", "sentence"),
    [
        ("/missing", Rejected, "status 404"),
        ("/round", Rejected, "more than 5 times"),
        ("/short", Unreachable, "broke off"),
        ("/endless", Rejected, "larger"),
        ("/inside", Rejected, "link-local"),
    ],
)
def test_what_goes_wrong_is_a_sentence(server: str, tmp_path: Path, path: str, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        download(server + path, tmp_path / "a", 20_000, Running(), "any")


def test_this_machine_itself_is_never_asked(server: str, tmp_path: Path) -> None:
    for address in (
        server,
        server.replace("127.0.0.1", "localhost"),
        server.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    ):
        with pytest.raises(Rejected, match="this machine itself"):
            download(f"{address}/file", tmp_path / "a", 10**6, Running())
    assert not (tmp_path / "a").exists()


def test_nobody_at_the_address_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        download("http://127.0.0.1:1/file", tmp_path / "a", 10**6, Running(), "any")
    with pytest.raises(Unreachable):
        download("http://no-such-name.invalid/file", tmp_path / "a", 10**6, Running(), "any")


@pytest.mark.parametrize("url", ["http://", "https:///a", "gopher://a/b", "http://a b/c", "http://u@h/x", 7, None])
def test_what_is_no_address_is_refused(url: object) -> None:
    with pytest.raises(Invalid):
        url_check(url)
