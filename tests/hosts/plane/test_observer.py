from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hosts.drivers.base import ObservedDisk, ObservedImage, ObservedWorkload
from hosts.errors import Unreachable
from hosts.plane.config import PlaneConfig, PoolPlace
from hosts.plane.half import HalfReading, HalfState
from hosts.plane.observer import Observer
from hosts.plane.pools import MARKER, pool_identity, pools_read
from hosts.plane.state_file import StateFile

LINK = {"name": "eth0", "kind": "ethernet", "carrier": True}


@pytest.fixture
def config(tmp_path: Path) -> PlaneConfig:
    (tmp_path / "pool").mkdir()
    pools = (PoolPlace("local", str(tmp_path / "pool")), PoolPlace("gone", "/nowhere/at/all"))
    return PlaneConfig(name="alpha", state_dir=str(tmp_path / "state"), pools=pools)


def observer(config: PlaneConfig, links: Any = lambda: [LINK]) -> Observer:
    state = StateFile(Path(config.state_dir) / "state.sqlite3", durable=False)
    return Observer(config, state, links, lambda: 1700.0)


def vm_with_disk(path: str) -> HalfState:
    disk = ObservedDisk("vda", path, "qcow2", 1.0)
    vm = ObservedWorkload("vm", "vm-1", "web", "running", "running", 1.0, 128, disks=(disk,))
    return HalfState(True, "", HalfReading([vm], [], 0.0, 1))


NOTHING = HalfState(True, "", HalfReading())
AWAY = HalfState(False, "The container engine cannot be reached.", HalfReading())


def test_an_observation_has_the_contracts_fields(config: PlaneConfig) -> None:
    observation = observer(config).observe(NOTHING, AWAY)

    assert set(observation) == {
        "host",
        "at",
        "sequence",
        "boot_id",
        "machine_id",
        "hypervisor",
        "engine",
        "read_at",
        "workloads",
        "links",
        "pools",
        "can_shut_down",
        "consoles",
        "files",
    }
    assert observation["engine"] == {"ok": False, "sentence": "The container engine cannot be reached."}
    assert observation["links"] == [LINK]


def test_a_disk_is_placed_in_the_pool_whose_folder_it_lies_in(config: PlaneConfig) -> None:
    inside = observer(config).observe(vm_with_disk(f"{config.pools[0].path}/web.qcow2"), NOTHING)
    beside = observer(config).observe(vm_with_disk(f"{config.pools[0].path}-other/web.qcow2"), NOTHING)

    pool_id = pool_identity(config.pools[0].path)
    assert inside["workloads"][0]["disks"][0]["pool"] == "local"
    assert inside["workloads"][0]["disks"][0]["shared_pool_id"] == pool_id
    assert beside["workloads"][0]["disks"][0]["pool"] is None


def test_the_sequence_goes_on_after_a_restart(config: PlaneConfig) -> None:
    first = observer(config).observe(NOTHING, NOTHING)["sequence"]
    after = observer(config).observe(NOTHING, NOTHING)["sequence"]

    assert after == first + 1


def test_links_that_cannot_be_read_for_once_do_not_vanish(config: PlaneConfig) -> None:
    answers: list[Any] = [[LINK], Unreachable("no socket")]

    def links() -> list[dict[str, Any]]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    an_observer = observer(config, links)
    an_observer.observe(NOTHING, NOTHING)

    assert an_observer.observe(NOTHING, NOTHING)["links"] == [LINK]


def test_a_pool_that_is_not_there_is_left_out(config: PlaneConfig) -> None:
    assert [pool.name for pool in pools_read(config)] == ["local"]


def test_hosts_that_mark_a_pool_at_once_read_the_same_identity(tmp_path: Path) -> None:
    identities: list[str] = []
    threads = [threading.Thread(target=lambda: identities.append(pool_identity(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(identities) == 8 and len(set(identities)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


def test_images_go_with_a_message_when_they_changed_or_a_minute_has_passed(config: PlaneConfig) -> None:
    now = [1700.0]
    state = StateFile(Path(config.state_dir) / "state.sqlite3", durable=False)
    watching = Observer(config, state, list, lambda: now[0])

    def engine(*names: str) -> HalfState:
        return HalfState(True, "", HalfReading(images=(ObservedImage("sha256:1", names, 5, ("web",)),)))

    told = [watching.observe(NOTHING, engine("a:1")), watching.observe(NOTHING, engine("a:1"))]
    told += [watching.observe(NOTHING, engine("a:1", "a:2")), watching.observe(NOTHING, AWAY)]
    now[0] += 60
    told.append(watching.observe(NOTHING, engine("a:1", "a:2")))

    assert ["images" in one for one in told] == [True, False, True, False, True]
    assert told[0]["images"][0]["used_by"] == ("web",)


def test_the_files_of_pools_go_with_a_message_when_one_came_or_went_or_a_minute_has_passed(config: PlaneConfig) -> None:
    now = [1000.0]
    state = StateFile(Path(config.state_dir) / "state.sqlite3", durable=False)
    watching = Observer(config, state, list, lambda: now[0])
    folder = Path(config.pools[0].path)

    def told() -> bool:
        return "files" in watching.observe(NOTHING, NOTHING)

    assert [told(), told()] == [True, False]
    (folder / "new.qcow2").write_bytes(b"1")
    assert [told(), told()] == [True, False]
    (folder / "new.qcow2").write_bytes(b"12")  # grown only
    assert not told()
    now[0] += 61
    assert told()
    (folder / "new.qcow2").unlink()
    assert told()
