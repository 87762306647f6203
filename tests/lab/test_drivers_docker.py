"""The Docker drivers and the effects on containers against two real engines."""

from __future__ import annotations

import hashlib
import json
import queue
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from hosts.drivers.docker_host import DockerHost
from hosts.errors import Invalid, NotFound, Refused, Rejected, StowageError
from tests.lab.conftest import DriverLab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


class TrialContainer:
    """A container of the lab's image that may be on either host."""

    def __init__(self, lab: DriverLab, **changes: Any) -> None:
        self.lab = lab
        self.uuid = str(uuid.uuid4())
        self.image = lab.lab.description["images"]["container"]["reference"]
        self.spec: dict[str, Any] = {
            "uuid": self.uuid,
            "name": f"trial-{self.uuid[:8]}",
            "image": self.image,
            "command": [],
            "environment": {"LOAD_PERCENT": "0"},
            "cpu_cores": 0.5,
            "memory_mib": 64,
            "ports": [],
            "restart_policy": "always",
            "labels": {"pinned": "true"},
            "generation": 1,
            "operation": str(uuid.uuid4()),
        } | changes

    def create(self, number: int = 0, start: bool = True) -> TrialContainer:
        host = self.lab.hosts[number]
        for _ in range(2):
            host.run("container.image_ensure", image=self.image, archive=self.lab.image("container"))
            host.run("container.create", spec=self.spec)
            if start:
                host.run("container.start", uuid=self.uuid)
        return self

    def remove(self) -> None:
        for host in self.lab.hosts:
            host.run("container.fence", uuid=self.uuid)
            host.run("container.remove", uuid=self.uuid)

    def inspect(self, number: int = 0) -> dict[str, Any]:
        return dict(json.loads(self.lab.inside(number, "docker", "inspect", self.spec["name"]))[0])


@pytest.fixture
def container(driver_lab: DriverLab) -> Iterator[TrialContainer]:
    made = TrialContainer(driver_lab)
    yield made.create()
    made.remove()


def engine(lab: DriverLab, number: int) -> DockerHost:
    return DockerHost(f"unix:///proc/{lab.hosts[number].host['init_pid']}/root/run/docker.sock")


def test_a_container_runs_with_few_rights_and_within_limits(container: TrialContainer) -> None:
    container.lab.hosts[0].run("container.wait_healthy", uuid=container.uuid, timeout_s=10)

    limits = container.inspect()["HostConfig"]

    assert limits["CapDrop"] == ["ALL"] and "NET_RAW" not in str(limits["CapAdd"])
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert (limits["PidsLimit"], limits["Memory"], limits["NanoCpus"]) == (512, 64 << 20, 500_000_000)
    assert not limits["Privileged"] and not limits["Binds"]


def test_a_container_is_made_again_elsewhere_with_an_image_that_only_the_source_has(
    driver_lab: DriverLab, container: TrialContainer
) -> None:
    source, target = driver_lab.hosts
    driver_lab.inside(0, "docker", "tag", container.image, "only/here:1")
    odd = TrialContainer(driver_lab, image="only/here:1")
    source.run("container.create", spec=odd.spec)
    try:
        spec = source.run("container.describe", uuid=odd.uuid)["spec"]
        blob = source.run("container.image_export", image="only/here:1", blob=f"/plane/v1/blobs/{odd.uuid}/export")
        target.run("container.image_ensure", image="only/here:1", archive=blob)
        fenced = source.run("container.fence", uuid=odd.uuid)
        target.run("container.create", spec=spec)
        target.run("container.start", uuid=odd.uuid)
        target.run("container.wait_healthy", uuid=odd.uuid)
        source.run("container.remove", uuid=odd.uuid)

        assert fenced == {"restart_policy": "always"}
        assert target.run("container.describe", uuid=odd.uuid)["spec"] == spec
        assert not source.run("container.locate", uuid=odd.uuid)["present"]
    finally:
        odd.remove()
        for number in (0, 1):
            driver_lab.inside(number, "docker", "rmi", "only/here:1")


def test_a_fenced_container_stays_down_when_its_engine_returns(container: TrialContainer) -> None:
    host = container.lab.hosts[0]

    host.run("container.fence", uuid=container.uuid)

    detail = container.inspect()
    assert detail["HostConfig"]["RestartPolicy"]["Name"] == "no" and not detail["State"]["Running"]
    host.run("container.unfence", uuid=container.uuid, restart_policy="always")
    assert host.run("container.locate", uuid=container.uuid)["state"] == "running"


def test_a_name_of_another_container_is_refused(driver_lab: DriverLab, container: TrialContainer) -> None:
    other = TrialContainer(driver_lab, name=container.spec["name"])

    with pytest.raises(Refused, match="already has a container named"):
        driver_lab.hosts[0].run("container.create", spec=other.spec)
    driver_lab.hosts[0].run("container.remove", uuid=other.uuid, operation=other.spec["operation"])

    assert container.inspect()["State"]["Running"]


def test_a_port_that_is_taken_is_told_with_its_owner(driver_lab: DriverLab) -> None:
    ports = [{"host": 18080, "container": 8080, "protocol": "tcp"}]
    first, second = (TrialContainer(driver_lab, ports=ports) for _ in range(2))
    first.create()
    try:
        with pytest.raises(Refused, match=f"Port 18080 of the host is taken by the container {first.spec['name']}"):
            second.create()
    finally:
        first.remove()
        second.remove()


def test_an_image_that_nobody_has_is_said_so_and_leaves_nothing(driver_lab: DriverLab) -> None:
    host = driver_lab.hosts[0]
    missing = TrialContainer(driver_lab, image="no-such/image:9")

    with pytest.raises(StowageError, match="Check the name"):
        host.run("container.image_ensure", image="no-such/image:9", archive=None)
    with pytest.raises(NotFound, match="not on the host"):
        host.run("container.create", spec=missing.spec)

    assert not host.run("container.locate", uuid=missing.uuid)["present"]


def test_an_archive_that_is_none_is_refused(driver_lab: DriverLab) -> None:
    page = b"<html>404</html>"
    number = str(uuid.uuid4())
    (driver_lab.store_dir / number).write_bytes(page)
    archive = {"image": number, "sha256": hashlib.sha256(page).hexdigest(), "size_bytes": len(page)}

    with pytest.raises(Refused, match="damaged or no archive"):
        driver_lab.hosts[0].run("container.image_ensure", image="page/page:1", archive=archive)


def test_a_container_that_ends_at_once_is_not_healthy(driver_lab: DriverLab) -> None:
    short = TrialContainer(driver_lab, command=["/bin/sh", "-c", "exit 3"], entrypoint=[], restart_policy="no")
    short.create()
    try:
        with pytest.raises(Rejected, match=r"does not stay up: exited \(3\)"):
            driver_lab.hosts[0].run("container.wait_healthy", uuid=short.uuid, timeout_s=5)
    finally:
        short.remove()


def test_more_cores_than_the_machine_has_are_refused(driver_lab: DriverLab) -> None:
    with pytest.raises(Refused, match="CPU cores"):
        TrialContainer(driver_lab, cpu_cores=200).create()


def test_a_privilege_is_refused_at_the_host(driver_lab: DriverLab) -> None:
    for key in ("privileged", "volumes", "devices", "pid_mode", "cap_add"):
        with pytest.raises(Invalid, match=key):
            driver_lab.hosts[0].run("container.create", spec=TrialContainer(driver_lab, **{key: True}).spec)


def test_an_engine_is_observed_counted_and_watched(driver_lab: DriverLab, container: TrialContainer) -> None:
    host = engine(driver_lab, 0)
    changes: queue.Queue[str] = queue.Queue()
    watch = host.watch(changes.put)
    try:
        (seen,) = [w for w in host.list_containers() if w.uuid == container.uuid]
        (used,) = [c for c in host.container_counters() if c.uuid == container.uuid]
        driver_lab.inside(0, "docker", "rm", "-f", container.spec["name"])

        assert changes.get(timeout=5) == container.uuid
    finally:
        watch.close()
    ends_at = time.monotonic() + 5
    while any(thread.name == "docker events" for thread in threading.enumerate()):
        assert time.monotonic() < ends_at, "the watch's thread goes on after its end"
        time.sleep(0.05)
    assert (seen.state, seen.vcpus, seen.memory_mib, seen.labels) == ("running", 0.5, 64, {"pinned": "true"})
    assert (seen.generation, seen.managed, seen.restart_policy) == (1, True, "always")
    assert used.cpu_seconds_total > 0
    assert container.uuid not in [w.uuid for w in host.list_containers()]
    host.close()


COUNT_BOTH_WAYS = """
import json
from dataclasses import asdict
from hosts.drivers.docker_host import DockerHost
from hosts.plane.container_files import ContainerFiles
engine = DockerHost("unix:///run/docker.sock")
by_files, unplaced = ContainerFiles().counters(engine.list_containers())
by_engine = engine.container_counters()
print(json.dumps([[asdict(one) for one in by_files], [asdict(one) for one in by_engine], len(unplaced)]))
"""


def test_a_container_counted_by_its_files_used_what_its_engine_says(
    driver_lab: DriverLab, container: TrialContainer
) -> None:
    counted = json.loads(driver_lab.inside(0, sys.executable, "-c", COUNT_BOTH_WAYS))
    by_files, by_engine = ({one["uuid"]: one for one in way}[container.uuid] for way in counted[:2])

    assert counted[2] == 0
    assert by_files["cpu_seconds_total"] == pytest.approx(by_engine["cpu_seconds_total"], rel=0.5)
    assert by_files["memory_used_mib"] == pytest.approx(by_engine["memory_used_mib"], abs=4)
    assert by_files["network_received_bytes_total"] <= by_engine["network_received_bytes_total"]
    assert by_files["network_received_bytes_total"] > 0
    assert by_files["processes"] > 0 and by_engine["processes"] > 0
    assert (by_files["cpu_allotted_cores"], by_files["memory_allotted_mib"]) == (0.5, 64)


def test_a_container_is_well_when_its_health_check_says_so_and_moves_with_it(driver_lab: DriverLab) -> None:
    health = {"test": ["CMD-SHELL", "test -w /tmp || test -d /proc"], "interval_s": 1}
    made = TrialContainer(driver_lab, health=health, is_read_only=True, user="1000:1000").create()
    try:
        source = driver_lab.hosts[0]
        assert "health check passes" in source.run("container.wait_healthy", uuid=made.uuid)["sentence"]
        found = made.inspect()
        assert found["HostConfig"]["ReadonlyRootfs"] and found["Config"]["User"] == "1000:1000"
        spec = source.run("container.describe", uuid=made.uuid)["spec"]
        assert (spec["health"]["test"], spec["health"]["interval_s"]) == (health["test"], 1.0)
        assert (spec["is_read_only"], spec["user"]) == (True, "1000:1000")
    finally:
        made.remove()


def test_a_container_whose_health_check_says_no_is_not_well(driver_lab: DriverLab) -> None:
    made = TrialContainer(driver_lab, health={"test": ["CMD-SHELL", "false"], "interval_s": 1, "retries": 1}).create()
    try:
        with pytest.raises(StowageError, match="not healthy"):
            driver_lab.hosts[0].run("container.wait_healthy", uuid=made.uuid, timeout_s=6)
    finally:
        made.remove()
