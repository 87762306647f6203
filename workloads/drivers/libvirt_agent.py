"""What a guest's agent does for us: it shuts the guest down, and lets its file systems stand still for a moment.

An agent is whatever the guest's owner runs: it may be gone, hung or lying, and nothing here waits for it for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import libvirt

from hosts.drivers.domain_facts import parse
from hosts.drivers.domain_state import domain_state
from hosts.drivers.guest_info import AGENT_TIMEOUT_S
from hosts.drivers.libvirt_errors import is_code
from hosts.errors import DriverError
from hosts.guest import CONNECTED

log = logging.getLogger(__name__)

THAW_PATIENCE_S = 60.0
THAW_PAUSE_S = 1.0
AGENT_SHARE = 0.5  # of the time to shut down: when it is over the power button is pressed too
_BUTTON = libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN


def is_connected(domain: libvirt.virDomain) -> bool:
    """Whether somebody in the running guest has opened the agent's channel."""
    return parse(domain.XMLDesc(0)).agent == CONNECTED and domain_state(*domain.state())[0] == "running"


# --- shut down


class ShutDown:
    """One wish to shut down: told to the agent first, to the power button (ACPI) where that does not help."""

    def __init__(self, domain: libvirt.virDomain) -> None:
        self._domain = domain
        self._has_failed = threading.Event()
        self._is_by_agent = is_connected(domain)
        self._is_pressed = False
        if self._is_by_agent:
            domain.agentSetResponseTimeout(AGENT_TIMEOUT_S, 0)
            # libvirt waits up to a minute for the guest's end.
            threading.Thread(target=self._agent_tell, name="shut down by agent", daemon=True).start()

    @property
    def by(self) -> str:
        """Who was asked last."""
        return "ACPI" if self._is_pressed else "agent"

    def look(self, share_of_time: float) -> None:
        """Presses the power button when the agent was no help until now."""
        if self._is_pressed or (self._is_by_agent and share_of_time < AGENT_SHARE and not self._has_failed.is_set()):
            return
        self._is_pressed = True
        try:
            self._domain.shutdownFlags(_BUTTON)
        except libvirt.libvirtError as error:
            if not is_code(error, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
                raise

    def _agent_tell(self) -> None:
        try:
            self._domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
        except libvirt.libvirtError as error:
            log.info("The agent of %s: %s", self._domain.name(), error)
            self._has_failed.set()


# --- freeze


class Freeze:
    """What became of the wish that the file systems stand still: `why_not` is empty when they did."""

    def __init__(self) -> None:
        self.why_not = "The guest has no agent that could be asked."


@contextmanager
def frozen(
    domain: libvirt.virDomain,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Freeze]:
    """The guest's file systems stand still within the block, where its agent can do that; they always go on after it.

    Raises DriverError when they stood still and the agent does not let them go on.
    """
    freeze = Freeze()
    if not is_connected(domain) or not _answers(domain, freeze):
        yield freeze
        return
    try:
        count = domain.fsFreeze(None, 0)
        freeze.why_not = "" if count else "The guest's agent found no file system that it could freeze."
    except libvirt.libvirtError as error:
        # It may be frozen all the same, or a moment later.
        freeze.why_not = "The guest's agent could not freeze its file systems."
        log.info("%s: %s", domain.name(), error)
    try:
        yield freeze
    finally:
        _thaw(domain, clock, sleep)


def thaw_leftover(domain: libvirt.virDomain) -> None:
    """Ensures that nothing stands still from a step that was cut short, as far as the agent answers.

    One that is awake is not told: its own hooks would run for nothing.
    """
    with suppress(libvirt.libvirtError):
        if domain.isActive() and is_connected(domain):
            domain.agentSetResponseTimeout(AGENT_TIMEOUT_S, 0)
            if not _tells(domain):
                domain.fsThaw(None, 0)


def _answers(domain: libvirt.virDomain, freeze: Freeze) -> bool:
    """Whether the agent says anything: one that does not has not heard of the freeze either."""
    try:
        domain.agentSetResponseTimeout(AGENT_TIMEOUT_S, 0)
        domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_AGENT_UNRESPONSIVE):
            freeze.why_not = "The guest's agent does not answer."
            return False
    return True


def _thaw(domain: libvirt.virDomain, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    until = clock() + THAW_PATIENCE_S
    while True:
        try:
            domain.fsThaw(None, 0)
            return
        except libvirt.libvirtError as error:
            if not _still_on(domain) or _is_awake(domain, error):
                return
            if clock() >= until:
                raise DriverError(
                    "The guest's file systems were to stand still, and its agent does not let them go on. Thaw them"
                    " inside the guest (fsfreeze --unfreeze), or reset the VM.",
                    str(error),
                ) from error
        sleep(THAW_PAUSE_S)


def _is_awake(domain: libvirt.virDomain, error: libvirt.libvirtError) -> bool:
    """Whether nothing stands still although the agent said so of its thaw, as it does when a hook of its own fails."""
    if is_code(error, libvirt.VIR_ERR_AGENT_UNRESPONSIVE) or not _tells(domain):
        return False
    log.info("%s was let go with an error: %s", domain.name(), error)
    return True


def _tells(domain: libvirt.virDomain) -> bool:
    """Whether the agent tells a host name, which qemu-ga refuses while file systems are frozen."""
    try:
        domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0)
    except libvirt.libvirtError:
        return False
    return True


def _still_on(domain: libvirt.virDomain) -> bool:
    """Whether there is a guest that could stand still: after a reboot or without its agent's channel none does."""
    try:
        return bool(domain.isActive()) and is_connected(domain)
    except libvirt.libvirtError:
        return False
