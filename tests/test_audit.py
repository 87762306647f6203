"""Every change over the API leaves a record: who, what, when, on what, and by which operation where there is one."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from datacenter.models import Autopilot, MaintenanceRun, Plan, PlanAction, Recovery, Silence
from datacenter.services.maintaining import maintenance_drain
from datacenter.services.planning import plan_make
from datacenter.services.plans import plan_approve, plan_request
from hosts.credentials import password_encrypt
from hosts.models import AuditRecord, Host, HostJob, Operation, Pool
from tests.actors import client_of
from tests.datacenter.alerts.world import a_channel, a_rule, an_alert
from tests.datacenter.services.test_plans import a_proposal, a_sprawled_site
from tests.datacenter.world import a_site, a_user
from tests.factories import (
    LOCAL_POOL,
    backup_make,
    container_make,
    host_make,
    image_make,
    pool_file_make,
    pool_mount_make,
    rack_make,
    vm_make,
)
from tests.test_permissions import ROUTES
from workloads.models import (
    Console,
    ConsoleLog,
    Flavour,
    HostImage,
    ImageArrival,
    Registry,
    Schedule,
    Snapshot,
    Template,
)
from workloads.services.console_logs import log_path

pytestmark = pytest.mark.django_db
UPLOAD = {"name": "web", "format": "vmdk", "size_bytes": 3}
SMALL: dict[str, Any] = {"name": "small", "cpu_cores": 1, "memory_mib": 64, "disk_gib": 1}
Change = Callable[[], tuple[str, Any]]


def on_host(verb: str, body: Any = None, **values: Any) -> Change:
    """A call on a host that has these values."""
    return lambda: (f"/api/hosts/{host_make(**values).pk}{verb}", body)


def on_vm(verb: str, body: Any = None, **values: Any) -> Change:
    return lambda: (f"/api/workloads/{vm_make(host_make(), **values).pk}{verb}", body)


def on_operation(verb: str, state: str) -> Change:
    def make() -> tuple[str, Any]:
        vm = vm_make(host_make())
        subject = {"subject_kind": "vm", "subject_id": str(vm.pk), "subject_name": vm.name}
        operation = Operation.objects.create(kind="start_workload", state=state, **subject)
        return f"/api/operations/{operation.pk}{verb}", None

    return make


def on_plan(verb: str, *, running: bool = False) -> Change:
    def make() -> tuple[str, Any]:
        a_sprawled_site()
        plan = a_proposal()
        if running:
            plan_approve(a_user(), plan)
        return f"/api/plans/{plan.pk}{verb}", None

    return make


def paused_plan() -> tuple[str, Any]:
    path, body = on_plan("/resume", running=True)()
    Plan.objects.update(paused_at=timezone.now())
    return path, body


def done_plan() -> tuple[str, Any]:
    path, body = on_plan("/undo", running=True)()
    PlanAction.objects.update(state="done")
    Plan.objects.update(state="done", finished_at=timezone.now())
    return path, body


def plan_from_text() -> tuple[str, Any]:
    hosts = a_sprawled_site()
    name = next(iter(hosts["alpha"].workloads.values_list("name", flat=True)))
    return "/api/plans/import", {"site": "berlin", "moves": [{"name": name, "to": "beta"}]}


def enrolment() -> tuple[str, Any]:
    return "/api/hosts", {"name": "web-07", "rack_id": rack_make().pk, "management_address": "10.0.0.7"}


def new_vm() -> tuple[str, Any]:
    host = host_make()
    return "/api/workloads/vms", {"name": "web-9", "image": str(image_make().pk), "disk_gib": 1, "host": str(host.pk)}


def new_container() -> tuple[str, Any]:
    host = host_make()
    return "/api/workloads/containers", {"name": "cache-9", "image": "redis:7", "host": str(host.pk)}


def move() -> tuple[str, Any]:
    container, target = container_make(host_make()), host_make()
    return f"/api/workloads/{container.pk}/move", {"target": str(target.pk)}


def on_disk() -> tuple[str, Any]:
    vm = vm_make(host_make())
    return f"/api/workloads/{vm.pk}/grow-disk", {"target": "vda", "size_gib": 2}


def an_iso() -> tuple[str, Any]:
    return f"/api/workloads/{vm_make(host_make(), has_cdrom=True).pk}/cdrom", {
        "image": str(image_make(format="iso").pk)
    }


def with_iso() -> tuple[str, Any]:
    return f"/api/workloads/{vm_make(host_make(), has_cdrom=True, cdrom_path='/x.iso').pk}/cdrom", None


def on_disk_off(verb: str, body: Any) -> Change:
    def change() -> tuple[str, Any]:
        host = host_make()
        pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
        return f"/api/workloads/{vm_make(host, state='stopped', desired='stopped').pk}{verb}", body

    return change


def an_upload(content: bytes = b"") -> ImageArrival:
    arrival = ImageArrival.objects.create(name="web", format="vmdk", size_bytes=3, owner_name="somebody")
    host_make()
    arrival.path.parent.mkdir(parents=True, exist_ok=True)
    arrival.path.write_bytes(content)
    return arrival


def measure() -> tuple[str, Any]:
    host = host_make()
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return "/api/measurements", {"host": str(host.pk), "image": str(image_make().pk), "container_image": "redis:7"}


def a_template() -> Template:
    wish = {"image": "redis:7", "cpu_cores": 1, "memory_mib": 64}
    return Template.objects.create(name="box", version=1, kind="container", wish=wish)


def new_template() -> tuple[str, Any]:
    host_make()
    return "/api/templates", {"name": "box", "container": {"name": "x", "image": "redis:7"}}


def use_template() -> tuple[str, Any]:
    host_make()
    return f"/api/templates/{a_template().pk}/use", {"name": "box-1"}


def second_disk() -> tuple[str, Any]:
    vm = vm_make(host_make())
    vm.disks.append(vm.disks[0] | {"target": "vdb", "path": f"{LOCAL_POOL}/{vm.pk}-vdb-1.qcow2"})
    vm.save()
    return f"/api/workloads/{vm.pk}/disks/vdb", None


def on_nic(verb: str, body: Any) -> Change:
    def change() -> tuple[str, Any]:
        host = host_make(links=[{"name": "stw0", "kind": "bridge"}])
        nics = [{"bridge": "stw0", "mac": "52:54:00:00:00:09"}]
        return f"/api/workloads/{vm_make(host, nics=nics).pk}{verb}", body

    return change


def on_snapshot(verb: str) -> Change:
    def change() -> tuple[str, Any]:
        vm = vm_make(host_make())
        row = Snapshot.objects.create(vm=vm, name="before", taken_at=timezone.now())
        return f"/api/workloads/{vm.pk}/snapshots/{row.pk}{verb}", None

    return change


def on_backup(verb: str, body: Any = None) -> Change:
    return lambda: (f"/api/backups/{backup_make(vm_make(host_make())).pk}{verb}", body)


def in_bulk() -> tuple[str, Any]:
    return "/api/workloads/bulk", {"verb": "stop", "workloads": [str(vm_make(host_make()).pk)]}


def new_schedule() -> tuple[str, Any]:
    wish = {"name": "evening", "verb": "stop", "workload": str(vm_make(host_make()).pk), "cron": "0 20 * * *"}
    return "/api/schedules", wish


def a_schedule() -> Schedule:
    vm = vm_make(host_make())
    return Schedule.objects.create(name="evening", verb="stop", workload=vm, cron="0 20 * * *")


def seeded() -> tuple[str, Any]:
    vm = vm_make(host_make(), has_seed=True)
    vm.disks.append({"target": "vdb", "path": f"/var/lib/libvirt/images/{vm.pk}-seed.img", "format": "raw"})
    vm.save()
    return f"/api/workloads/{vm.pk}/wipe-first-boot", None


def new_image() -> tuple[str, Any]:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    file = SimpleUploadedFile("a.tar", archive.getvalue())
    return "/api/images", {"name": "a", "format": "engine-tar", "reference": "a:1", "file": file}


def a_registry() -> Registry:
    password = password_encrypt("not-a-secret-3")
    return Registry.objects.create(address="registry.example", username="puller", password_encrypted=password)


def pull() -> tuple[str, Any]:
    return "/api/container-images/pull", {"host": str(host_make().pk), "image": "redis:7"}


def image_on_host() -> tuple[str, Any]:
    image = HostImage.objects.create(host=host_make(), engine_id="sha256:1", names=["redis:7"])
    return f"/api/container-images/{image.pk}", None


def a_job() -> tuple[str, Any]:
    return f"/api/hosts/{host_make().pk}/job", {"kind": "qa"}


def a_job_given() -> tuple[str, Any]:
    host = host_make()
    HostJob.objects.create(host=host, kind="spare", given_by_name="somebody")
    return f"/api/hosts/{host.pk}/job", None


def a_dark_host() -> tuple[str, Any]:
    host = host_make("retiring", power="off", desired_power="off")
    return f"/api/hosts/{host.pk}/decommission", {"name": "retiring", "is_wiped": True}


def left_file() -> tuple[str, Any]:
    return f"/api/storage/files/{pool_file_make().pk}", None


def autopilot_settings() -> tuple[str, Any]:
    return f"/api/autopilot/{a_site().pk}", {"packing": "recommend"}


def autopilot_on() -> tuple[str, Any]:
    Autopilot.objects.create(site=a_site(), packing="automatic")
    return "/api/autopilot/stop", None


def new_plan() -> tuple[str, Any]:
    a_sprawled_site()
    return "/api/plans", {"site": a_site().pk}


def ask_fit() -> tuple[str, Any]:
    return f"/api/questions/fit/{vm_make(host_make()).pk}", None


def ask_of_site(path: str) -> Change:
    return lambda: (f"/api/questions/{path}?site={host_make().rack.site_id}", None)


def ask_what_if() -> tuple[str, Any]:
    host = host_make()
    return "/api/questions/what-if", {"site": host.rack.site_id, "add_hosts": 1, "like_host": str(host.pk)}


def plan_in_the_making() -> tuple[str, Any]:
    a_sprawled_site()
    return f"/api/plans/{plan_request(a_user(), a_site()).pk}/settle", None


def a_console(**values: Any) -> Console:
    vm, now = vm_make(host_make()), timezone.now()
    given = {"kind": "serial", "thing_id": vm.pk, "thing_name": vm.name, "issued_at": now, "used_at": now}
    return Console.objects.create(user=a_user(), secret_sha256=vm.pk.hex, **(given | {"seen_at": now} | values))


def ticket() -> tuple[str, Any]:
    return "/api/consoles/tickets", {"kind": "serial", "thing": str(vm_make(host_make()).pk)}


def written_down() -> tuple[str, Any]:
    row = ConsoleLog.objects.create(thing_id=vm_make(host_make()).pk, thing_name="web-1", user_name="somebody")
    log_path(row.pk).parent.mkdir(parents=True, exist_ok=True)
    log_path(row.pk).write_bytes(b"login:")
    return f"/api/consoles/logs/{row.pk}", None


def on_alert(verb: str, body: Any = None) -> Change:
    return lambda: (f"/api/alerts/{an_alert(host_make()).pk}{verb}", body)


def on_rule(body: Any = None) -> Change:
    return lambda: (f"/api/alert-rules/{a_rule('host_lost').pk}", body)


def on_channel(verb: str, body: Any = None) -> Change:
    return lambda: (f"/api/channels/{a_channel().pk}{verb}", body)


def on_recovery(verb: str, state: str, body: Any = None) -> Change:
    def change() -> tuple[str, Any]:
        host = host_make("lost-1", last_seen_at=timezone.now() - timedelta(minutes=5))
        row = Recovery.objects.create(host=host, lost_since=host.last_seen_at, state=state)
        return f"/api/recoveries/{row.pk}{verb}", body

    return change


def on_maintenance(verb: str, state: str, body: Any = None) -> Change:
    """A run over two hosts, of which the first is in maintenance."""

    def change() -> tuple[str, Any]:
        host = host_make("worked-on", last_seen_at=timezone.now())
        run = MaintenanceRun.objects.create(site=host.rack.site, about="a rack", state=state, user_name="ops")
        run.members.create(number=1, host=host, host_name=host.name, state="work")
        return f"/api/maintenance/{run.pk}{verb}", body

    return change


def new_maintenance() -> tuple[str, Any]:
    return "/api/maintenance", {"host": str(a_sprawled_site()["alpha"].pk)}


def begun_maintenance() -> tuple[str, Any]:
    run = maintenance_drain(a_user(), a_sprawled_site()["alpha"])
    plan_make(run.members.get().plan, {})
    return f"/api/maintenance/{run.pk}/begin", {}


def end_of_silence() -> tuple[str, Any]:
    silence = Silence.objects.create(reason="x", by_name="ops", until=timezone.now() + timedelta(hours=1))
    return f"/api/silences/{silence.pk}/end", None


NEW_REGISTRY = {"address": "10.0.0.5:5000", "username": "puller", "password": "not-a-secret-4"}
NEW_RULE = {"name": "busy", "kind": "metric", "metric": "stowage_host_load_1m", "threshold": 9}
NEW_CHANNEL = {"name": "chat", "kind": "slack", "address": {"url": "http://10.0.0.9/hooks/x"}}

UUID, NUMBER = "{uuidstr:uuid}", "{int:number}"
CHANGES: dict[str, Change] = {
    "POST /api/hosts": enrolment,
    f"PATCH /api/hosts/{UUID}": on_host("", {"idle_watts": 1}),
    f"DELETE /api/hosts/{UUID}": on_host(""),
    f"POST /api/hosts/{UUID}/retry": on_host("/retry", {}, lifecycle=Host.Lifecycle.FAILED),
    f"PUT /api/hosts/{UUID}/bmc": on_host("/bmc", {"url": "http://10.0.0.9", "password": "new"}),
    f"POST /api/hosts/{UUID}/power-on": on_host("/power-on", power="off", desired_power="off"),
    f"POST /api/hosts/{UUID}/power-off": on_host("/power-off"),
    f"POST /api/hosts/{UUID}/wake-drill": on_host("/wake-drill", {}),
    f"POST /api/hosts/{UUID}/lift-quarantine": on_host(
        "/lift-quarantine", {"reason": "new"}, quarantined_at=timezone.now()
    ),
    f"POST /api/hosts/{UUID}/maintenance": on_host("/maintenance"),
    f"POST /api/operations/{UUID}/cancel": on_operation("/cancel", "running"),
    f"POST /api/operations/{UUID}/retry": on_operation("/retry", "stuck"),
    f"POST /api/operations/{UUID}/close": on_operation("/close", "stuck"),
    "POST /api/workloads/bulk": in_bulk,
    "POST /api/workloads/vms": new_vm,
    "POST /api/workloads/containers": new_container,
    f"POST /api/workloads/{UUID}/start": on_vm("/start", state="stopped"),
    f"POST /api/workloads/{UUID}/stop": on_vm("/stop"),
    f"POST /api/workloads/{UUID}/restart": on_vm("/restart"),
    f"POST /api/workloads/{UUID}/pause": on_vm("/pause"),
    f"POST /api/workloads/{UUID}/resume": on_vm("/resume", state="paused"),
    f"POST /api/workloads/{UUID}/reset": on_vm("/reset"),
    f"POST /api/workloads/{UUID}/save": on_vm("/save"),
    f"POST /api/workloads/{UUID}/wipe-first-boot": seeded,
    f"POST /api/workloads/{UUID}/resize": on_vm("/resize", {"cpu_cores": 2, "memory_mib": 512}),
    f"POST /api/workloads/{UUID}/rename": on_vm("/rename", {"name": "other"}, state="stopped"),
    f"POST /api/workloads/{UUID}/recreate": lambda: (
        f"/api/workloads/{container_make(host_make()).pk}/recreate",
        {"image": "redis:8"},
    ),
    f"POST /api/workloads/{UUID}/grow-disk": on_disk,
    f"POST /api/workloads/{UUID}/disks": on_disk_off("/disks", {"size_gib": 1}),
    f"DELETE /api/workloads/{UUID}/disks/{{str:target}}": second_disk,
    f"POST /api/workloads/{UUID}/nics": on_nic("/nics", {"bridge": "stw0"}),
    f"DELETE /api/workloads/{UUID}/nics/{{str:mac}}": on_nic("/nics/52:54:00:00:00:09", None),
    f"PUT /api/workloads/{UUID}/cdrom": an_iso,
    f"DELETE /api/workloads/{UUID}/cdrom": with_iso,
    f"POST /api/workloads/{UUID}/clone": on_disk_off("/clone", {"name": "web-2"}),
    f"POST /api/workloads/{UUID}/save-image": on_disk_off("/save-image", {"name": "web-image"}),
    f"POST /api/workloads/{UUID}/snapshots": on_vm("/snapshots", {"name": "before"}),
    f"POST /api/workloads/{UUID}/snapshots/{NUMBER}/revert": on_snapshot("/revert"),
    f"DELETE /api/workloads/{UUID}/snapshots/{NUMBER}": on_snapshot(""),
    f"POST /api/workloads/{UUID}/backups": on_vm("/backups", {"kind": "full"}),
    f"POST /api/backups/{UUID}/verify": on_backup("/verify"),
    f"POST /api/backups/{UUID}/restore": on_backup("/restore", {"name": "web-back"}),
    f"DELETE /api/backups/{UUID}": on_backup(""),
    f"POST /api/backups/folders/{UUID}/find": lambda: (f"/api/backups/folders/{host_make().pk}/find", None),
    f"PUT /api/backups/folders/{UUID}": lambda: (f"/api/backups/folders/{host_make().pk}", {"path": "/srv/backups"}),
    f"POST /api/workloads/{UUID}/move": move,
    f"POST /api/workloads/{UUID}/pin": on_vm("/pin", {"on": True, "reason": "licence"}),
    f"POST /api/workloads/{UUID}/keep-apart": on_vm("/keep-apart", {"group": "shop"}),
    f"POST /api/workloads/{UUID}/expiry": on_vm("/expiry", {"at": "2030-12-01T06:30:00+01:00", "then": "delete"}),
    f"DELETE /api/workloads/{UUID}": on_vm("", state="stopped"),
    "POST /api/measurements": measure,
    "POST /api/templates": new_template,
    f"POST /api/templates/{UUID}/use": use_template,
    f"DELETE /api/templates/{UUID}": lambda: (f"/api/templates/{a_template().pk}", None),
    "POST /api/flavours": lambda: ("/api/flavours", SMALL),
    f"DELETE /api/flavours/{UUID}": lambda: (f"/api/flavours/{Flavour.objects.create(**SMALL).pk}", None),
    "POST /api/schedules": new_schedule,
    f"POST /api/schedules/{UUID}/enable": lambda: (f"/api/schedules/{a_schedule().pk}/enable", {"on": False}),
    f"DELETE /api/schedules/{UUID}": lambda: (f"/api/schedules/{a_schedule().pk}", None),
    "POST /api/consoles/tickets": ticket,
    f"POST /api/consoles/{UUID}/end": lambda: (f"/api/consoles/{a_console().pk}/end", None),
    f"DELETE /api/consoles/logs/{UUID}": written_down,
    "POST /api/images": new_image,
    "POST /api/images/fetch": lambda: (
        "/api/images/fetch",
        {"name": "web", "url": "https://example.org/a.qcow2", "host": str(host_make().pk)},
    ),
    "POST /api/image-uploads": lambda: ("/api/image-uploads", UPLOAD),
    f"POST /api/image-uploads/{UUID}/finish": lambda: (f"/api/image-uploads/{an_upload(b'abc').pk}/finish", {}),
    f"DELETE /api/image-uploads/{UUID}": lambda: (f"/api/image-uploads/{an_upload().pk}", None),
    f"DELETE /api/images/{UUID}": lambda: (f"/api/images/{image_make().pk}", None),
    "PUT /api/autopilot/{int:site_id}": autopilot_settings,
    "POST /api/autopilot/stop": autopilot_on,
    f"PUT /api/hosts/{UUID}/job": a_job,
    f"DELETE /api/hosts/{UUID}/job": a_job_given,
    f"POST /api/hosts/{UUID}/decommission": a_dark_host,
    "POST /api/container-images/pull": pull,
    f"DELETE /api/container-images/{UUID}": image_on_host,
    f"DELETE /api/storage/files/{UUID}": left_file,
    "POST /api/registries": lambda: ("/api/registries", NEW_REGISTRY),
    f"PUT /api/registries/{UUID}": lambda: (f"/api/registries/{a_registry().pk}", NEW_REGISTRY),
    f"DELETE /api/registries/{UUID}": lambda: (f"/api/registries/{a_registry().pk}", None),
    "POST /api/plans": new_plan,
    "POST /api/plans/import": plan_from_text,
    f"POST /api/plans/{UUID}/approve": on_plan("/approve"),
    f"POST /api/plans/{UUID}/reject": on_plan("/reject"),
    f"POST /api/plans/{UUID}/settle": plan_in_the_making,
    f"POST /api/plans/{UUID}/stop": on_plan("/stop", running=True),
    f"POST /api/plans/{UUID}/pause": on_plan("/pause", running=True),
    f"POST /api/plans/{UUID}/resume": paused_plan,
    f"POST /api/plans/{UUID}/undo": done_plan,
    f"POST /api/questions/fit/{UUID}": ask_fit,
    "POST /api/questions/backtest": ask_of_site("backtest"),
    "POST /api/questions/lose": ask_of_site("lose"),
    "POST /api/questions/retire": ask_of_site("retire"),
    "POST /api/questions/sizes": ask_of_site("sizes"),
    "POST /api/questions/what-if": ask_what_if,
    "POST /api/maintenance": new_maintenance,
    f"POST /api/maintenance/{UUID}/begin": begun_maintenance,
    f"POST /api/maintenance/{UUID}/pause": on_maintenance("/pause", "running"),
    f"POST /api/maintenance/{UUID}/resume": on_maintenance("/resume", "paused"),
    f"POST /api/maintenance/{UUID}/stop": on_maintenance("/stop", "running"),
    f"POST /api/maintenance/{UUID}/work-done": on_maintenance("/work-done", "running", {"number": 1}),
    f"POST /api/recoveries/{UUID}/begin": on_recovery("/begin", "asked"),
    f"POST /api/recoveries/{UUID}/declare-dead": on_recovery("/declare-dead", "stopped", {"name": "lost-1"}),
    f"POST /api/alerts/{UUID}/acknowledge": on_alert("/acknowledge"),
    f"POST /api/alerts/{UUID}/silence": on_alert("/silence", {"hours": 8, "reason": "new disk"}),
    "POST /api/alert-rules": lambda: ("/api/alert-rules", NEW_RULE),
    f"PATCH /api/alert-rules/{UUID}": on_rule({"is_enabled": False}),
    f"DELETE /api/alert-rules/{UUID}": on_rule(),
    "POST /api/silences": lambda: ("/api/silences", {"hours": 1, "reason": "new switch"}),
    f"POST /api/silences/{UUID}/end": end_of_silence,
    "POST /api/channels": lambda: ("/api/channels", NEW_CHANNEL),
    f"PATCH /api/channels/{UUID}": on_channel("", {"is_enabled": False}),
    f"DELETE /api/channels/{UUID}": on_channel(""),
    f"POST /api/channels/{UUID}/test": on_channel("/test"),
}


# a piece of an upload, whose beginning and end are told
UNTOLD = {f"PUT /api/image-uploads/{UUID}/pieces/{{int:offset}}"}


def test_every_change_that_the_api_offers_is_tried_here():
    assert set(CHANGES) | UNTOLD == {str(route) for route in ROUTES if route.method != "GET"}


@pytest.mark.parametrize("route", CHANGES)
def test_a_change_over_the_api_tells_who_what_and_by_which_operation(route: str):
    address, body = CHANGES[route]()
    client = client_of("administrator")
    known = set(AuditRecord.objects.values_list("pk", flat=True)), set(Operation.objects.values_list("pk", flat=True))

    method = getattr(client, route.split()[0].lower())
    is_form = isinstance(body, dict) and "file" in body
    response = method(address, body) if is_form else method(address, body, content_type="application/json")

    assert response.status_code < 300, response.content
    records = AuditRecord.objects.exclude(pk__in=known[0])
    assert records
    assert all(record.user_name.startswith("administrator") and record.verb for record in records)
    assert all(record.thing_kind and record.thing_id and record.thing_name for record in records)
    begun = set(Operation.objects.exclude(pk__in=known[1]).values_list("pk", flat=True))
    assert begun <= {record.operation_id for record in records}
