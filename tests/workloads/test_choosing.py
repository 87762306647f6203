"""VM or container: what only a VM can do is a rule, and the rest is weighed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hosts.models import Operation
from tests.actors import client_of
from tests.factories import container_make, host_make, vm_make
from workloads.choosing import Wish, advise
from workloads.queries import creation_figures


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (Wish(kernel="windows", many=True), "A Windows container cannot run on a Linux host"),
        (Wish(kernel="other"), "programs need another"),
        (Wish(own_kernel=True, many=True), "a VM brings its own"),
    ],
)
def test_what_needs_another_kernel_must_be_a_vm_whatever_else_it_is(wish: Wish, sentence: str):
    advice = advise(wish)

    assert (advice.kind, advice.must) == ("vm", True)
    assert any(sentence in reason for reason in advice.reasons)


def test_without_a_reason_for_a_machine_of_its_own_it_is_a_container():
    assert (advise(Wish()).kind, advise(Wish()).must) == ("container", False)
    assert advise(Wish(many=True)).kind == "container"


@pytest.mark.parametrize("need", ["strangers", "no_break", "fixed_identity", "keeps_data"])
def test_a_need_that_a_vm_meets_better_is_said_and_weighed(need: str):
    alone, against = advise(Wish(**{need: True})), advise(Wish(**{need: True}, many=True))

    assert (alone.kind, alone.must) == ("vm", False)
    assert against.kind == "container" and any(alone.reasons[0] == sentence for sentence in against.other)


@pytest.mark.django_db
def test_the_figures_are_those_of_this_data_center():
    host = host_make(memory_mib=8192)
    vm_make(host, memory_mib=1024)
    container_make(host, memory_mib=64)
    now = timezone.now()
    for seconds in (2, 4, 9):
        operation = Operation.objects.create(kind="create_vm", state="done", finished_at=now)
        Operation.objects.filter(pk=operation.pk).update(created_at=now - timedelta(seconds=seconds))
    Operation.objects.create(kind="create_vm", state="failed", finished_at=now)

    vms, containers = creation_figures()

    assert (vms.count, vms.seconds, vms.memory_mib, vms.fit) == (3, 4.0, 1024, 8)
    assert (containers.count, containers.seconds, containers.fit) == (0, None, 128)


@pytest.mark.django_db
def test_the_page_answers_and_leads_on():
    host_make()
    page = client_of("operator").get("/workloads/choose/?kernel=windows&many=on").content.decode()

    assert "It must be a VM" in page and "A Windows container cannot run on a Linux host" in page
    assert "/workloads/new/vm/" in page
    assert client_of("viewer").get("/workloads/choose/").status_code == 200
    assert client_of("viewer").get("/workloads/choose/?kernel=solaris").status_code == 422
