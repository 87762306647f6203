"""What lies in pools: told by hosts, shown with its owner, and removed only where nobody owns it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.errors import Forbidden, Refused
from hosts.models import Host, Operation, Pool, PoolFile, PoolMount
from hosts.plane.pool_files import pool_files_read
from hosts.plane.pools import Pool as ReadPool
from hosts.pool_inventory import pool_files_observe
from tests.actors import client_of
from tests.factories import LEFT_FILE, SHARED_POOL, host_make, pool_file_make, pool_mount_make, user_make, vm_make
from workloads import services
from workloads.models import VirtualMachine
from workloads.storage import file_line, pools_viewed

pytestmark = pytest.mark.django_db


def told(pool: Pool, name: str, **values: Any) -> dict[str, Any]:
    row = {"pool_id": pool.pool_id, "name": name, "size_bytes": 10, "used_bytes": 5, "changed_at": time.time()}
    return row | values


def vm_with_disk(host: Host, mount: PoolMount, name: str = "mail") -> tuple[VirtualMachine, str]:
    vm = vm_make(host, name)
    file = f"{vm.pk}-vda.qcow2"
    vm.disks = [{"target": "vda", "path": f"{mount.path}/{file}", "size_gib": 4, "format": "qcow2"}]
    vm.save()
    return vm, file


def test_plain_files_of_a_pool_are_told_and_nothing_else(tmp_path: Path):
    (tmp_path / "disk.qcow2").write_bytes(b"x" * 5000)
    (tmp_path / ".stowage-pool").write_text("marker")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")

    found = pool_files_read([ReadPool("local", str(tmp_path), "p1", 1, 1), ReadPool("gone", "/nowhere", "p2", 1, 1)])

    assert [(file.pool_id, file.name, file.size_bytes) for file in found] == [("p1", "disk.qcow2", 5000)]
    assert found[0].used_bytes >= 5000


def test_a_host_tells_only_of_pools_that_it_mounts():
    mine, other = host_make().pool_mounts.get(), host_make().pool_mounts.get()

    pool_files_observe(mine.host, [told(mine.pool, "a.qcow2"), told(other.pool, "b.qcow2"), "nonsense", {"name": 4}])

    assert list(PoolFile.objects.values_list("pool", "name")) == [(mine.pool_id, "a.qcow2")]


@pytest.mark.parametrize("wrong", [None, float("nan"), -5, "many", 1e300, True, [1]])
def test_what_a_host_tells_of_a_file_is_cut_to_size(wrong: Any):
    mount = host_make().pool_mounts.get()

    pool_files_observe(mount.host, [told(mount.pool, "a", size_bytes=wrong, used_bytes=wrong, changed_at=wrong)])

    file = PoolFile.objects.get()
    assert 0 <= file.size_bytes < 2**63 and file.changed_at.year <= 2096


def test_files_that_are_gone_go_and_unchanged_ones_write_nothing():
    mount = host_make().pool_mounts.get()
    pool_files_observe(mount.host, [told(mount.pool, "a"), told(mount.pool, "b")])

    with CaptureQueriesContext(
        connection,
    ) as asked:
        pool_files_observe(mount.host, [told(mount.pool, "a"), told(mount.pool, "b", used_bytes=900)])
    assert not [row for row in asked.captured_queries if not row["sql"].startswith("SELECT")]

    pool_files_observe(mount.host, [told(mount.pool, "b", used_bytes=5 * 1024**2)])
    assert list(PoolFile.objects.values_list("name", "used_bytes")) == [("b", 5 * 1024**2)]


def test_each_file_is_shown_with_its_owner():
    host = host_make("alpha")
    mount = host.pool_mounts.get()
    _, disk = vm_with_disk(host, mount)
    gone = "22222222-2222-2222-2222-222222222222-vda.qcow2"
    for name in (disk, LEFT_FILE, gone, "by-hand.iso"):
        pool_file_make(mount, name)

    (view,) = pools_viewed()

    what = {line.file.name: (line.what, line.owner and line.owner.name, line.why_not is None) for line in view.lines}
    assert what == {
        disk: ("disk", "mail", False),
        LEFT_FILE: ("set aside", None, True),
        gone: ("left over", None, True),
        "by-hand.iso": ("other", None, False),
    }
    assert view.promised_gib == 4 and view.unowned_bytes == 2048 and not view.is_shared


def test_a_shared_pool_is_one_pool_and_a_disk_there_is_owned_whoever_runs_it():
    alpha, beta = host_make("alpha"), host_make("beta")
    first = pool_mount_make(alpha, path=SHARED_POOL)
    pool_mount_make(beta, first.pool, SHARED_POOL)
    vm, disk = vm_with_disk(beta, first)
    file = pool_file_make(first, disk)

    view = pools_viewed()[0]

    assert view.is_shared and [mount.host.name for mount in view.mounts] == ["alpha", "beta"]
    assert view.lines[0].owner is not None and view.lines[0].owner.pk == vm.pk
    with pytest.raises(Refused, match="It is a disk of mail"):
        services.pool_file_remove(user_make(), file)


def test_a_file_with_the_number_of_a_vm_that_is_here_is_kept():
    host = host_make()
    mount = host.pool_mounts.get()
    vm = vm_make(host, "mail", disks=[])

    with pytest.raises(Refused, match="made for mail, which is still here"):
        services.pool_file_remove(user_make(), pool_file_make(mount, f"{vm.pk}-vdb.qcow2"))


def test_nothing_is_removed_while_a_host_that_reads_the_pool_is_silent():
    alpha, beta = host_make("alpha"), host_make("beta", last_seen_at=timezone.now() - timedelta(hours=1))
    first = pool_mount_make(alpha, path=SHARED_POOL)
    pool_mount_make(beta, first.pool, SHARED_POOL)
    file = pool_file_make(first)

    assert file_line(file).why_not == "beta reads this pool too and does not answer. Wait until it does."
    Host.objects.filter(pk=beta.pk).update(power="off")
    assert file_line(file).why_not is None
    Host.objects.filter(pk=alpha.pk).update(power="off")
    assert file_line(file).why_not == "No host that reads this pool is on. Power one on first."


def test_a_viewer_looks_and_removes_nothing():
    file = pool_file_make()
    with pytest.raises(Forbidden):
        services.pool_file_remove(user_make("viewer"), file)
    page = client_of("viewer").get("/storage/").content.decode()
    assert LEFT_FILE in page and "Your role only allows looking" in page


def test_the_page_asks_no_more_statements_for_more_files():
    client = client_of("operator")

    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/storage/").status_code == 200
        return len(asked)

    for _ in range(2):
        pool_file_make()
    few = statements()
    mount = PoolMount.objects.first()
    assert mount is not None
    for number in range(30):
        pool_file_make(mount, f"file-{number}")
    assert statements() == few


def test_a_double_click_removes_once():
    file = pool_file_make()
    user = user_make()
    first = services.pool_file_remove(user, file, idempotency_key="once")
    assert services.pool_file_remove(user, file, idempotency_key="once").pk == first.pk
    assert Operation.objects.count() == 1
