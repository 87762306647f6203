"""Which containers can be made again elsewhere, and why others cannot."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.errors import Refused
from workloads.drivers.docker_spec import spec_of
from workloads.drivers.volume_spec import VolumeSpec

IMAGE = {
    "Id": "sha256:" + "c" * 64,
    "RepoTags": ["nginx:1"],
    "Config": {"Env": ["PATH=/bin"], "Entrypoint": ["/start"], "Labels": {"maintainer": "nginx"}},
}


def detail(
    config: dict[str, Any] | None = None, limits: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    base: dict[str, Any] = {
        "Id": "ab" * 32,
        "Name": "/web-1",
        "Image": IMAGE["Id"],
        "Mounts": [],
        "State": {"Status": "running"},
        "Config": {
            "Image": "nginx:1",
            "Cmd": ["nginx", "-g"],
            "Entrypoint": ["/start"],
            "Env": ["PATH=/bin", "MODE=a=b"],
            "Labels": {"maintainer": "nginx", "stowage.pinned": "true"},
        }
        | (config or {}),
        "HostConfig": {"NetworkMode": "default", "Memory": 64 << 20, "RestartPolicy": {"Name": "always"}}
        | (limits or {}),
        "NetworkSettings": {"Networks": {"bridge": {}}},
    }
    return base | changes


def test_a_plain_container_becomes_a_spec_with_only_what_is_its_own() -> None:
    spec = spec_of(detail(), IMAGE)

    assert (spec.name, spec.image, spec.command) == ("web-1", "nginx:1", ("nginx", "-g"))
    assert spec.entrypoint is None
    assert spec.environment == {"MODE": "a=b"}
    assert spec.labels == {"pinned": "true"}
    assert (spec.memory_mib, spec.cpu_cores, spec.restart_policy) == (64, 0.0, "always")


def test_an_entrypoint_of_its_own_goes_along() -> None:
    assert spec_of(detail(config={"Entrypoint": ["/other"]}), IMAGE).entrypoint == ("/other",)
    assert spec_of(detail(config={"Entrypoint": None}), IMAGE).entrypoint == ()


def test_a_health_check_of_its_own_and_a_file_system_it_may_not_write_go_along() -> None:
    own = {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2}

    spec = spec_of(detail(config={"Healthcheck": own}, limits={"ReadonlyRootfs": True}), IMAGE)

    assert spec.health is not None
    assert (spec.health.test, spec.health.interval_s, spec.health.retries) == (("CMD-SHELL", "true"), 5.0, 2)
    assert spec.is_read_only
    of_the_image = IMAGE | {"Config": IMAGE["Config"] | {"Healthcheck": own}}  # type: ignore[operator]
    assert spec_of(detail(config={"Healthcheck": own}), of_the_image).health is None


def test_a_container_made_from_an_id_takes_the_images_name() -> None:
    assert spec_of(detail(config={"Image": "sha256:" + "c" * 64}), IMAGE).image == "nginx:1"
    assert spec_of(detail(config={"Image": "c" * 12}), IMAGE).image == "nginx:1"
    with pytest.raises(Refused, match="Tag it"):
        spec_of(detail(config={"Image": "c" * 12}), IMAGE | {"RepoTags": []})


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (detail(Mounts=[{"Type": "volume", "Name": "a" * 64, "Destination": "/x"}]), "no name"),
        (detail(Mounts=[{"Type": "volume", "Name": "data", "Driver": "nfs", "Destination": "/x"}]), "kept by nfs"),
        (detail(Mounts=[{"Type": "npipe", "Destination": "/x"}]), "kind npipe"),
        (detail(limits={"Tmpfs": {"/run": ""}}), "tmpfs"),
        (detail(limits={"Privileged": True}), "privileges"),
        (detail(limits={"CapAdd": ["SYS_ADMIN"]}), "privileges"),
        (detail(limits={"Devices": [{"PathOnHost": "/dev/kvm"}]}), "devices"),
        (detail(limits={"NetworkMode": "host"}), "network host"),
        (detail(limits={"NetworkMode": "shop_net"}), "network shop_net"),
        (detail(NetworkSettings={"Networks": {"bridge": {}, "more": {}}}), "network"),
        (detail(limits={"PidMode": "host"}), "namespaces"),
        (detail(limits={"IpcMode": "host"}), "namespaces"),
        (detail(limits={"Links": ["/db:/web-1/db"]}), "linked"),
    ],
)
def test_what_ties_a_container_to_its_host_is_named(found: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        spec_of(found, IMAGE)


def test_named_volumes_and_folders_go_along() -> None:
    mounts = [
        {"Type": "volume", "Name": "data", "Driver": "local", "Destination": "/data", "RW": True},
        {"Type": "bind", "Source": "/srv/in", "Destination": "/in", "RW": False},
    ]

    assert spec_of(detail(Mounts=mounts), IMAGE).volumes == (
        VolumeSpec("data", "/data"),
        VolumeSpec("/srv/in", "/in", "bind", True),
    )


def test_what_is_the_images_own_is_left_to_the_next_image() -> None:
    image = IMAGE | {"Config": IMAGE["Config"] | {"Cmd": ["nginx", "-g"], "User": "web"}}  # type: ignore[operator]

    spec = spec_of(detail(config={"User": "web", "WorkingDir": "/srv"}), image)

    assert (spec.command, spec.user, spec.working_folder) == ((), "", "/srv")
    # an entrypoint of its own makes the engine forget the image's command, so the command goes along
    assert spec_of(detail(config={"Entrypoint": ["/other"]}), image).command == ("nginx", "-g")
