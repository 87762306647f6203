"""Effects that start a workload, wait until it serves, and say what it takes of its host."""

from __future__ import annotations

import time
from typing import Any

from hosts.errors import TimedOut
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from hosts.units import bytes_to_mib
from workloads.drivers.base import STEADY
from workloads.drivers.specs import uuid_check
from workloads.effects.drivers import containers, machines

Data = dict[str, Any]
LOOK_EVERY_S = 0.1
SETTLES_S = 2.0  # after it serves: what it allocated to start is given back by then
SIGN_MOST = 200


@effect("vm.measure", lane="long", brings_work=True)
def vm_measure(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Starts the VM and waits until its serial line says `sign`. Undo: vm.destroy.

    Raises TimedOut when it does not within `wait_s`.
    """
    uuid, sign = uuid_check(arguments["uuid"]), str(arguments["sign"])[:SIGN_MOST]
    vms, began = machines(context), time.monotonic()
    vms.start(uuid)
    while not vms.has_said(uuid, sign):
        progress.check()
        waited_s = time.monotonic() - began
        if waited_s > float(arguments["wait_s"]):
            raise TimedOut(f"The VM did not say “{sign}” on its serial line within {waited_s:.0f} s.")
        progress.update(f"waiting until it says “{sign}”, {waited_s:.0f} s so far")
        time.sleep(LOOK_EVERY_S)
    start_s = time.monotonic() - began
    time.sleep(SETTLES_S)
    disk_bytes = sum(disk.used_bytes for disk in vms.describe(uuid).disks)
    return {"start_s": start_s, "used_mib": vms.memory_used_mib(uuid), "disk_mib": bytes_to_mib(disk_bytes)}


@effect("container.measure", lane="long", brings_work=True)
def container_measure(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Starts the container and waits until it runs and its health check, if any, passes. Undo: container.kill."""
    uuid, began = uuid_check(arguments["uuid"]), time.monotonic()
    engine = containers(context)
    engine.start(uuid)
    running_s = time.monotonic() - began
    sign = engine.wait_healthy(uuid, float(arguments["wait_s"]))
    # that one that nobody can ask goes on running is no part of its start
    start_s = running_s if sign == STEADY else time.monotonic() - began
    time.sleep(SETTLES_S)
    used_mib, disk_mib = engine.footprint_mib(uuid)
    return {"start_s": start_s, "used_mib": used_mib, "disk_mib": disk_mib, "sign": sign[:SIGN_MOST]}
