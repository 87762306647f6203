"""Hosts that Wake-on-LAN alone wakes: shut down by themselves, never fenced, and their power never read."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

import hosts.plane.host_effects
import hosts.plane.power_effects  # noqa: F401  registers the verbs
from datacenter.wake_proof import WakeProofs
from hosts import services
from hosts.errors import Invalid, Refused
from hosts.models import Bmc, Host, Operation
from hosts.operations.start import operation_start
from hosts.plane.config import PlaneConfig
from hosts.plane.context import context_for_trial
from hosts.plane.effects import QUIESCED, execute
from hosts.states import why_no_fencing, why_not
from tests.actors import client_of
from tests.factories import host_make, user_make
from tests.hosts.plane.commands import NOW, command
from tests.lab.flow import eventually
from tests.saga_samples import SAMPLES

MAC = "02:6c:62:0a:0b:0c"
URL = f"wol:{MAC}?broadcast=127.0.0.1"
State = Operation.State


def wol_host(name: str = "web-07", *, can_shut_down: bool = True, **values: object) -> Host:
    host = host_make(name, can_shut_down=can_shut_down, **values)
    Bmc.objects.filter(host=host).update(url=URL, system="", password_encrypted=b"")
    return Host.objects.select_related("bmc").get(pk=host.pk)


@pytest.mark.django_db
def test_a_host_whose_plane_may_not_shut_it_down_is_never_switched_off():
    host = wol_host(can_shut_down=False)

    for verb in ("power_off", "wake_drill"):
        assert "nothing can switch it off" in (why_not(host, verb) or "")
    assert "nothing can switch it off" in WakeProofs.why_no_power(host)
    assert WakeProofs.why_no_power(wol_host("web-08")) == ""


@pytest.mark.django_db
def test_a_host_is_woken_when_it_is_off_or_when_nobody_knows():
    host = wol_host(can_shut_down=False, power="unknown", last_seen_at=None)

    assert why_not(host, "power_on") is None


@pytest.mark.django_db
def test_a_host_is_never_fenced_and_its_power_never_cut():
    host = wol_host()

    assert "cannot be fenced" in (why_no_fencing(host) or "")
    with pytest.raises(Refused, match="cannot cut its power"):
        services.host_power_off(user_make("operator"), host, force=True)
    assert not Operation.objects.exists()


@pytest.mark.django_db
def test_a_fence_that_was_begun_all_the_same_sends_nothing_and_fails():
    trial = SAMPLES["host_power_on"][0]()  # for its planes
    Operation.objects.all().delete()
    host = Host.objects.get(name="beta")
    Bmc.objects.filter(host=host).update(url=URL)
    lost = timezone.now().isoformat()
    host.last_seen_at = None
    host.save()
    operation = operation_start(
        "host_fence",
        user=None,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), "lost_since": lost},
        host=host,
    )

    ended = trial.harness.run(operation)

    assert ended.state == State.FAILED and "cannot be fenced" in ended.message
    assert trial.harness.effects == []


@pytest.mark.django_db
def test_the_site_plane_reads_no_power_of_such_a_host(client: Client):
    host, other = wol_host(), host_make("web-01")
    token = services.plane_token_issue(user_make("administrator"), of=host.rack.site)
    other.rack = host.rack
    other.save()

    answer = client.get("/plane/v1/controllers", headers={"Authorization": f"Bearer {token}"})

    assert [row["host"] for row in answer.json()["controllers"]] == ["web-01"]


@pytest.mark.django_db
@pytest.mark.parametrize("url", [URL, f"wol:{MAC.upper()}?interface=eth1"])
def test_the_card_of_another_host_is_refused_by_whatever_way(url: str):
    wol_host("web-01")

    with pytest.raises(Invalid, match="BMC of web-01"):
        services.host_bmc_edit(user_make("administrator"), host_make(), url=url)


@pytest.mark.django_db
def test_a_password_for_wake_on_lan_is_refused():
    with pytest.raises(Invalid, match="no system, user or password"):
        services.host_bmc_edit(user_make("administrator"), host_make(), url=URL, password="secret")


@pytest.mark.django_db
def test_the_page_says_that_it_cannot_be_fenced():
    host = wol_host()

    assert "so it cannot be fenced" in client_of("viewer").get(f"/hosts/{host.pk}/").content.decode()


# -- the planes ---------------------------------------------------------------------------------------------


def plane(folder: Path, *words: str, answers: bool = False) -> object:
    config = PlaneConfig(name="lab", state_dir=str(folder), shutdown_command=words)
    drivers = {"answers": lambda address: answers}
    return context_for_trial("lab", directory=folder, drivers=drivers, config=config, clock=lambda: NOW)


def test_a_plane_shuts_its_host_down_by_its_own_command_once_it_is_closed(tmp_path: Path):
    context = plane(tmp_path, "touch", str(tmp_path / "down"))
    shut_down = command("host.shut_down", arguments={})

    assert "open to new work" in execute(context, shut_down)["error"]["message"]
    assert not (tmp_path / "down").exists()

    context.state.flag_set(QUIESCED, "1")
    assert execute(context, command("host.shut_down", arguments={}, step="again"))["error"] is None
    eventually((tmp_path / "down").exists, 5)


def test_a_plane_whose_configuration_names_no_command_shuts_nothing_down(tmp_path: Path):
    context = plane(tmp_path)
    context.state.flag_set(QUIESCED, "1")

    assert "may not be shut down" in execute(context, command("host.shut_down", arguments={}))["error"]["message"]


@pytest.mark.parametrize(("answers", "power"), [(True, "on"), (False, "off")])
def test_an_address_that_answers_is_that_of_a_host_that_is_on(tmp_path: Path, answers: bool, power: str):
    context = plane(tmp_path, answers=answers)

    report = execute(context, command("power.silence", arguments={"address": "10.0.0.9"}))

    assert report["output"] == {"power": power}


def test_a_command_in_the_configuration_is_a_list_of_words(tmp_path: Path):
    from hosts.plane.config import config_from_data

    base = {"name": "a", "state_dir": str(tmp_path)}
    assert config_from_data(base | {"shutdown_command": ["systemctl", "poweroff"]}).shutdown_command == (
        "systemctl",
        "poweroff",
    )
    assert config_from_data(base | {"shutdown_command": json.loads('"poweroff"')}).shutdown_command == ()


@pytest.mark.django_db
def test_off_is_not_believed_while_the_plane_was_just_heard():
    from hosts.sagas.power import SILENCE, _is_heard

    host = wol_host()

    assert _is_heard(host)
    host.last_seen_at = timezone.now() - SILENCE - timedelta(seconds=1)
    assert not _is_heard(host)
