"""What the database knows, as metrics."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from datacenter import tasks
from datacenter.metrics.inventory import inventory_samples
from datacenter.metrics.store import MetricsStore
from tests.factories import container_make, host_make, rack_make, vm_make

pytestmark = pytest.mark.django_db


def test_hosts_watts_and_workloads_are_told_by_site():
    host = host_make(cpu_cores=4, idle_watts=100, peak_watts=200)
    host_make(power="off")
    host_make(rack=rack_make("paris"), lifecycle="enrolling")
    vm_make(host, "mail")
    container_make(host, state="gone")

    told = {
        (sample.metric, *sorted(sample.labels.values())): sample.value
        for sample in inventory_samples(7.0, {f"host:{host.pk}": {"cpu_used_cores": 2}})
    }

    assert told["stowage_site_hosts", "lab", "on"] == told["stowage_site_hosts", "lab", "off"] == 1
    assert told["stowage_site_power_model_watts", "lab"] == 150
    assert told["stowage_site_workloads", "lab", "running", "vm"] == 1
    assert told["stowage_site_operations", "stuck"] == 0
    assert not [key for key in told if "paris" in key or "gone" in key]


def test_it_costs_the_same_number_of_queries_for_any_number_of_workloads(django_assert_num_queries: Any):
    host = host_make()
    for _ in range(20):
        vm_make(host)

    with django_assert_num_queries(4):
        assert len(inventory_samples(7.0, {})) > 20


def test_a_store_that_is_away_waits_for_the_next_minute(monkeypatch: Any):
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    host_make()
    store = MetricsStore("http://store", transport=httpx.MockTransport(away))
    monkeypatch.setattr(tasks, "store_at", lambda url: store)

    tasks.inventory_write()
