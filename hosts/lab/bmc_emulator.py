"""The BMCs of the lab: sushy-tools' Redfish service in front of the supervisor's power switches.

    python -m hosts.lab.bmc_emulator CONFIG

sushy-tools' fake driver keeps a power state of its own, changes it after a random 1 to 11 s and forgets whether a
shutdown was to be graceful. This driver asks and tells the supervisor instead, so that what Redfish says
is what is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import requests
from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver

_TIMEOUT_S = 5.0


class LabSystems(fakedriver.FakeDriver):
    """Lab hosts as Redfish systems."""

    def get_power_state(self, identity: str) -> str:
        answer = requests.get(self._url(identity, "power"), timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return str(answer.json()["power_state"])

    def set_power_state(self, identity: str, state: str) -> None:
        answer = requests.post(self._url(identity, "reset"), json={"reset_type": state}, timeout=_TIMEOUT_S)
        if answer.status_code == 400:
            raise error.NotSupportedError(answer.json()["message"])
        answer.raise_for_status()

    def get_total_memory(self, identity: str) -> int:
        return int(self._get(identity)["memory_gib"])

    def get_total_cpus(self, identity: str) -> int:
        return int(self._get(identity)["cpu_cores"])

    def _url(self, identity: str, verb: str) -> str:
        return f"{self._config['STOWAGE_POWER_URL']}/hosts/{self._get(identity)['name']}/{verb}"


def main(arguments: list[str]) -> int:
    config: dict[str, Any] = json.loads(Path(arguments[0]).read_text())
    fakedriver.FakeDriver = LabSystems  # the emulator looks its driver up by this name
    emulator.app.configure(extra_config=config)
    emulator.app.run(host=config["SUSHY_EMULATOR_LISTEN_IP"], port=config["SUSHY_EMULATOR_LISTEN_PORT"], threaded=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
