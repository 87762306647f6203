"""Which volumes a container may be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Invalid, Refused
from hosts.plane.config import config_from_data
from workloads.drivers.volume_spec import VolumeSpec, bind_check, mounts_read, names_of, volumes_from


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"source": "../x", "target": "/data"}, "volume's name"),
        ({"source": "a", "target": "/data"}, "volume's name"),
        ({"source": "x" * 300, "target": "/data"}, "volume's name"),
        ({"source": "/srv", "target": "/data"}, "volume's name"),
        ({"source": "data", "target": "data"}, "full path"),
        ({"source": "data", "target": "/"}, "full path"),
        ({"source": "data", "target": "/a/../b"}, "full path"),
        ({"source": "data", "target": "/a:rw"}, "full path"),
        ({"source": "srv", "target": "/data", "kind": "bind"}, "folder of the host"),
        ({"source": "/srv/../etc", "target": "/data", "kind": "bind"}, "folder of the host"),
        ({"source": "/srv", "target": "/data", "kind": "tmpfs"}, "folder of the host"),
    ],
)
def test_what_is_no_volume_gets_a_sentence(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as caught:
        volumes_from([data])
    assert caught.value.field == "volumes"


def test_one_path_is_given_once() -> None:
    with pytest.raises(Invalid, match="same path"):
        volumes_from([{"source": "data", "target": "/data"}, {"source": "more", "target": "/data"}])
    with pytest.raises(Invalid, match="at most"):
        volumes_from([{"source": f"v{n}", "target": f"/{n}"} for n in range(33)])


def test_a_name_stands_once_although_it_is_mounted_twice() -> None:
    assert names_of([VolumeSpec("data", "/a"), VolumeSpec("data", "/b"), VolumeSpec("/srv", "/c", "bind")]) == ["data"]


def test_a_folder_is_judged_by_where_it_really_is(tmp_path: Path) -> None:
    allowed, secret = tmp_path / "srv", tmp_path / "srv-secret"
    (allowed / "in").mkdir(parents=True)
    secret.mkdir()
    (allowed / "out").symlink_to(secret)
    (allowed / "round").symlink_to(allowed / "in")

    assert bind_check(f"{allowed}/in", [str(allowed)]) == str(allowed / "in")
    assert bind_check(f"{allowed}/round", [str(allowed)]) == str(allowed / "in")
    for path in (f"{allowed}/out", f"{allowed}/in/../../srv-secret", str(secret), "/", "/etc"):
        with pytest.raises(Refused, match="not within the host's list"):
            bind_check(path, [str(allowed)])
    with pytest.raises(Refused, match="no folder"):
        bind_check(f"{allowed}/none", [str(allowed)])
    with pytest.raises(Refused, match="not within"):
        bind_check(f"{allowed}/in", ["/"])  # the whole host is nobody's list
    with pytest.raises(Refused, match="hostd runs on the host"):
        bind_check(f"{allowed}/in", [str(allowed)], is_local=False)


def test_the_list_is_the_planes_own() -> None:
    data = {"name": "alpha", "state_dir": "/x"}

    assert config_from_data(data).bind_paths == ()
    assert config_from_data(data | {"bind_paths": ["/srv", "relative"]}).bind_paths == ("/srv",)


def test_a_volume_without_a_name_is_not_one_of_ours() -> None:
    mounts = [{"Type": "volume", "Name": "0" * 64, "Destination": "/cache", "RW": True}]

    assert mounts_read({"Mounts": mounts}) == ([], ["Its volume at /cache has no name."])


@pytest.mark.parametrize("wrong", [True, "data", 7, {"source": "data"}, ["data"], {}])
def test_volumes_that_are_no_list_are_refused_with_a_sentence(wrong: Any):
    with pytest.raises(Invalid, match="are a list"):
        volumes_from(wrong)
