"""Effects on containers and their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Invalid, NotFound, Refused
from tests.workloads.effects.planes import OPERATION, UUID, Planes, container_spec

REFERENCE = "busybox:latest"


def create(planes: Planes, host: str = "host-1", **changes: Any) -> None:
    planes.run(host, "container.create_with_image", spec=container_spec(**changes), archive=None)
    planes.run(host, "container.start", uuid=UUID)


def test_a_container_is_created_once_however_often_it_is_asked_for(planes: Planes) -> None:
    for _ in range(2):
        create(planes)

    assert planes.world.hosts["host-1"].containers[UUID].starts == 1
    assert planes.run("host-1", "container.wait_healthy", uuid=UUID)["sentence"]


def test_an_image_that_does_not_exist_is_said_so(planes: Planes) -> None:
    with pytest.raises(NotFound, match="Check its name"):
        planes.run("host-1", "container.image_ensure", image="nothing/here:1", archive=None)


def test_an_image_comes_from_the_archive_and_its_file_does_not_stay(planes: Planes) -> None:
    archive = {"image": str(OPERATION), "sha256": "a" * 64, "size_bytes": 3}
    planes.control.held[OPERATION] = b"tar"

    first = planes.run("host-1", "container.image_ensure", image="ours:1", archive=archive)
    second = planes.run("host-1", "container.image_ensure", image="ours:1", archive=archive)

    assert (first["how"], second["how"]) == ("archive", "present")
    assert list(Path(planes.contexts["host-1"].config.image_cache).iterdir()) == []


def test_an_image_that_only_one_host_has_travels_through_the_control_plane(planes: Planes) -> None:
    create(planes)
    planes.world.registry.clear()

    blob = planes.run("host-1", "container.image_export", image=REFERENCE, blob="/plane/v1/blobs/x/y")
    output = planes.run("host-2", "container.image_ensure", image=REFERENCE, archive=blob)

    assert output["how"] == "archive"


def test_an_adopted_container_is_relocated_and_its_old_copy_stays_down(planes: Planes) -> None:
    create(planes)
    spec = planes.run("host-1", "container.describe", uuid=UUID)["spec"]

    fenced = planes.run("host-1", "container.fence", uuid=UUID)
    again = planes.run("host-1", "container.fence", uuid=UUID)
    planes.run("host-2", "container.image_ensure", image=REFERENCE, archive=None)
    planes.run("host-2", "container.create", spec=spec | {"generation": 2})
    planes.run("host-2", "container.start", uuid=UUID)

    assert (fenced["restart_policy"], again["restart_policy"]) == ("always", "no")
    assert planes.world.places(UUID) == {"host-1": "stopped", "host-2": "running"}
    planes.run("host-1", "container.remove", uuid=UUID)
    assert planes.world.audit() == []


def test_a_fence_is_undone_with_the_policy_that_was(planes: Planes) -> None:
    create(planes)
    fenced = planes.run("host-1", "container.fence", uuid=UUID)

    planes.run("host-1", "container.unfence", "undo", uuid=UUID, restart_policy=fenced["restart_policy"])

    container = planes.world.hosts["host-1"].containers[UUID]
    assert (container.restart_policy, container.state) == ("always", "running")


def test_a_container_with_a_folder_of_its_host_is_not_moved(planes: Planes) -> None:
    create(planes, volumes=[{"kind": "bind", "source": "/srv/in", "target": "/in"}])

    with pytest.raises(Refused, match="folder /srv/in of its host"):
        planes.run("host-1", "container.volumes_describe", uuid=UUID)


def test_a_volume_that_two_containers_use_is_not_moved(planes: Planes) -> None:
    create(planes, volumes=[{"source": "data", "target": "/data"}])
    assert planes.run("host-1", "container.volumes_describe", uuid=UUID)["volumes"] == ["data"]
    containers = planes.world.hosts["host-1"].containers
    containers["other"] = replace(containers[UUID], uuid="other", name="other")

    with pytest.raises(Refused, match="also used by other"):
        planes.run("host-1", "container.volumes_describe", uuid=UUID)


def test_the_undo_of_a_create_leaves_a_container_of_another_operation_alone(planes: Planes) -> None:
    create(planes)
    planes.run("host-1", "container.stop", uuid=UUID)

    planes.run("host-1", "container.remove", "undo", uuid=UUID, operation=OPERATION.replace("0", "1"))
    assert planes.world.places(UUID) == {"host-1": "stopped"}

    planes.run("host-1", "container.remove", "undo", uuid=UUID, operation=OPERATION)
    assert planes.world.places(UUID) == {}


def test_a_running_container_is_not_removed(planes: Planes) -> None:
    create(planes)

    with pytest.raises(Refused, match="Stop it first"):
        planes.run("host-1", "container.remove", uuid=UUID)


def test_a_privilege_is_refused_by_the_host_itself(planes: Planes) -> None:
    with pytest.raises(Invalid, match="privileged"):
        planes.run("host-1", "container.create", spec=container_spec(privileged=True))

    assert planes.world.places(UUID) == {}
