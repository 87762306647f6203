"""Containers with volumes on real Docker: moved with what is in them while somebody reads, or left as they were."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually, forget
from tests.stack import Stack

PORT = 18090
# It goes on counting where the file ends: a line that is lost or written twice shows.
WRITER = """
mkdir -p /data/www/deep
[ -f /data/www/big ] || head -c 3000000 /dev/urandom > /data/www/big
ln -sf big /data/www/link; chown 12:34 /data/www/deep; chmod 1750 /data/www/deep
touch /data/www/lines; httpd -p 8080 -h /data/www
trap 'exit 0' TERM
while true; do echo $(( $(wc -l < /data/www/lines) + 1 )) >> /data/www/lines; usleep 100000; done
"""
# Its host name is another on each host, so it runs only where it ran first.
HOMESICK = """
[ -f /data/home ] || hostname > /data/home
[ "$(cat /data/home)" = "$(hostname)" ] || exit 3
trap 'exit 0' TERM
while true; do sleep 1 & wait $!; done
"""


class Reader(threading.Thread):
    """Reads a file at either host, again and again, and keeps what it saw and where."""

    def __init__(self, addresses: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.addresses = addresses
        self.is_over = threading.Event()
        self.seen: list[tuple[str, int]] = []  # host, lines

    def run(self) -> None:
        while not self.is_over.wait(0.1):
            for name, address in self.addresses.items():
                try:
                    text = httpx.get(f"http://{address}:{PORT}/lines", timeout=1).text
                except httpx.HTTPError:
                    continue
                self.seen.append((name, text.count("\n")))


def created(person: ApiPerson, name: str, program: str, volumes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    wanted = {"name": name, "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.3, "volumes": volumes}
    wanted |= {"command": ["sh", "-c", program], "host": person.host(HOST)["uuid"]}
    person.done("POST", "/workloads/containers", wanted | more)
    made = person.workload(name)
    assert made is not None
    return made


def volumes_on(stack: Stack, host: str) -> list[str]:
    return stack.inside(host, "docker", "volume", "ls", "--format", "{{.Name}}").split()


def test_a_container_moves_with_its_volume_while_somebody_reads_it(stack: Stack, person: ApiPerson):
    addresses = {h["name"]: h["address"] for h in stack.lab["hosts"] if h["name"] in (HOST, OTHER)}
    ports = [{"host": PORT, "container": 8080}]
    made = created(person, "flow-keeper", WRITER, [{"source": "flow-data", "target": "/data"}], ports=ports)
    reader = Reader(addresses)
    try:
        reader.start()
        eventually(lambda: len(reader.seen) > 5, 20)
        before = stack.inside(HOST, "docker", "exec", "flow-keeper", "sha256sum", "/data/www/big").split()[0]
        other = {"uuid": person.host(OTHER)["uuid"]}

        person.done("POST", f"/workloads/{made['uuid']}/move", {"target": other["uuid"]})

        eventually(lambda: any(name == OTHER for name, _ in reader.seen), 20)
        assert "flow-data" in volumes_on(stack, OTHER) and "flow-data" not in volumes_on(stack, HOST)
        inside = ("docker", "exec", "flow-keeper")
        assert stack.inside(OTHER, *inside, "sha256sum", "/data/www/link").split()[0] == before
        assert stack.inside(OTHER, *inside, "stat", "-c", "%u %g %a", "/data/www/deep").strip() == "12 34 1750"
        lines = stack.inside(OTHER, *inside, "cat", "/data/www/lines").split()
        assert lines == [str(number) for number in range(1, len(lines) + 1)]
        there = [count for name, count in reader.seen if name == OTHER]
        here = [count for name, count in reader.seen if name == HOST]
        assert max(here) <= there[0] + 1  # what was read on the old host is on the new one
    finally:
        reader.is_over.set()
        reader.join(10)
        person.call("POST", f"/workloads/{made['uuid']}/stop?force=true")
        eventually(lambda: person.call("DELETE", f"/workloads/{made['uuid']}?volumes=true")[0] in (202, 404), 30)
        eventually(lambda: person.call("GET", f"/workloads/{made['uuid']}")[0] == 404, 30)
    eventually(lambda: "flow-data" not in volumes_on(stack, OTHER), 10)


def test_a_container_that_does_not_start_there_goes_on_here_with_its_volume(stack: Stack, person: ApiPerson):
    made = created(person, "flow-homesick", HOMESICK, [{"source": "flow-home", "target": "/data"}])
    try:
        body = {"target": person.host(OTHER)["uuid"]}
        status, operation = person.call("POST", f"/workloads/{made['uuid']}/move", body)
        assert status == 202, operation
        ended = person.ended(operation["uuid"])

        assert ended["state"] == "failed" and "does not stay up" in ended["message"], ended
        says = "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}"
        assert stack.inside(HOST, "docker", "inspect", "-f", says, "flow-homesick").strip() == "running unless-stopped"
        assert "flow-home" in volumes_on(stack, HOST) and "flow-home" not in volumes_on(stack, OTHER)
        assert "flow-homesick" not in stack.inside(OTHER, "docker", "ps", "-a", "--format", "{{.Names}}")
    finally:
        forget(person, made["uuid"])
    assert "flow-home" in volumes_on(stack, HOST)  # a deleted container's volume stays, unless it was asked for
    stack.inside(HOST, "docker", "volume", "rm", "flow-home")


def test_a_folder_of_the_host_is_given_from_its_list_alone(stack: Stack, person: ApiPerson):
    stack.inside(HOST, "sh", "-c", "mkdir -p /run/given/in && ln -sfn /etc /run/given/out")
    mount = {"kind": "bind", "target": "/in", "is_read_only": True}
    wanted = {"name": "flow-folder", "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.1}
    wanted |= {"host": person.host(HOST)["uuid"], "volumes": [mount | {"source": "/run/given/out"}]}
    status, operation = person.call("POST", "/workloads/containers", wanted)
    assert status == 202
    refused = person.ended(operation["uuid"])
    assert refused["state"] == "failed" and "not within the host's list" in refused["message"]

    made = created(person, "flow-folder", HOMESICK.replace("/data", "/tmp"), [mount | {"source": "/run/given/in"}])
    try:
        says = "{{range .Mounts}}{{.Source}} {{.Destination}} {{.RW}}{{end}}"
        assert stack.inside(HOST, "docker", "inspect", "-f", says, "flow-folder").strip() == "/run/given/in /in false"
        address, body = f"/workloads/{made['uuid']}/move", {"target": person.host(OTHER)["uuid"]}
        eventually(lambda: "so it stays there" in str(person.call("POST", address, body)[1].get("message")), 20)
    finally:
        forget(person, made["uuid"])
