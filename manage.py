#!/usr/bin/env python3
"""Where Stowage is put together: Django's commands, the host plane, and the supervisor of the embedded parts.

`hostd`, `up` and `down` branch off before Django: a host has no database and no SECRET_KEY, and the
supervisor makes both.
"""

from __future__ import annotations

import os
import sys

# What a host plane can do. hosts.plane may not import workloads, so it is told the names here.
EFFECT_MODULES = [
    "hosts.plane.host_effects",
    "hosts.plane.power_effects",
    "workloads.effects.vm",
    "workloads.effects.vm_backups",
    "workloads.effects.container",
    "workloads.effects.image_arrival",
    "workloads.effects.measuring",
    "workloads.effects.pool_file",
]


def main() -> int | None:
    """Exit status of the command that the arguments name."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "hostd":
        from hosts.plane.hostd import main as hostd

        return hostd(sys.argv[2:], effect_modules=EFFECT_MODULES)
    if command == "up":
        from datacenter.run.up import main as up

        return up(sys.argv[2:])
    if command == "down":
        from datacenter.run.down import main as down

        return down(sys.argv[2:])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "datacenter.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return None


if __name__ == "__main__":
    sys.exit(main())
