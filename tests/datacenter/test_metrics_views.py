"""What other programs read with a token: /metrics, and the Prometheus API, before a real VictoriaMetrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.test import Client

from datacenter.metrics import exposition, prometheus
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.services.tokens import token_issue
from hosts.models import Operation
from tests.actors import client_of
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store
from tests.factories import container_make, host_make, user_make, vm_make

pytestmark = pytest.mark.django_db
ADDRESSES = [
    "/metrics",
    "/prometheus/api/v1/query?query=1",
    "/prometheus/api/v1/labels",
    "/prometheus/api/v1/status/buildinfo",
]
DAY_S = 86400


@pytest.fixture
def secret() -> str:
    return token_issue(user_make("administrator"), name="test", days=1)[1]


@pytest.fixture
def reader(secret: str) -> Client:
    return Client(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, MetricsStore]]:
    with running_store(tmp_path_factory.mktemp("store"), "13") as both:
        yield both


@pytest.fixture
def store(running: tuple[str, MetricsStore], settings: Any) -> MetricsStore:
    settings.METRICS_URL = settings.METRICS_LONG_URL = running[0]
    return running[1]


# -- the door -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic abc", "Bearer " + "x" * 10_000, "Token x"]
)
def test_without_a_valid_token_nothing_opens(address: str, header: str | None):
    headers = {"authorization": header} if header is not None else {}

    answer = Client(headers=headers).get(address)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_login_opens_nothing_here(address: str):
    assert client_of("administrator").get(address).status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "Token"])
def test_a_token_in_the_address_is_refused_and_never_logged(secret: str, caplog: Any, name: str):
    caplog.set_level(logging.DEBUG)

    for answer in (
        Client().get(f"/metrics?{name}={secret}"),
        Client(headers={"authorization": f"Bearer {secret}"}).get(f"/prometheus/api/v1/labels?{name}={secret}"),
    ):
        assert answer.status_code == 400
        assert "Authorization: Bearer" in answer.json()["error"]
    assert secret not in caplog.text


def test_a_token_opens_nothing_else(reader: Client):
    host = host_make()

    for address in ("/", f"/hosts/{host.pk}/", "/tokens/", "/api/hosts", f"/api/history/host/{host.pk}/cpu", "/admin/"):
        assert reader.get(address).status_code in (302, 401), address
    assert reader.post("/api/plans", "{}", content_type="application/json").status_code in (401, 403)


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_nothing_is_written_through_this_door(reader: Client, method: str):
    assert getattr(reader, method)("/metrics").status_code == 405
    assert getattr(reader, method)("/prometheus/api/v1/query").status_code == 405


# -- /metrics -----------------------------------------------------------------------------------------------


def test_everything_newest_is_told_with_names_and_kinds(reader: Client, monkeypatch: Any):
    host = host_make("node-1", cpu_cores=4, idle_watts=100, peak_watts=200)
    vm = vm_make(host, 'ma"il\\')
    container_make(host, "cache", state="stopped")
    Operation.objects.create(kind="start_workload", subject_kind="vm", subject_id="1", subject_name="x", state="stuck")
    newest = {
        f"host:{host.pk}": {"at": time.time(), "cpu_used_cores": 1.0, "memory_used_mib": 512, "nonsense": 1},
        f"workload:{vm.pk}": {"at": time.time(), "disk_read_bytes_total": 7, "stale": ["x"]},
    }
    monkeypatch.setattr(exposition, "latest_read", lambda keys: {key: newest[key] for key in keys if key in newest})

    answer = reader.get("/metrics")
    text = answer.content.decode()

    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert f'stowage_host_memory_used_bytes{{host_uuid="{host.pk}",host="node-1",site="lab"}} 536870912.0' in text
    assert "# TYPE stowage_workload_disk_read_bytes_total counter" in text
    assert f'_bytes_total{{workload_uuid="{vm.pk}",workload="ma\\"il\\\\"' in text
    assert 'stowage_site_power_model_watts{site="lab"} 125.0' in text
    assert 'stowage_site_workloads{site="lab",kind="container",state="stopped"} 1.0' in text
    assert 'stowage_site_operations{state="stuck"} 1.0' in text
    assert "nonsense" not in text and "stale" not in text
    names = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert names == sorted(names), "a metric's samples stand together"


@needs_store
def test_what_is_told_is_what_a_store_reads(reader: Client, store: MetricsStore):
    host = host_make()
    vm_make(host, "mail")
    store.write([Sample("stowage_collector_lag_seconds", {}, 0.2, time.time() - 5)])
    make_searchable(store)

    text = reader.get("/metrics").content
    store.write_lines(text) if hasattr(store, "write_lines") else store._call(
        "POST", "/api/v1/import/prometheus", content=text
    )
    make_searchable(store)

    assert store.query("stowage_collector_lag_seconds")[0].points[0][1] == 0.2
    (info,) = store.query('stowage_workload_info{workload="mail"}', at=time.time() + 2)
    assert info.labels["host"] == host.name


# -- the Prometheus API -------------------------------------------------------------------------------------

CPU = "stowage_host_cpu_used_cores"


def seeded(store: MetricsStore) -> float:
    now = time.time()
    labels = {"host_uuid": "h1", "host": "node-1", "site": "lab"}
    store.write([Sample(CPU, labels, 2.0, now - 15 * number) for number in range(100)])
    old = now - 40 * DAY_S
    for statistic, value in (("min", 1.0), ("avg", 2.0), ("p95", 3.0), ("max", 4.0)):
        samples = [Sample(CPU, {**labels, "aggregate": statistic}, value, old + 300 * number) for number in range(24)]
        store.write(samples)
    make_searchable(store)
    return now


@needs_store
@pytest.mark.parametrize("method", ["get", "post"])
def test_grafanas_questions_are_answered_by_get_and_by_post(reader: Client, store: MetricsStore, method: str):
    now = seeded(store)
    ask = getattr(reader, method)

    def data(resource: str, **parameters: Any) -> Any:
        answer = ask(f"/prometheus/api/v1/{resource}", parameters)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    assert data("query", query="1+1")["result"][0]["value"][1] == "2"
    assert data("query", query=CPU, time=now)["result"][0]["value"][1] == "2"
    assert len(data("query_range", query=CPU, start=now - 600, end=now, step="60s")["result"][0]["values"]) == 11
    assert data("series", **{"match[]": CPU, "start": now - 600, "end": now})[0]["host"] == "node-1"
    assert "host" in data("labels", **{"match[]": CPU})
    assert data("label/host/values", **{"match[]": CPU}) == ["node-1"]
    assert CPU in data("label/__name__/values")
    assert data("metadata")[CPU][0] == {"type": "gauge", "help": "CPU in use", "unit": "cores"}
    assert data("status/buildinfo")["version"]


@needs_store
def test_an_old_range_is_answered_by_averages_unless_another_aggregate_is_asked_for(
    reader: Client, store: MetricsStore
):
    old = seeded(store) - 40 * DAY_S

    def values(query: str) -> set[str]:
        asked = {"query": query, "start": old + 600, "end": old + 3000, "step": 300}
        (series,) = reader.get("/prometheus/api/v1/query_range", asked).json()["data"]["result"]
        return {value for _, value in series["values"]}

    assert values(CPU) == {"2"}
    assert values(f'{CPU}{{aggregate="max"}}') == {"4"}


def test_growth_of_what_is_kept_as_growth_is_refused_with_the_way_out(reader: Client):
    old = time.time() - 40 * DAY_S
    asked = {"query": "rate(stowage_host_disk_read_bytes_total[5m])", "start": old, "end": old + 3600, "step": 300}

    answer = reader.get("/prometheus/api/v1/query_range", asked)

    assert answer.status_code == 400
    assert 'aggregate="avg"' in answer.json()["error"]


@pytest.mark.parametrize(
    "resource",
    [
        "admin/tsdb/delete_series",
        "import",
        "import/prometheus",
        "export",
        "write",
        "status/tsdb",
        "status/config",
        "targets",
        "rules",
        "alerts",
        "query/../import",
        "label/a b/values",
        "label/x/values/",
        "../../internal/force_flush",
        "query%2f..%2fexport",
        "series/",
    ],
)
def test_nothing_but_the_list_is_served(reader: Client, monkeypatch: Any, resource: str):
    monkeypatch.setattr(prometheus, "asked", lambda *_: pytest.fail("the store was asked"))

    assert reader.get(f"/prometheus/api/v1/{resource}").status_code == 404


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        ("query", ""),
        ("query", "query="),
        ("query", "query=1&query=2"),
        ("query", "query=" + "x" * 20_000),
        ("query", "query=1&time=yesterday"),
        ("query", "query=1&time=nan"),
        ("query_range", "query=1&start=1&end=2"),
        ("query_range", "query=1&start=1&end=2&step=0"),
        ("query_range", "query=1&start=1&end=2&step=-1"),
        ("query_range", "query=1&start=1&end=2&step=x"),
        ("query_range", "query=1&start=2&end=1&step=1"),
        ("query_range", "query=1&start=0&end=1000000&step=1"),
        ("series", "&".join(["match[]=up"] * 30)),
    ],
)
def test_what_makes_no_sense_or_costs_too_much_is_refused(reader: Client, monkeypatch: Any, resource: str, asked: str):
    monkeypatch.setattr(prometheus, "asked", lambda *_: pytest.fail("the store was asked"))

    answer = reader.get(f"/prometheus/api/v1/{resource}?{asked}")

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_parameters_off_the_list_are_left_out_and_each_question_has_a_limit():
    given = {"query": ["1"], "extra_label": ["a=b"], "nocache": ["1"], "timeout": ["1h"], "dedup": ["1"]}

    question = prometheus.question_of("query", given, time.time())

    assert dict(question.parameters).keys() == {"query", "timeout"}
    assert dict(question.parameters)["timeout"] == "13s"
    assert dict(prometheus.question_of("labels", {"limit": ["999999999999"]}, 0).parameters)["limit"] == "50000"


@pytest.mark.parametrize(
    ("failure", "status"),
    [(httpx.ConnectError("nobody"), 502), (httpx.ReadTimeout("slow"), 502), (b"x" * 33 * 2**20, 422)],
)
def test_a_store_that_is_away_slow_or_too_talkative_is_a_sentence(
    reader: Client, monkeypatch: Any, failure: Any, status: int
):
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(200, content=failure)

    client = httpx.Client(base_url="http://store", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(prometheus, "_client_of", lambda url: client)

    told = reader.get("/prometheus/api/v1/query?query=up")

    assert told.status_code == status
    assert told.json()["error"].endswith(".")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15", 15), ("15s", 15), ("1h30m", 5400), ("500ms", 0.5), ("x", 0), ("1", 1), ("1x", 0), ("", 0)],
)
def test_a_step_is_read_as_prometheus_reads_it(text: str, seconds: float):
    assert prometheus.seconds_of(text) == seconds
