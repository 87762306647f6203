"""What a user's own Prometheus and Grafana read from a running Stowage with a lab."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.lab.api_person import ApiPerson
from tests.stack import Stack

# The figures of the database are written once a minute.
WRITTEN_LIMIT_S = 90.0
ISSUE = (
    "from django.contrib.auth.models import User; from datacenter.services.tokens import token_issue;"
    "print(token_issue(User.objects.get(username='{}'), name='test', days=1)[1])"
)


@pytest.fixture(scope="module")
def headers(stack: Stack) -> dict[str, str]:
    secret = re.search(r"stw_\S+", stack.manage("shell", "-c", ISSUE.format(stack.username)))
    assert secret
    return {"Authorization": f"Bearer {secret[0]}"}


def eventually(read: Callable[[], Any], limit_s: float = 30.0) -> Any:
    """What `read` gives once it gives something."""
    until = time.monotonic() + limit_s
    while not (found := read()):
        assert time.monotonic() < until, f"nothing within {limit_s:.0f} s"
        time.sleep(1)
    return found


def test_a_prometheus_reads_the_newest_values_of_every_host(stack: Stack, headers: dict[str, str]):
    hosts = {host["name"] for host in ApiPerson(stack).lab_hosts_on()}

    def read() -> str:
        text = requests.get(f"{stack.url}/metrics", headers=headers, timeout=20).text
        names = set(re.findall(r'^stowage_host_cpu_used_cores\{.*?host="([^"]+)"', text, re.M))
        return text if names == hosts else ""

    text = eventually(read)

    assert re.search(r"^stowage_workload_memory_used_bytes\{.*workload=", text, re.M)
    assert re.search(r"^stowage_collector_lag_seconds\{\} ", text, re.M)
    assert requests.get(f"{stack.url}/metrics", timeout=20).status_code == 401


def test_grafana_finds_samples_names_and_sums(stack: Stack, headers: dict[str, str]):
    def result(query: str) -> list[Any]:
        answer = requests.post(
            f"{stack.url}/prometheus/api/v1/query", data={"query": query}, headers=headers, timeout=20
        )
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"]["result"])

    cores = eventually(lambda: result("stowage_host_cpu_used_cores"))
    assert {row["metric"]["host"] for row in cores} >= {host["name"] for host in ApiPerson(stack).lab_hosts_on()}
    named = "stowage_workload_cpu_used_cores * on (workload_uuid) group_left (workload) stowage_workload_info"
    assert all(row["metric"]["workload"] for row in eventually(lambda: result(named), WRITTEN_LIMIT_S))
    (watts,) = eventually(lambda: result("stowage_site_power_model_watts"), WRITTEN_LIMIT_S)
    assert float(watts["value"][1]) > 0


def test_the_charts_have_what_the_hosts_sampled(stack: Stack):
    person = ApiPerson(stack)
    host = person.host(stack.lab["hosts"][0]["name"])

    def lines(topic: str) -> dict[str, list[float | None]]:
        found = person.get(f"/history/host/{host['uuid']}/{topic}?hours=0.0834")
        return {line["label"]: line["values"] for line in found["series"]}

    for topic, label in (("cpu", "CPU in use"), ("memory", "Memory in use"), ("network", "Network: received")):
        values = eventually(lambda topic=topic, label=label: lines(topic).get(label))
        assert any(value is not None for value in values), topic
