"""Switching machines on and off through their management controllers, from the site plane.

A BMC's "accepted" is not done (pitfalls.md, Power): the power counts when it was read twice in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hosts.bmc_address import is_wake_only
from hosts.errors import TimedOut
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.drivers.base import Bmc

STABLE_READINGS = 2
WAKE_PACKETS = 3
# A controller may drop a request that comes while the machine changes its state: it is asked again.
ASK_AGAIN_AFTER_READINGS = 10


@effect("power.check", lane="site", is_exclusive=False)
def power_check(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """That the controller lets us in, and what it says of its machine."""
    reading = _bmc(context, arguments).read_power()
    return {"power": reading.power, "model": reading.model, "serial": reading.serial}


@effect("power.read", lane="site", is_exclusive=False)
def power_read(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The power as it is read now, once."""
    return {"power": _bmc(context, arguments).read_power().power}


@effect("power.on", lane="site")
def power_on(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The machine has power, read twice. One that can only be woken is sent its packet; its plane tells the rest."""
    bmc = _bmc(context, arguments)
    if is_wake_only(arguments["bmc"]["url"]):
        return _wake(context, bmc, progress)
    return _until_stable(context, bmc, "on", "asking for power", bmc.power_on, progress)


@effect("power.off", lane="site")
def power_off(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The machine has no power, read twice; with "force" it is cut instead of asked to shut down."""
    bmc = _bmc(context, arguments)
    force = bool(arguments.get("force"))
    doing = "cutting the power" if force else "asking the host to shut down"
    return _until_stable(context, bmc, "off", doing, lambda: bmc.power_off(force=force), progress)


@effect("power.silence", lane="site", is_exclusive=False)
def power_silence(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Whether nobody answers at the machine's address, asked twice: "off" as far as anybody can tell, else "on".

    For machines whose power nobody can read. It is no proof: whoever fences must not use it.
    """
    for _ in range(STABLE_READINGS):
        if context.drivers.address_answers(arguments["address"]):
            return {"power": "on"}
        progress.wait(context.power_poll_s)
    return {"power": "off"}


def _wake(context: PlaneContext, bmc: Bmc, progress: Progress) -> dict[str, Any]:
    """Sends the packet several times: nothing tells whether one has come."""
    progress.update("sending magic packets", at_once=True)
    for _ in range(WAKE_PACKETS):
        bmc.power_on()
        progress.wait(context.power_poll_s)
    return {"power": "unknown"}


def _until_stable(
    context: PlaneContext, bmc: Bmc, wanted: str, doing: str, ask: Callable[[], None], progress: Progress
) -> dict[str, Any]:
    """Asks, and reads until the wanted power came twice in a row or the step's time is up."""
    in_a_row = readings = 0
    while True:
        power = bmc.read_power().power
        in_a_row = in_a_row + 1 if power == wanted else 0
        if in_a_row == STABLE_READINGS:
            return {"power": wanted}
        if power != wanted and readings % ASK_AGAIN_AFTER_READINGS == 0:
            progress.update(doing, at_once=True)
            ask()
        readings += 1
        progress.update(f"waiting for the power to read {wanted}, now {power}")
        try:
            progress.wait(context.power_poll_s)
        except TimedOut:
            raise TimedOut(f"The controller accepted, but the power still reads {power}, not {wanted}.") from None


def _bmc(context: PlaneContext, arguments: dict[str, Any]) -> Bmc:
    """The controller named in the command; its password is fetched now and kept nowhere."""
    bmc = arguments["bmc"]
    password = context.control.secret(bmc["secret"]) if bmc.get("secret") else ""
    return context.drivers.bmc(bmc["url"], bmc.get("system") or "", bmc.get("username") or "", password)
