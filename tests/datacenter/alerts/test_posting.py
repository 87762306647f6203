"""Messages really sent, by the process that sends them, to receivers that really listen."""

from __future__ import annotations

import logging
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datacenter.alerts.addresses import address_of
from datacenter.alerts.message import Message
from datacenter.alerts.posting import post
from tests.datacenter.alerts.receivers import MailSink, WebReceiver, web_receiver

MESSAGE = Message("[critical] Host lost: alpha", "lab: alpha does not answer.", "failure", "max", {"event": "fired"})


@pytest.fixture(autouse=True)
def this_machine_may_be_reached(settings: Any) -> None:
    settings.NOTICE_TARGETS = "any"


def url_of(kind: str, **fields: str) -> str:
    return address_of(kind, fields).url


def test_a_webhook_gets_the_text_and_the_data(web: WebReceiver):
    url = url_of("webhook", url=f"http://{web.host}/Hooks/aB%2Fc?key=V%20x", token="s3cret")

    assert post("webhook", url, MESSAGE) == ""

    (got,) = web.got
    assert got.path == "/Hooks/aB%2Fc?key=V+x"
    assert got.headers["Authorization"] == "Bearer s3cret"
    assert (got.body["title"], got.body["event"], got.body["type"]) == (MESSAGE.title, "fired", "failure")


def test_slack_and_what_takes_the_same_gets_one_text_in_which_nobody_is_addressed(web: WebReceiver):
    hostile = replace(MESSAGE, body="<!channel> <https://evil.example|look> @all & co")

    assert post("slack", url_of("slack", url=f"http://{web.host}/services/T0/B0/x"), hostile) == ""

    (got,) = web.got
    assert got.path == "/services/T0/B0/x"
    assert set(got.body) == {"text"}
    text = got.body["text"]
    assert text.startswith(MESSAGE.title)
    assert "<" not in text and "@all" not in text and "&lt;!channel&gt;" in text and "&amp; co" in text


def test_ntfy_gets_topic_priority_and_token(web: WebReceiver):
    url = url_of("ntfy", url=f"http://{web.host}", topic="racks", token="tk_1")

    assert post("ntfy", url, MESSAGE) == ""

    (got,) = web.got
    assert got.headers["Authorization"] == "Bearer tk_1"
    assert (got.body["topic"], got.headers["X-Priority"], got.body["title"]) == ("racks", "max", MESSAGE.title)
    assert got.body["message"] == MESSAGE.body


def test_a_mail_goes_to_each_recipient_as_plain_text(mail: MailSink):
    fields = {"server": "127.0.0.1", "port": str(mail.port), "security": "insecure"}
    url = url_of("mail", **fields, sender="stowage@example.org", recipients="ops@example.org, night@example.org")

    assert post("mail", url, replace(MESSAGE, body="a <b>bold</b> guest")) == ""

    assert sorted(to for recipients, _ in mail.got for to in recipients) == ["night@example.org", "ops@example.org"]
    found = mail.got[0][1]
    assert found["Subject"] == MESSAGE.title
    assert "stowage@example.org" in found["From"]
    assert found.get_content_type() == "text/plain"
    assert found.get_content().strip() == "a <b>bold</b> guest"


def test_a_mail_server_that_refuses_is_quoted_by_its_number(mail: MailSink):
    mail.refusal = "550 no"
    fields = {"server": "127.0.0.1", "port": str(mail.port), "security": "insecure"}
    url = url_of("mail", **fields, sender="stowage@example.org", recipients="ops@example.org")

    assert post("mail", url, MESSAGE) == "The mail server answered with 550."


@pytest.mark.parametrize("kind", ["webhook", "slack", "ntfy"])
def test_a_redirect_is_not_followed(web: WebReceiver, kind: str):
    web.answer = lambda: (302, {"Location": f"http://{web.host}/elsewhere"})
    url = url_of(kind, url=f"http://{web.host}", topic="x")

    assert post(kind, url, MESSAGE) == "It answered with status 302, and redirects are not followed."
    assert len(web.got) == 1


def test_a_refusal_is_told_by_its_status(web: WebReceiver):
    web.answer = lambda: (403, {})

    assert post("webhook", url_of("webhook", url=f"http://{web.host}/x"), MESSAGE) == "It answered with status 403."


def test_nobody_there_is_told_so(web: WebReceiver):
    port = web.port
    failure = post("webhook", url_of("webhook", url=f"http://127.0.0.1:{port ^ 1}/x"), MESSAGE)

    assert failure.startswith(f"No connection to port {port ^ 1}")


@pytest.mark.parametrize("reach", ["private", "public"])
def test_this_machine_is_not_reached_also_by_a_name_that_leads_here(web: WebReceiver, settings: Any, reach: str):
    settings.NOTICE_TARGETS = reach

    failure = post("webhook", url_of("webhook", url=f"http://localhost:{web.port}/x"), MESSAGE)

    assert "this machine itself" in failure
    assert web.got == []


def test_an_answer_without_end_costs_neither_memory_nor_time(web: WebReceiver, monkeypatch: pytest.MonkeyPatch):
    web.is_endless = True
    monkeypatch.setattr("datacenter.alerts.posting.SEND_LIMIT_S", 5.0)

    assert post("webhook", url_of("webhook", url=f"http://{web.host}/x"), MESSAGE) != ""


def test_no_log_names_the_address(web: WebReceiver, caplog: pytest.LogCaptureFixture, capfd: Any):
    caplog.set_level(logging.DEBUG)
    web.answer = lambda: (500, {})

    post("webhook", url_of("webhook", url=f"http://{web.host}/canary-path", token="canary-token"), MESSAGE)

    assert "canary" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("kind", ["webhook", "slack", "ntfy"])
def test_a_receiver_that_speaks_no_tls_is_told_apart_from_one_that_is_away(web: WebReceiver, kind: str):
    failure = post(kind, url_of(kind, url=f"https://{web.host}", topic="x"), MESSAGE)

    assert failure == "The other side does not speak TLS as it was expected to."


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that this machine gave itself, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "own.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(file)]
    done = subprocess.run([*made, "-out", "-", *subject], capture_output=True, text=True, check=True)
    with file.open("a") as opened:
        opened.write(done.stdout)
    return file


@pytest.fixture
def secure_web(certificate: Path) -> Iterator[WebReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with web_receiver(tls=context) as receiver:
        yield receiver


def test_a_certificate_that_nobody_vouches_for_gets_nothing(secure_web: WebReceiver):
    failure = post("webhook", url_of("webhook", url=f"https://{secure_web.host}/x"), MESSAGE)

    assert failure.startswith("The certificate of the other side cannot be trusted")
    assert secure_web.got == []


def test_an_authority_of_the_house_is_trusted_where_this_machine_trusts_it(
    secure_web: WebReceiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert post("webhook", url_of("webhook", url=f"https://{secure_web.host}/x"), MESSAGE) == ""
    assert len(secure_web.got) == 1


def test_a_proxy_of_the_environment_is_not_asked(web: WebReceiver, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert post("webhook", url_of("webhook", url=f"http://{web.host}/x"), MESSAGE) == ""
