"""Pages of consoles and the buttons that lead to them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from hosts.models import Host
from tests import factories
from tests.actors import client_of
from workloads.models import Console, ConsoleLog, Workload
from workloads.services.console_logs import log_path


@pytest.fixture
def vm(db: None) -> Workload:
    host = factories.host_make("node-01", console_address="10.0.0.1", console_port=4000)
    return factories.vm_make(host, "web-1")


@pytest.fixture
def container(vm: Workload) -> Workload:
    return factories.container_make(vm.host, "cache")


def page_of(actor: str, address: str) -> str:
    response = client_of(actor).get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_a_vm_has_a_screen_and_a_serial_line(vm: Workload):
    page = page_of("operator", f"/workloads/{vm.pk}/")

    assert f'href="/workloads/{vm.pk}/console/vnc/"' in page
    assert f'href="/workloads/{vm.pk}/console/serial/"' in page
    assert "/console/exec/" not in page


def test_a_container_has_a_shell_and_can_be_attached_to(container: Workload):
    page = page_of("operator", f"/workloads/{container.pk}/")

    assert f'href="/workloads/{container.pk}/console/exec/"' in page
    assert f'href="/workloads/{container.pk}/console/attach/"' in page
    assert "/console/vnc/" not in page


def test_the_button_of_a_console_that_cannot_be_opened_says_why(vm: Workload):
    Workload.objects.filter(pk=vm.pk).update(state="stopped")

    page = page_of("operator", f"/workloads/{vm.pk}/")

    assert "/console/vnc/" not in page
    assert "web-1 is stopped, so it has no console. Start it first." in page


def test_a_viewer_looks_on_and_gets_nothing_to_type_with(vm: Workload):
    page = page_of("viewer", f"/workloads/{vm.pk}/console/serial/")

    assert " view-only>" in page
    assert 'data-act="take"' not in page


def test_an_operator_types(vm: Workload):
    page = page_of("operator", f"/workloads/{vm.pk}/console/serial/")

    assert " view-only>" not in page
    assert 'data-act="take"' in page


def test_a_viewers_button_of_a_containers_shell_says_whom_to_ask(container: Workload):
    page = page_of("viewer", f"/workloads/{container.pk}/")

    assert "/console/exec/" not in page
    assert "Ask an administrator for the role of operator." in page


@pytest.mark.parametrize("kind", ["exec", "attach"])
def test_a_vm_has_no_page_of_a_containers_console(vm: Workload, kind: str):
    assert client_of("operator").get(f"/workloads/{vm.pk}/console/{kind}/").status_code == 404


def test_a_console_page_loads_nothing_from_elsewhere_and_allows_no_inline_style(vm: Workload):
    response = client_of("operator").get(f"/workloads/{vm.pk}/console/vnc/")

    assert "style-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert " style=" not in response.content.decode()


def test_only_administrators_see_the_way_to_a_hosts_shell(vm: Workload):
    Host.objects.update(is_shell_enabled=True)

    assert f'href="/hosts/{vm.host_id}/shell/"' in page_of("administrator", f"/hosts/{vm.host_id}/")
    assert "/shell/" not in page_of("operator", f"/hosts/{vm.host_id}/")


def test_the_button_of_a_shell_that_is_not_enabled_says_how_to_enable_it(vm: Workload):
    page = page_of("administrator", f"/hosts/{vm.host_id}/")

    assert "/shell/" not in page
    assert "host_shell" in page


def test_logs_of_a_serial_line_are_listed_for_operators_and_removed_by_them(vm: Workload):
    log = ConsoleLog.objects.create(
        thing_id=vm.pk, thing_name=vm.name, user_name="anna", size_bytes=3, ended_at=timezone.now()
    )
    path = log_path(log.pk)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    assert f"/api/consoles/logs/{log.pk}" in page_of("operator", f"/workloads/{vm.pk}/")
    assert str(log.pk) not in page_of("viewer", f"/workloads/{vm.pk}/")

    client_of("operator").post(f"/console-logs/{log.pk}/remove/")

    assert not ConsoleLog.objects.exists()
    assert not path.exists()


@pytest.fixture
def opened(vm: Workload) -> Console:
    now = timezone.now()
    times = {"issued_at": now, "used_at": now, "seen_at": now}
    return Console.objects.create(
        user=factories.user_make("operator"), kind="vnc", thing_id=vm.pk, thing_name=vm.name, **times
    )


def test_who_has_a_console_open_is_shown_to_operators(vm: Workload, opened: Console):
    assert "Consoles open now" in page_of("operator", f"/workloads/{vm.pk}/")
    assert "Consoles open now" not in page_of("viewer", f"/workloads/{vm.pk}/")


def test_administrators_end_somebodys_console(vm: Workload, opened: Console):
    assert "End it" not in page_of("operator", f"/workloads/{vm.pk}/")
    assert "End it" in page_of("administrator", f"/workloads/{vm.pk}/")

    client_of("administrator").post(f"/consoles/{opened.pk}/end/")

    opened.refresh_from_db()
    assert opened.ended_at is not None
    assert "Consoles open now" not in page_of("operator", f"/workloads/{vm.pk}/")
