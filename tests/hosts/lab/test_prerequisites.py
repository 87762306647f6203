"""hosts.lab.prerequisites: what a machine must have."""

from __future__ import annotations

from hosts.lab.prerequisites import namespaces_needed


def test_cgroup_namespaces_are_asked_for_on_cgroup_v2_alone() -> None:
    assert "cgroup" in namespaces_needed(2)
    assert "cgroup" not in namespaces_needed(1)
