"""A lab host behind Wake-on-LAN alone: its plane shuts it down in order, and a real magic packet boots it."""

from __future__ import annotations

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually
from tests.lab.test_power_by_hand import WAKE_LIMIT_S, runs_again, workloads_of
from tests.stack import Stack


def test_a_host_shuts_itself_down_and_is_woken_by_a_magic_packet(stack: Stack, person: ApiPerson):
    host = min(person.lab_hosts_on(), key=lambda row: row["workload_count"])
    ran = [row for row in workloads_of(person, host["name"]).values() if row["state"] == "running"]
    row = next(row for row in stack.lab["hosts"] if row["name"] == host["name"])
    redfish, at = row["bmc"], f"/hosts/{host['uuid']}"
    network = stack.lab["subnet"].rpartition(".")[0]
    person.done("PUT", f"{at}/bmc", {"url": f"wol:{row['mac']}?broadcast={network}.255"})
    try:
        for one in ran:
            person.call("POST", f"/workloads/{one['uuid']}/stop?force=true")
        eventually(lambda: all(one["state"] != "running" for one in workloads_of(person, host["name"]).values()), 60)

        off = person.done("POST", f"{at}/power-off")
        assert person.host(host["name"])["power"] == "off"
        on = person.done("POST", f"{at}/power-on")
        assert person.host(host["name"])["power"] == "on"

        print(f"\n{host['name']}: shut down in {off['seconds']:.1f} s, woken in {on['seconds']:.1f} s")
    finally:
        back = {"url": redfish["url"], "system": redfish["system"]}
        person.done("PUT", f"{at}/bmc", back | {name: redfish[name] for name in ("username", "password")})
    for one in ran:
        eventually(lambda uuid=one["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)
