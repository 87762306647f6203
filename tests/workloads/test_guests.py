"""What guests tell comes into the database, is shown, and finds them; whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from hosts.inventory import reach_of
from hosts.models import Host
from tests.actors import client_of
from tests.datacenter.world import a_host, a_vm, observation, observed_vm
from workloads.inventory import workloads_observe
from workloads.models import VirtualMachine

pytestmark = pytest.mark.django_db
GUEST = {
    "hostname": "web-1",
    "system": {"name": "Debian GNU/Linux 12 (bookworm)", "version": "12", "kernel": "6.1.0"},
    "interfaces": [
        {"name": "lo", "mac": "00:00:00:00:00:00", "addresses": ["127.0.0.1/8"]},
        {"name": "eth0", "mac": "52:54:00:00:00:01", "addresses": ["10.0.0.7/24", "fe80::1/64"]},
    ],
    "filesystems": [{"mount": "/", "type": "ext4", "total_bytes": 4 * 2**30, "used_bytes": 2**30}],
    "told_at_s": 1_700_000_000,
}


@pytest.fixture
def host() -> Host:
    return a_host("alpha")


@pytest.fixture
def vm(host: Host) -> VirtualMachine:
    return a_vm("web", host)


def see(host: Host, vm: VirtualMachine, **fields: Any) -> VirtualMachine:
    message = observation(host, observed_vm(vm, **fields))
    workloads_observe(host, message, reach_of(message), timezone.now())
    return VirtualMachine.objects.get(pk=vm.pk)


def test_what_a_guest_tells_is_shown_and_finds_it(host: Host, vm: VirtualMachine):
    seen = see(host, vm, agent="connected", guest=GUEST)
    client = client_of("viewer")

    assert (seen.agent, seen.addresses, seen.guest["hostname"]) == ("connected", "10.0.0.7", "web-1")
    text = client.get(f"/workloads/{vm.pk}/").content.decode()
    for word in ("The agent in the guest answers.", "10.0.0.7", "Debian GNU/Linux 12", "6.1.0", "25 % of 4.0 GiB"):
        assert word in text
    told = client.get(f"/api/workloads/{vm.pk}/guest").json()
    assert (told["addresses"], told["system"], told["told_at"][:10]) == (
        ["10.0.0.7"],
        "Debian GNU/Linux 12 (bookworm)",
        "2023-11-14",
    )
    assert [row["name"] for row in client.get("/api/workloads?text=10.0.0.7").json()["items"]] == ["web"]
    assert client.get("/api/workloads?text=127.0.0.1").json()["items"] == []


def test_its_last_word_stays_while_its_agent_is_away(host: Host, vm: VirtualMachine):
    see(host, vm, agent="connected", guest=GUEST)

    seen = see(host, vm, agent="away")

    assert (seen.agent, seen.guest["hostname"]) == ("away", "web-1")
    text = client_of("viewer").get(f"/workloads/{vm.pk}/").content.decode()
    assert "No agent answers in the guest." in text and "2023-11-14" in text


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ("no channel", "defined without a channel for a guest agent"),
        ("silent", "connected and does not answer"),
        ("connected", "it is being asked"),
        ("", "told while it runs"),
        ("<b>", "told while it runs"),
        (["connected"], "told while it runs"),
    ],
)
def test_the_page_says_why_nothing_is_told(host: Host, vm: VirtualMachine, agent: Any, sentence: str):
    see(host, vm, agent=agent)

    assert sentence in client_of("viewer").get(f"/workloads/{vm.pk}/").content.decode()


def test_a_hostile_word_harms_neither_database_nor_page(host: Host, vm: VirtualMachine):
    bad = "<script>alert(1)</script>"
    rows = [{"name": bad * 10_000, "mac": bad, "addresses": [bad, "10.0.0.9/24"] * 5000}] * 10_000
    mounts = [{"mount": bad, "type": bad, "total_bytes": 10**400, "used_bytes": -5}] * 10_000
    system = {"name": bad, "version": "\x00" * 2**20, "kernel": [bad]}

    seen = see(
        host,
        vm,
        agent="connected",
        guest={
            "hostname": bad * 10_000,
            "system": system,
            "interfaces": rows,
            "filesystems": mounts,
            "told_at_s": 1e300,
        },
    )

    assert seen.addresses == "10.0.0.9"
    answer = client_of("viewer").get(f"/workloads/{vm.pk}/")
    assert answer.status_code == 200 and bad not in answer.content.decode()
    assert len(answer.content) < 300_000
    assert client_of("viewer").get(f"/api/workloads/{vm.pk}/guest").status_code == 200
