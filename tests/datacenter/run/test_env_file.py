from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from datacenter.run.env_file import env_read, env_write, secrets_made
from datacenter.run.parts import Ports, addresses
from datacenter.run.service_user import ServiceUser

PORTS = Ports(dashboard=8400, redis=8410, metrics_raw=8411, metrics_long=8412)


def test_secrets_are_made_once(tmp_path: Path, user: ServiceUser):
    first = secrets_made({})
    env_write(tmp_path / "env", first, user)

    assert secrets_made(env_read(tmp_path / "env")) == first


def test_every_installation_has_its_own_secrets():
    first, second = secrets_made({}), secrets_made({})

    assert all(first[name] != second[name] for name in first)


def test_the_credentials_key_is_a_fernet_key():
    Fernet(secrets_made({})["CREDENTIALS_KEY"])  # raises for any other form

    assert secrets_made({"CREDENTIALS_KEY": "kept"})["CREDENTIALS_KEY"] == "kept"


def test_only_its_owner_reads_the_file(tmp_path: Path, user: ServiceUser):
    env_write(tmp_path / "env", {"SECRET_KEY": "x"}, user)

    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["env"]


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path):
    (tmp_path / "env").symlink_to("/etc/passwd")

    with pytest.raises(OSError):
        env_read(tmp_path / "env")


def test_host_planes_are_told_the_labs_address_and_never_loopback():
    values = addresses(secrets_made({}), PORTS, "10.77.3.1", {})

    assert values["PLANE_URL"] == "http://10.77.3.1:8400"
    assert "@10.77.3.1:8410/" in values["PLANE_BROKER_URL"]
    assert "@127.0.0.1:8410/" in values["REDIS_URL"]
    assert "10.77.3.1" in values["ALLOWED_HOSTS"].split(",")


def test_no_embedded_part_is_reached_without_a_password():
    secrets = secrets_made({})

    values = addresses(secrets, PORTS, None, {})

    assert f":{secrets['REDIS_PASSWORD']}@" in values["REDIS_URL"]
    assert f":{secrets['METRICS_PASSWORD']}@" in values["METRICS_URL"]
    assert f":{secrets['METRICS_PASSWORD']}@" in values["METRICS_LONG_URL"]


def test_a_part_given_by_url_is_not_overwritten():
    values = addresses(secrets_made({}), Ports(8400, None, None, 8412), None, {"REDIS_URL": "redis://elsewhere"})

    assert "REDIS_URL" not in values
    assert "METRICS_URL" not in values
