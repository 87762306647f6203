"""Watts and degrees in what a Redfish service answers: pure functions on its documents, old schemas and new.

Source: DMTF DSP0268 (EnvironmentMetrics, ThermalMetrics, and the deprecated Power and Thermal, which most machines in
the field still have).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from hosts.drivers.base import SensorReading

CHASSIS_MOST, SENSORS_MOST, NAME_MOST = 4, 64, 64

Get = Callable[[str], dict[str, Any] | None]  # a document by path, None where the service has none


def sensors_read(system: dict[str, Any], get: Get) -> SensorReading:
    """What the chassis of a system measure.

    Several systems may share a chassis, as blades do: then only what is said of this system alone is its power, and
    what is not said of it is not its temperature.
    """
    path = str(system.get("@odata.id", ""))
    power: list[float] = []
    temperatures: dict[str, float] = {}
    for link in list(_links(system.get("Links"), "Chassis"))[:CHASSIS_MOST]:
        chassis = get(link) or {}
        is_shared = len(list(_links(chassis.get("Links"), "ComputerSystems"))) > 1
        environment = {} if is_shared else _linked(chassis, "EnvironmentMetrics", get)
        watts = _reading(environment.get("PowerWatts"))
        if watts is None:
            watts = _power_control(_linked(chassis, "Power", get), path, is_shared)
        if watts is not None:
            power.append(watts)
        found = _thermal_metrics(_linked(_linked(chassis, "ThermalSubsystem", get), "ThermalMetrics", get), is_shared)
        found = found or _thermal(_linked(chassis, "Thermal", get), path, is_shared)
        if not found and (celsius := _reading(environment.get("TemperatureCelsius"))) is not None:
            found = {"Chassis": celsius}
        temperatures |= found
    return SensorReading(sum(power) if power else None, dict(list(temperatures.items())[:SENSORS_MOST]))


def _links(parent: Any, name: str) -> Iterable[str]:
    rows = parent.get(name) if isinstance(parent, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("@odata.id"), str):
            yield row["@odata.id"]


def _linked(parent: dict[str, Any], name: str, get: Get) -> dict[str, Any]:
    link = parent.get(name)
    path = link.get("@odata.id") if isinstance(link, dict) else None
    return (get(path) if isinstance(path, str) else None) or {}


def _power_control(power: dict[str, Any], system: str, is_shared: bool) -> float | None:
    """The old schema: PowerControl[].PowerConsumedWatts, the sum of what belongs to the system."""
    rows = power.get("PowerControl")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    own = [row for row in rows if list(_links(row, "RelatedItem")) == [system]]
    rows = own if is_shared else rows[:1]  # the first is the whole chassis; others, where there are any, its parts
    found = [watts for row in rows if (watts := _number(row.get("PowerConsumedWatts"))) is not None]
    return sum(found) if found else None


def _thermal_metrics(metrics: dict[str, Any], is_shared: bool) -> dict[str, float]:
    """The new schema: TemperatureReadingsCelsius[], an excerpt of the sensors; it does not say whose they are."""
    rows = metrics.get("TemperatureReadingsCelsius")
    if is_shared or not isinstance(rows, list):
        return {}
    pairs = ((row.get("DeviceName") or row.get("PhysicalContext"), row) for row in rows if isinstance(row, dict))
    return {_name(name): celsius for name, row in pairs if name and (celsius := _reading(row)) is not None}


def _thermal(thermal: dict[str, Any], system: str, is_shared: bool) -> dict[str, float]:
    """The old schema: Temperatures[].ReadingCelsius."""
    found: dict[str, float] = {}
    rows = thermal.get("Temperatures")
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or (celsius := _number(row.get("ReadingCelsius"))) is None:
            continue
        if not is_shared or any(f"{item}/".startswith(f"{system}/") for item in _links(row, "RelatedItem")):
            found[_name(row.get("Name") or row.get("MemberId") or "?")] = celsius
    return found


def _reading(excerpt: Any) -> float | None:
    return _number(excerpt.get("Reading")) if isinstance(excerpt, dict) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _name(value: Any) -> str:
    return str(value)[:NAME_MOST]
