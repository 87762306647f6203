"""Documents as BMCs of several makes and ages give them, cut to what matters."""

from __future__ import annotations

from typing import Any

from hosts.drivers.base import SensorReading
from hosts.drivers.redfish_sensors import sensors_read

SYSTEM, CHASSIS = "/redfish/v1/Systems/1", "/redfish/v1/Chassis/1"


def ref(path: str) -> dict[str, str]:
    return {"@odata.id": path}


def read(chassis: dict[str, Any], **documents: Any) -> SensorReading:
    """The sensors of a system in one chassis; documents lie below the chassis, by name."""
    system = {**ref(SYSTEM), "Links": {"Chassis": [ref(CHASSIS)]}}
    every = {CHASSIS: chassis} | {f"{CHASSIS}/{name}": document for name, document in documents.items()}
    return sensors_read(system, every.get)


def test_the_old_schemas_are_read() -> None:
    power = {"PowerControl": [{"PowerConsumedWatts": 344}, {"Name": "a part", "PowerConsumedWatts": 40}]}
    thermal = {
        "Temperatures": [
            {"Name": "CPU1 Temp", "ReadingCelsius": 41},
            {"Name": "Absent", "ReadingCelsius": None},
            {"MemberId": "7", "ReadingCelsius": -2.5},
        ]
    }

    found = read({"Power": ref(f"{CHASSIS}/Power"), "Thermal": ref(f"{CHASSIS}/Thermal")}, Power=power, Thermal=thermal)

    assert found == SensorReading(344.0, {"CPU1 Temp": 41.0, "7": -2.5})


def test_the_new_schemas_are_preferred() -> None:
    chassis = {
        name: ref(f"{CHASSIS}/{name}") for name in ("EnvironmentMetrics", "ThermalSubsystem", "Power", "Thermal")
    }
    metrics = {
        "TemperatureReadingsCelsius": [
            {"DeviceName": "Intake", "Reading": 24.8},
            {"PhysicalContext": "CPU", "Reading": 61},
            {"DeviceName": "Broken", "Reading": "hot"},
        ]
    }

    found = read(
        chassis,
        EnvironmentMetrics={"PowerWatts": {"Reading": 374.25}, "TemperatureCelsius": {"Reading": 39}},
        ThermalSubsystem={"ThermalMetrics": ref(f"{CHASSIS}/ThermalMetrics")},
        ThermalMetrics=metrics,
        Power={"PowerControl": [{"PowerConsumedWatts": 1}]},
        Thermal={"Temperatures": [{"Name": "old", "ReadingCelsius": 1}]},
    )

    assert found == SensorReading(374.25, {"Intake": 24.8, "CPU": 61.0})


def test_of_a_chassis_shared_by_several_systems_only_what_is_said_of_this_one_counts() -> None:
    other = "/redfish/v1/Systems/12"
    chassis = {
        "Links": {"ComputerSystems": [ref(SYSTEM), ref(other)]},
        "EnvironmentMetrics": ref(f"{CHASSIS}/EnvironmentMetrics"),
        "Power": ref(f"{CHASSIS}/Power"),
        "Thermal": ref(f"{CHASSIS}/Thermal"),
    }
    power = {
        "PowerControl": [
            {"PowerConsumedWatts": 900, "RelatedItem": [ref(SYSTEM), ref(other)]},
            {"PowerConsumedWatts": 310, "RelatedItem": [ref(SYSTEM)]},
        ]
    }
    thermal = {
        "Temperatures": [
            {"Name": "CPU", "ReadingCelsius": 50, "RelatedItem": [ref(f"{SYSTEM}/Processors/1")]},
            {"Name": "CPU of the other", "ReadingCelsius": 70, "RelatedItem": [ref(f"{other}/Processors/1")]},
            {"Name": "Exhaust", "ReadingCelsius": 30, "RelatedItem": [ref(SYSTEM), ref(other)]},
        ]
    }

    found = read(chassis, EnvironmentMetrics={"PowerWatts": {"Reading": 900}}, Power=power, Thermal=thermal)

    assert found == SensorReading(310.0, {"CPU": 50.0, "Exhaust": 30.0})


def test_a_service_that_measures_nothing_or_talks_nonsense_gives_nothing() -> None:
    assert not read({})
    assert not read({"Power": ref("/nowhere"), "Thermal": "odd", "Links": 5})
    assert not read({"Power": ref(f"{CHASSIS}/Power")}, Power={"PowerControl": [5, {"PowerConsumedWatts": True}]})
    assert not sensors_read({"Links": {"Chassis": 7}}, lambda path: None)
