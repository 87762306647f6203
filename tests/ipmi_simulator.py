"""A real third-party IPMI peer: OpenIPMI's `ipmi_sim`, whose power switch is a file, or a Redfish service.

Run as a program it is that switch, as ipmi_sim calls it:

    python -m tests.ipmi_simulator SETTINGS get power [...]      prints power:0 or power:1
    python -m tests.ipmi_simulator SETTINGS set power 0|1 [...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USERNAME, PASSWORD = "operator", "ipmi-only"
CHECKOUT = Path(__file__).resolve().parent.parent
LAN = """\
name "stowage-test"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{switch}"
  user 2 true "{username}" "{password}" admin 10 none md2 md5 straight
"""
MANAGEMENT = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""


@contextmanager
def ipmi_simulated(folder: Path, port: int, settings: dict[str, Any]) -> Iterator[str]:
    """The address of a running simulator, which is ended with the block.

    `settings` says what is switched: {"file": path} or {"redfish": url, "system", "username", "password"}.
    """
    (folder / "settings.json").write_text(json.dumps(settings))
    switch = folder / "switch"
    # ipmi_sim gives the number of the controller first; words of ours would come before it
    python = f"exec {sys.executable} -m tests.ipmi_simulator {folder / 'settings.json'}"
    switch.write_text(f'#!/bin/sh\ncd {CHECKOUT}\nshift\n{python} "$@"\n')
    switch.chmod(0o755)
    (folder / "lan.conf").write_text(
        LAN.format(port=port, switch=f"{switch} 0x20", username=USERNAME, password=PASSWORD)
    )
    (folder / "bmc.emu").write_text(MANAGEMENT)
    (folder / "state").mkdir()
    command = ["ipmi_sim", "-c", str(folder / "lan.conf"), "-f", str(folder / "bmc.emu"), "-s", str(folder / "state")]
    with (folder / "sim.log").open("w") as log:
        simulator = subprocess.Popen([*command, "-n"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    time.sleep(0.5)
    assert simulator.poll() is None, (folder / "sim.log").read_text()
    try:
        # The simulator tells no cipher suites, and asking for them would take ten seconds each time.
        yield f"ipmi://127.0.0.1:{port}?cipher=3"
    finally:
        simulator.terminate()
        simulator.wait(10)


def main(words: list[str]) -> int:
    settings = json.loads(Path(words[0]).read_text())
    verb, rest = words[1], words[2:]
    if verb == "get":
        for name in rest:
            print(f"{name}:{int(_is_on(settings)) if name == 'power' else 0}")
        return 0
    for name, value in zip(rest[::2], rest[1::2], strict=False):
        if name in ("power", "shutdown"):
            _switch(settings, on=name == "power" and value == "1")
    return 0


def _is_on(settings: dict[str, Any]) -> bool:
    if "file" in settings:
        return Path(settings["file"]).read_text().strip() == "on"
    return _redfish(settings, "get", "").json()["PowerState"] == "On"


def _switch(settings: dict[str, Any], *, on: bool) -> None:
    if "file" in settings:
        Path(settings["file"]).write_text("on" if on else "off")
        return
    wish = {"ResetType": "On" if on else "ForceOff"}
    _redfish(settings, "post", "/Actions/ComputerSystem.Reset", json=wish).raise_for_status()


def _redfish(settings: dict[str, Any], method: str, path: str, **content: Any) -> Any:
    import requests

    url = f"{settings['redfish']}/redfish/v1/Systems/{settings['system']}{path}"
    return requests.request(method, url, auth=(settings["username"], settings["password"]), timeout=20, **content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
