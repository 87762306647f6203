from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from datacenter.run.packages import Root, missing_in, services_held

AS_WE_ARE = Root(())


def test_a_package_that_is_only_half_installed_counts_as_missing():
    listing = "gcc installed\nredis-server half-configured\ndocker.io config-files\n"

    assert missing_in(listing, ("gcc", "redis-server", "docker.io"), set()) == ["redis-server", "docker.io"]


def test_a_command_from_elsewhere_stands_for_its_package():
    assert missing_in("", ("nodejs", "npm"), {"nodejs"}) == ["npm"]


def test_no_service_may_start_while_packages_are_installed(tmp_path: Path):
    policy = tmp_path / "policy-rc.d"

    with services_held(AS_WE_ARE, policy):
        status = subprocess.run([policy, "redis-server", "start"], check=False).returncode

    assert status == 101
    assert not policy.exists()


def test_the_machines_own_policy_is_back_after_a_failure(tmp_path: Path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")

    with pytest.raises(RuntimeError), services_held(AS_WE_ARE, policy):
        raise RuntimeError("apt failed")

    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_the_machines_own_policy_survives_a_set_up_that_was_killed(tmp_path: Path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    killed = services_held(AS_WE_ARE, policy)
    killed.__enter__()  # and never left

    with services_held(AS_WE_ARE, policy):
        pass

    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["policy-rc.d"]
