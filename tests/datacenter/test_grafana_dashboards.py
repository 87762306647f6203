"""Each query of the dashboards that we ship is understood by a real VictoriaMetrics and finds data there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datacenter.metrics.prometheus import question_of
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.metrics.table import METRICS, Metric
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store

FOLDER = Path(__file__).resolve().parents[2] / "datacenter" / "deploy" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
QUERIES = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']} {target['refId']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
VALUES = {"$site": "lab", "$host": "node-1", "$workload": "mail", "$uuid": "w-1", "$__rate_interval": "1m"}
pytestmark = needs_store


def labels_of(metric: Metric) -> dict[str, str]:
    own: dict[str, dict[str, str]] = {
        "host": {"host_uuid": "h-1", "host": "node-1", "site": "lab"},
        "workload": {"workload_uuid": "w-1", "kind": "vm", "site": "lab"},
        "site": {"site": "lab"},
        "collector": {},
    }
    parts = {"site_hosts": {"power": "on"}, "site_workloads": {"state": "running", "kind": "vm"}}
    if metric.key == "info":
        return own["workload"] | {"workload": "mail", "host": "node-1", "host_uuid": "h-1"}
    if metric.name == "stowage_site_operations":
        return {"state": "stuck"}
    part = parts.get(f"{metric.of}_{metric.key}") or ({metric.part: "x"} if metric.part else {})
    return own[metric.of] | part


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MetricsStore]]:
    """A raw store and a long one, with ten minutes of every metric in the table."""
    with (
        running_store(tmp_path_factory.mktemp("raw"), "13") as (_, raw),
        running_store(tmp_path_factory.mktemp("long"), "13") as (_, long),
    ):
        now = time.time()
        for metric in METRICS:
            labels = labels_of(metric)
            raw.write([Sample(metric.name, labels, 600.0 - before, now - before) for before in range(0, 600, 5)])
            aggregated = {**labels, "aggregate": "avg"}
            long.write([Sample(metric.name, aggregated, 1.0, now - before) for before in range(0, 600, 300)])
        make_searchable(raw)
        make_searchable(long)
        yield {"raw": raw, "long": long}


def filled(query: str) -> str:
    for name, value in VALUES.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


@pytest.mark.parametrize("which", ["raw", "long"])
@pytest.mark.parametrize("query", QUERIES)
def test_a_dashboards_query_finds_data(stores: dict[str, MetricsStore], which: str, query: str):
    found = stores[which].query_range(filled(query), time.time() - 300, time.time(), 60)

    assert any(series.points for series in found)


@pytest.mark.parametrize("query", QUERIES)
def test_a_dashboards_query_passes_the_door_for_any_age(query: str):
    now = time.time()
    for start in (now - 3600, now - 90 * 86400):
        given = {"query": [filled(query)], "start": [str(start)], "end": [str(start + 3600)], "step": ["60"]}
        assert question_of("query_range", given, now).is_long == (start < now - 86400)


def variables() -> list[Any]:
    listed = [(name, one) for name, board in BOARDS.items() for one in board["templating"]["list"]]
    return [pytest.param(one["definition"], id=f"{name}: {one['name']}") for name, one in listed if "definition" in one]


@pytest.mark.parametrize("definition", variables())
def test_a_dashboards_variable_has_values(stores: dict[str, MetricsStore], definition: str):
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", definition)
    assert match
    answer = stores["raw"]._call("GET", f"/api/v1/label/{match[2]}/values", params={"match[]": filled(match[1])})

    assert answer.json()["data"] in (["lab"], ["node-1"], ["mail"], ["w-1"])


def test_there_is_a_dashboard_for_a_site_a_host_and_a_workload():
    assert {board["uid"] for board in BOARDS.values()} == {"stowage-site", "stowage-host", "stowage-workload"}
    assert len(QUERIES) > 40
