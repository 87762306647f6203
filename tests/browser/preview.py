"""A plausible data center in a database of its own, served on loopback: to look at pages without a lab.

    python -m tests.browser.preview [--port 8499] [--data DIR]

Log in as admin, operator or viewer; the password is printed. Needs nothing but a Redis, which it starts itself.
Samples move every two seconds, and consoles answer. Nothing here is real, and no test rests on it.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

PASSWORD = "preview-only"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_redis(data: Path) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    return process, f"redis://127.0.0.1:{port}/0"


def start_store(data: Path) -> tuple[subprocess.Popen[bytes] | None, str]:
    """A metrics store, where its package is installed; charts stay empty without one."""
    program = shutil.which("victoria-metrics")
    if program is None:
        return None, "http://127.0.0.1:9"
    port = free_port()
    command = [
        program,
        f"-storageDataPath={data / 'metrics'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-search.latencyOffset=0s",
        "-memory.allowedBytes=64MB",
        "-retentionPeriod=13",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), f"http://127.0.0.1:{port}"


def configure(data: Path, redis_url: str, store_url: str, port: int) -> None:
    from cryptography.fernet import Fernet

    os.environ.update(
        STOWAGE_DATA_DIR=str(data),
        SECRET_KEY="preview",
        CREDENTIALS_KEY=Fernet.generate_key().decode(),
        REDIS_URL=redis_url,
        PLANE_BROKER_URL=redis_url,
        METRICS_URL=store_url,
        METRICS_LONG_URL=store_url,
        STOWAGE_PORT=str(port),
        DATABASE_URL=f"sqlite:///{data / 'preview.sqlite3'}",
        DJANGO_SETTINGS_MODULE="datacenter.settings",
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


LAYOUT: dict[str, list[tuple[str, str, float, int]]] = {
    "node-01": [("vm", "web-1", 1, 512), ("vm", "mail", 1, 768), ("container", "cache", 0.5, 128)],
    "node-02": [("vm", "web-2", 1, 512), ("container", "metrics", 0.5, 256), ("container", "proxy", 0.25, 64)],
    "node-03": [("vm", "licence-server", 1, 512), ("vm", "build", 2, 768), ("container", "queue", 0.5, 128)],
    "node-04": [("vm", "warehouse", 3, 3072), ("container", "report", 0.5, 192), ("container", "mirror", 0.25, 64)],
    "node-05": [("vm", "wiki", 1, 384), ("container", "ci-runner", 1, 256)],
    "node-06": [],
}


def furnish() -> None:
    """Fills the database."""
    from datetime import timedelta

    from django.contrib.auth.models import Group, User
    from django.utils import timezone

    from datacenter.models import Policy, Tariff
    from hosts.audit import audit_write
    from hosts.models import Entry, Host, Operation, Site, Wake
    from tests import factories
    from workloads.models import Sighting, VirtualMachine, Workload

    now = timezone.now()
    users = {}
    for name, role in (("admin", "administrator"), ("operator", "operator"), ("viewer", "viewer")):
        users[name] = User.objects.create_user(name, password=PASSWORD)
        users[name].groups.add(Group.objects.get_or_create(name=role)[0])
    site = Site.objects.create(name="north", description="Machine room 2, Harbour street")
    Policy.objects.create(site=site)
    Tariff.objects.create(site=site)
    racks = [factories.rack_make("north", name) for name in ("A1", "A2")]
    image = factories.image_make(
        "tiny-linux", size_bytes=29 * 2**20, virtual_size_bytes=100 * 2**20, sha256="3f9a" * 16
    )
    factories.image_make(
        "busybox", format="root-tar", reference="busybox:lab", size_bytes=2 * 2**20, virtual_size_bytes=0
    )
    hosts = {}
    for index, name in enumerate(LAYOUT):
        hosts[name] = factories.host_make(
            name,
            rack=racks[index // 3],
            architecture="x86_64",
            cpu_model="EPYC 7313P",
            os_name="Debian GNU/Linux 12",
            kernel="6.1.0-28-amd64",
            hypervisor="QEMU 7.2.15",
            engine="Docker 20.10.24",
            accelerator="kvm" if index % 2 else "tcg",
            accelerator_sentence=""
            if index % 2
            else "KVM is listed, but a probe guest did not boot under it within 40 s.",
            idle_watts=95 + index * 5,
            peak_watts=260,
            links=[
                {
                    "name": "eth0",
                    "kind": "veth",
                    "mac": "02:00:00:00:00:01",
                    "mtu": 1500,
                    "up": True,
                    "carrier": index != 4,
                    "addresses": [f"10.77.0.{11 + index}/24"],
                    "master": None,
                    "made_by_stowage": False,
                },
                {
                    "name": "stw0",
                    "kind": "bridge",
                    "mac": "02:00:00:00:00:02",
                    "mtu": 1500,
                    "up": True,
                    "carrier": True,
                    "addresses": [],
                    "master": None,
                    "made_by_stowage": True,
                },
            ],
            facts={"absent": {"vlan": "The kernel has no 802.1Q module, so VLANs cannot be used here."}, "missing": []},
        )
        for kind, workload, cores, mib in LAYOUT[name]:
            make = factories.vm_make if kind == "vm" else factories.container_make
            extra: dict[str, Any] = {"image": image} if kind == "vm" else {}
            row = make(
                hosts[name],
                workload,
                cpu_cores=cores,
                memory_mib=mib,
                observed_at=now,
                owner=users["operator"],
                **extra,
            )
            Sighting.objects.create(
                workload=row, host=hosts[name], state="running", reason="running (booted)", observed_at=now
            )
    off = hosts["node-06"]
    Host.objects.filter(pk=off.pk).update(power="off", desired_power="off", last_seen_at=now - timedelta(hours=3))
    for number, name in enumerate(("node-06", "node-02", "node-01") * 8):
        Wake.objects.create(
            host=hosts[name],
            origin="drill" if number % 3 else "hand",
            began_at=now - timedelta(days=4 * number + 1),
            seconds=95 + (number * 37) % 60 + 40 * (number % 7 == 0),
            passed=True,
        )
    dark = "The controller accepted, but the power still reads off, not on."
    Wake.objects.create(host=hosts["node-04"], origin="drill", began_at=now, passed=False, why_not=dark)
    Host.objects.filter(name="node-04").update(quarantined_at=now, quarantine_reason=dark)
    Host.objects.filter(name="node-05").update(is_in_maintenance=True)
    Workload.objects.filter(name="licence-server").update(
        is_pinned=True, pin_reason="The licence is bound to this machine."
    )
    Workload.objects.filter(name__in=("web-1", "web-2")).update(anti_affinity_group="web")
    Workload.objects.filter(name="build").update(state="paused", state_reason="paused (user)")
    Workload.objects.filter(name="mirror").update(state="stopped", state_reason="exited (0)")
    kept = list(VirtualMachine.objects.filter(name__in=("web-1", "wiki")).order_by("name"))
    full = factories.backup_make(kept[0], taken_at=now - timedelta(days=2), verified_at=now - timedelta(days=1))
    part = factories.backup_make(kept[0], parent=full, taken_at=now - timedelta(days=1), verified_at=now)
    factories.backup_make(kept[0], parent=part, taken_at=now - timedelta(hours=3))
    moved = "Its host no longer knows what has changed since the last backup. It was moved, restored or renamed."
    factories.backup_make(kept[1], taken_at=now - timedelta(days=3), sentence=moved)
    damaged = "vda.qcow2 is not what was written: its checksum differs."
    factories.backup_make(kept[1], taken_at=now - timedelta(days=9), state="damaged", sentence=damaged)
    lost = factories.host_make("node-07", rack=racks[1], last_seen_at=now - timedelta(minutes=4))
    factories.vm_make(lost, "archive", state="unknown", state_reason="its host does not answer")
    Host.objects.create(
        name="node-08",
        rack=racks[1],
        management_address="10.77.9.8",
        lifecycle="failed",
        lifecycle_reason="This machine is enrolled already, as node-02: both have the machine id 41ce. Use that entry.",
    )
    moving = Workload.objects.get(name="wiki")
    Workload.objects.filter(pk=moving.pk).update(state="migrating")
    outcomes = [
        ("migrate_vm", "running", ""),
        ("create_vm", "done", ""),
        ("stop_workload", "failed", "The VM did not stop within 60 s. Force it off, or look at its console."),
        ("host_power_off", "done", ""),
        ("enrol_host", "stuck", "The bridge stw0 could not be taken away again: node-03 does not answer."),
    ]
    for kind, state, message in outcomes:
        about_host = kind.startswith(("host", "enrol"))
        subject = off if about_host else moving
        operation = Operation.objects.create(
            kind=kind,
            subject_kind="host" if about_host else "vm",
            subject_id=str(subject.pk),
            subject_name=subject.name,
            host=hosts["node-05"],
            target_host=hosts["node-01"] if kind == "migrate_vm" else None,
            state=state,
            message=message,
            requested_by=users["operator"],
            requested_by_name="operator",
            progress_percent=42.0 if state == "running" else None,
            progress_text="Memory is being copied: 161 of 384 MiB" if state == "running" else "",
            finished_at=now if state in ("done", "failed") else None,
        )
        steps = ["check target", "reserve", "prepare disks", "migrate"]
        for number, step in enumerate(steps[: 4 if state == "running" else 3]):
            Entry.objects.create(operation=operation, number=2 * number + 1, kind="started", step=step, data={})
            is_last = number == len(steps) - 1
            if not is_last:
                failed = state in ("failed", "stuck") and number == 2
                Entry.objects.create(
                    operation=operation,
                    number=2 * number + 2,
                    kind="failed" if failed else "done",
                    step=step,
                    data={"error": {"message": message, "kind": "TimedOut"}} if failed else {},
                )
        audit_write(
            users["operator"],
            kind,
            subject.__class__.__name__.lower(),
            subject.pk,
            subject.name,
            operation_id=operation.pk,
        )
    plan_it(site, users["operator"])
    raise_alerts(lost, hosts["node-03"])


def raise_alerts(lost: Any, busy: Any) -> None:
    """Alerts in each state, with somebody who was told."""
    from datetime import timedelta

    from django.utils import timezone

    from datacenter.models import Alert, AlertNotice, AlertRule, NotificationChannel, Silence
    from hosts.credentials import password_encrypt
    from workloads.models import Workload

    now = timezone.now()
    channels = [
        NotificationChannel.objects.create(
            name=name,
            kind=kind,
            shown=shown,
            address_encrypted=password_encrypt(address),
            failure=failure,
            last_sent_at=now,
        )
        for name, kind, shown, address, failure in (
            ("Night shift", "mail", "ops@example.org by mail.example.org:587", "mailtos://x", ""),
            ("Chat of the racks", "slack", "https://chat.example.org/…", "jsons://x", "It answered with status 403."),
        )
    ]
    rules = {rule.name: rule for rule in AlertRule.objects.all()}
    rules["Host lost"].channels.set(channels)
    AlertRule.objects.exclude(name="Full within a week").update(evaluated_at=now)
    crashed = Workload.objects.exclude(host=None).order_by("name").first()
    told = [
        ("Host lost", "host", lost, "firing", f"{lost.name} does not answer; it was last heard at 05:12:08 UTC.", {}),
        (
            "Host memory nearly used up",
            "host",
            busy,
            "pending",
            f"{busy.name}: Memory in use, of what the host has: 96.3 %. The limit is 95 %.",
            {},
        ),
        (
            "VM or container crashed",
            crashed.kind,
            crashed,
            "firing",
            f"{crashed.name} crashed: panicked.",
            {"acknowledged_at": now, "acknowledged_by_name": "operator"},
        ),
        (
            "Host CPU at its limit",
            "host",
            busy,
            "firing",
            f"{busy.name}: CPU in use, of what the host has: 98.2 %. The limit is 95 %.",
            {"silenced_by": "Silenced by operator until 2026-11-27 06:00 UTC: new disk"},
        ),
        (
            "Host lost",
            "host",
            busy,
            "resolved",
            f"{busy.name} answers again.",
            {"resolved_at": now - timedelta(hours=2)},
        ),
    ]
    for number, (name, kind, thing, state, sentence, values) in enumerate(told):
        rule, began = rules[name], now - timedelta(minutes=12 + 90 * number)
        alert = Alert.objects.create(
            rule=rule,
            rule_name=name,
            severity=rule.severity,
            thing_kind=kind,
            thing_id=str(thing.pk),
            thing_name=thing.name,
            site=busy.rack.site,
            host=thing if kind == "host" else thing.host,
            state=state,
            sentence=sentence,
            since=began,
            fired_at=None if state == "pending" else began,
            last_seen_at=now,
            told_at=began,
            **values,
        )
        for channel in channels if name == "Host lost" else []:
            is_sent = not channel.failure
            AlertNotice.objects.create(
                alert=alert,
                channel=channel,
                event="fired",
                state="sent" if is_sent else "waiting",
                attempts=1 if is_sent else 3,
                failure=channel.failure,
                next_try_at=now,
                created_at=began,
                sent_at=began if is_sent else None,
            )
    Silence.objects.create(
        rule=rules["Host CPU at its limit"],
        thing_kind="host",
        thing_id=str(busy.pk),
        thing_name=busy.name,
        reason="new disk",
        by_name="operator",
        until=now + timedelta(hours=20),
    )


def plan_it(site: Any, user: Any) -> None:
    """A real plan by the real planner."""
    from datacenter.models import Plan
    from datacenter.services.planning import plan_make

    plan = Plan.objects.create(site=site, requested_by_name=user.username, document={})
    plan_make(plan, {})


def remember() -> None:
    """An hour of samples of every metric in the raw store, and a year of five-minute aggregates in the long one."""
    from django.conf import settings
    from django.utils import timezone

    from datacenter.metrics.store import MetricsStore
    from datacenter.services.profiling import profiles_refresh
    from hosts.errors import DriverError
    from tests.browser.past import hour_of_samples, year_of_aggregates

    store = MetricsStore(settings.METRICS_URL, 60)
    try:
        for samples in (hour_of_samples(), year_of_aggregates()):
            while batch := list(islice(samples, 50_000)):
                store.write(batch)
        since = None
        while (
            since := profiles_refresh(MetricsStore(settings.METRICS_LONG_URL, 60), timezone.now(), since)
        ) is not None:
            pass
    except DriverError as error:
        print(f"No charts: {error.message}")


def move_figures(should_stop: threading.Event) -> None:
    """Samples that go up and down, as the collector would write and ring them."""
    from datacenter.metrics.live import latest_write
    from hosts.models import Host
    from workloads.models import Workload

    chance = random.Random(1)
    while not should_stop.wait(2):
        at = time.time()
        values: dict[str, dict[str, Any]] = {}
        for number, host in enumerate(Host.objects.filter(power="on", lifecycle="enrolled").exclude(name="node-07")):
            share = 0.25 + 0.2 * math.sin(at / 40 + number)
            rows = Workload.objects.filter(host=host)
            values[f"host:{host.pk}"] = {
                "at": at,
                "cpu_used_cores": share * host.cpu_cores,
                "cpu_capacity_cores": host.cpu_cores,
                "memory_used_mib": 400 + sum(row.memory_mib for row in rows) * 0.7,
                "memory_capacity_mib": host.memory_mib,
                "stale": ["The container engine has not answered for 7 seconds."] if number == 1 else [],
            }
            for row in rows.filter(state="running"):
                values[f"workload:{row.pk}"] = {
                    "at": at,
                    "cpu_used_cores": row.cpu_cores * chance.uniform(0.1, 0.5),
                    "memory_used_mib": row.memory_mib * chance.uniform(0.5, 0.7),
                }
            Host.objects.filter(pk=host.pk).update(
                last_seen_at=host.last_seen_at.__class__.now(host.last_seen_at.tzinfo)
            )
        latest_write(values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8499)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    data = options.data or Path(tempfile.mkdtemp(prefix="stowage-preview-"))
    data.mkdir(parents=True, exist_ok=True)
    redis, redis_url = start_redis(data)
    store, store_url = start_store(data)
    should_stop = threading.Event()
    try:
        configure(data, redis_url, store_url, options.port)
        furnish()
        remember()
        figures = threading.Thread(target=move_figures, args=(should_stop,), daemon=True)
        figures.start()
        print(f"http://127.0.0.1:{options.port}/  admin, operator or viewer, password {PASSWORD}", flush=True)
        import uvicorn

        from datacenter.asgi import application
        from tests.browser.fake_consoles import FakeConsoles

        uvicorn.run(FakeConsoles(application), host="127.0.0.1", port=options.port, log_level="warning", lifespan="off")
    finally:
        should_stop.set()
        for process in filter(None, (redis, store)):
            process.terminate()
            process.wait()
        if options.data is None:
            shutil.rmtree(data, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
