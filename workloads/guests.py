"""What is told of the inside of a VM, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hosts.guest import AWAY, CONNECTED, NO_CHANNEL, SILENT, addresses_of
from workloads.models import VirtualMachine

_SENTENCES = {
    NO_CHANNEL: "It was defined without a channel for a guest agent, so its guest cannot be asked; ACPI shuts it down.",
    AWAY: (
        "No agent answers in the guest. With qemu-guest-agent installed there, its addresses and file systems are seen,"
        " and backups are taken while its file systems stand still."
    ),
    SILENT: "The agent in the guest is connected and does not answer; it is asked again every five minutes.",
    CONNECTED: "The agent in the guest answers.",
}


@dataclass(frozen=True)
class FileSystem:
    mount: str
    type: str
    total_bytes: int
    used_bytes: int

    @property
    def used_percent(self) -> float:
        return 100.0 * self.used_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True)
class Guest:
    """The last word of a VM's guest; `told_at` None: it has said nothing yet."""

    agent: str
    sentence: str
    hostname: str
    system: str
    kernel: str
    addresses: list[str]
    interfaces: list[dict[str, Any]]
    filesystems: list[FileSystem]
    told_at: datetime | None


def guest_of(vm: VirtualMachine) -> Guest:
    told = vm.guest or {}
    system = told.get("system", {})
    at_s = told.get("told_at_s", 0)
    return Guest(
        vm.agent,
        agent_sentence(vm),
        told.get("hostname", ""),
        system.get("name", "") or system.get("version", ""),
        system.get("kernel", ""),
        addresses_of(told),
        told.get("interfaces", []),
        [FileSystem(**row) for row in told.get("filesystems", [])],
        datetime.fromtimestamp(min(at_s, 2**36), UTC) if at_s else None,
    )


def agent_sentence(vm: VirtualMachine) -> str:
    """Whether the guest can be asked, and what to do if not."""
    if vm.agent == CONNECTED and not vm.guest:
        return "The agent in the guest is connected; it is being asked."
    return _SENTENCES.get(vm.agent, "What is inside is told while it runs, by an agent in the guest.")
