"""Histories over the API: whose, over what range, and as CSV."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.test import Client

from datacenter.metrics import history as lines
from datacenter.metrics.history_csv import cell
from datacenter.metrics.store import MetricsStore, Sample
from tests import factories
from tests.actors import client_of
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store

NOBODY = "00000000-0000-0000-0000-000000000000"
pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    return client_of("viewer")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, MetricsStore]]:
    with running_store(tmp_path_factory.mktemp("store"), "13") as both:
        yield both


@pytest.fixture
def store(running: tuple[str, MetricsStore], settings: Any) -> MetricsStore:
    settings.METRICS_URL = settings.METRICS_LONG_URL = running[0]
    return running[1]


def sampled(store: MetricsStore, workload: Any, count: int = 60) -> None:
    labels = {"workload_uuid": str(workload.pk), "kind": "vm", "site": "lab"}
    end = time.time()
    store.write([Sample("stowage_workload_cpu_used_cores", labels, 1.5, end - 5 * number) for number in range(count)])
    make_searchable(store)


@pytest.mark.parametrize("kind", ["host", "workload"])
def test_only_things_that_the_database_knows_have_a_history(viewer: Client, kind: str):
    host = factories.host_make()

    assert viewer.get(f"/api/history/{kind}/{NOBODY}/cpu").status_code == 404
    assert viewer.get(f"/api/history/host/{host.pk}/cpu?compare=workload:{NOBODY}").status_code == 404
    assert viewer.get("/api/history/site/4711/cpu").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "hours=0",
        "hours=1e9",
        "hours=nan",
        "start=inf",
        "start=5&end=4",
        "pixels=1",
        "compare=host:x",
        "compare=site:1",
        'compare="} or up',
        "compare=host:1&" * 9,
    ],
)
def test_a_range_or_name_that_makes_no_sense_is_a_sentence(viewer: Client, query: str):
    host = factories.host_make()

    answer = viewer.get(f"/api/history/host/{host.pk}/cpu?{query}")

    assert answer.status_code == 422
    assert answer.json()["message"]


def test_a_chart_that_a_thing_does_not_have_is_404(viewer: Client):
    host = factories.host_make()

    assert viewer.get(f"/api/history/host/{host.pk}/hosts").status_code == 404
    assert viewer.get(f"/api/history/host/{host.pk}/nonsense").status_code == 422


@pytest.mark.parametrize("failure", [httpx.ConnectError("nobody"), httpx.ReadTimeout("slow")])
def test_a_store_that_is_away_or_frozen_is_a_sentence(viewer: Client, monkeypatch: Any, failure: Exception):
    def fail(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"]["read"] <= 3
        raise failure

    away = MetricsStore("http://store", timeout_s=lines.STORE_TIMEOUT_S, transport=httpx.MockTransport(fail))
    monkeypatch.setattr(lines, "store_at", lambda url: away)
    host = factories.host_make()

    chart = viewer.get(f"/api/history/host/{host.pk}/cpu")
    file = viewer.get(f"/api/history/host/{host.pk}/cpu/csv")

    assert (chart.status_code, chart.json()["times"]) == (200, [])
    assert chart.json()["sentence"].startswith("The metrics store")
    assert file.status_code == 502
    assert file.json()["message"].startswith("The metrics store")


@needs_store
def test_the_lines_of_a_workload_say_what_goes_on_with_them_live(viewer: Client, store: MetricsStore):
    vm = factories.vm_make(factories.host_make())
    sampled(store, vm)

    (line,) = viewer.get(f"/api/history/workload/{vm.pk}/cpu?hours=0.0834").json()["series"]

    assert {value for value in line["values"] if value is not None} == {1.5}
    assert (line["source"], line["field"], line["unit"]) == (f"workload:{vm.pk}", "cpu_used_cores", "cores")


@needs_store
def test_the_csv_has_iso_times_units_and_each_point_once(viewer: Client, store: MetricsStore):
    host = factories.host_make()
    vm, other = factories.vm_make(host), factories.vm_make(host)
    sampled(store, vm, 17_000)
    sampled(store, other, 10)

    answer = viewer.get(f"/api/history/workload/{vm.pk}/cpu/csv?hours=23&pixels=4000&compare=workload:{other.pk}")
    heads, *rows = csv.reader(io.StringIO(b"".join(answer).decode()))

    assert "attachment" in answer["Content-Disposition"]
    assert heads[:2] == ["Time (UTC)", f"{vm.name}: CPU in use (cores)"]
    assert rows[0][0].endswith("Z") and rows[0][0] < rows[-1][0]
    assert len({row[0] for row in rows}) == len(rows) > 600
    assert {row[1] for row in rows} == {"1.5"}


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str):
    assert cell(text) == f"'{text}"


def test_an_adopted_name_cannot_become_a_formula_or_a_header(viewer: Client, monkeypatch: Any):
    empty = MetricsStore("http://store", transport=httpx.MockTransport(_nothing))
    monkeypatch.setattr(lines, "store_at", lambda url: empty)
    host = factories.host_make()
    vm = factories.vm_make(host, '=1"\r\nX-Evil: 1')

    answer = viewer.get(f"/api/history/workload/{vm.pk}/cpu/csv?compare=host:{host.pk}")

    assert answer["Content-Disposition"] == 'attachment; filename="1X-Evil1-cpu.csv"'
    assert b",\"'=1" in b"".join(answer)


def _nothing(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"data": {"result": []}})
