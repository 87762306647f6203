"""Real proxies with the configurations that Stowage ships, in front of something on loopback."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from datacenter.management.commands.web import server_config

DEPLOY = Path(__file__).resolve().parent.parent / "datacenter" / "deploy"
_START_LIMIT_S = 20.0
Proxy = Callable[[Path, int, int, float], tuple[list[str], dict[str, str]]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with each of the changes made; each must change something, or something else is tried."""
    for old, new in changes.items():
        assert old in text, f"the shipped configuration has no {old!r}"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, behind: int, idle_s: float) -> tuple[list[str], dict[str, str]]:
    """The words that start nginx on `port` in front of `behind`, closing what is silent for `idle_s`."""
    shipped = (DEPLOY / "nginx" / "stowage.conf").read_text()
    changes = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "    listen [::]:80;\n": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "    listen [::]:443 ssl http2;\n": "",
        "server_name stowage.example;": "server_name localhost;",
        "/etc/ssl/stowage/fullchain.pem": str(folder / "cert.pem"),
        "/etc/ssl/stowage/privkey.pem": str(folder / "key.pem"),
        "proxy_read_timeout 60s;": f"proxy_read_timeout {round(idle_s * 1000)}ms;",
        "http://127.0.0.1:8400;": f"http://127.0.0.1:{behind};",
    }
    (folder / "stowage.conf").write_text(replaced(shipped, changes))
    places = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    root = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{root} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;"
        f"events {{}} http {{ access_log off; {places} include {folder}/stowage.conf; }}"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], {}


def caddy(folder: Path, port: int, behind: int, idle_s: float) -> tuple[list[str], dict[str, str]]:
    """The words that start Caddy; it has no time-out for what is silent."""
    shipped = (DEPLOY / "caddy" / "Caddyfile").read_text()
    changes = {
        "\nstowage.example {\n": f"\nhttps://localhost:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem\n",
        "reverse_proxy 127.0.0.1:8400": f"reverse_proxy 127.0.0.1:{behind}",
    }
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + replaced(shipped, changes))
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"], home


@contextmanager
def proxy_run(proxy: Proxy, folder: Path, behind: int, idle_s: float = 60.0) -> Iterator[int]:
    """The port of the proxy, by TLS with a certificate of its own for localhost."""
    port = free_port()
    certificate_write(folder)
    words, environment = proxy(folder, port, behind, idle_s)
    assert shutil.which(words[0]), f"{words[0]} is not installed; `make setup` does it"
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        wait_listening(port, lambda: process.poll() is None, (folder / "proxy.log").read_text)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def certificate_write(folder: Path) -> None:
    """cert.pem and key.pem for localhost, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


@contextmanager
def served(application: Any, ping_s: float) -> Iterator[int]:
    """The port of an application that is served as the web process serves ours."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(application, ping_s))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        port = int(listener.getsockname()[1])
        wait_listening(port, thread.is_alive, lambda: "uvicorn did not start")
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(20)


def wait_listening(port: int, is_alive: Callable[[], bool], said: Callable[[], str]) -> None:
    until = time.monotonic() + _START_LIMIT_S
    while True:
        assert is_alive() and time.monotonic() < until, said()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
