from __future__ import annotations

import re

import pytest

from datacenter.metrics.table import BY_NAME, METRICS, Metric, metrics_of


def test_no_two_metrics_share_a_name() -> None:
    assert len(BY_NAME) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_conventions_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"stowage_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert "_mib" not in metric.name and "_gib" not in metric.name
    bare = metric.name.removesuffix("_total")
    if metric.unit in ("bytes", "cores", "ratio", "celsius", "watts", "joules", "seconds"):
        assert bare.endswith(f"_{metric.unit}")


def test_mebibytes_are_stored_as_bytes() -> None:
    memory = BY_NAME["stowage_workload_memory_used_bytes"]

    assert (memory.key, memory.scale, memory.shown_unit) == ("memory_used_mib", 2**20, "bytes")


def test_a_counter_is_shown_by_what_it_grows_in_a_second() -> None:
    units = {metric.key: metric.shown_unit for metric in metrics_of("workload")}

    assert units["disk_read_bytes_total"] == "bytes/s"
    assert units["cpu_seconds_total"] == "cores"
    assert units["cpu_steal_seconds_total"] == "ratio"
