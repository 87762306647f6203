"""The week of a workload as people see it."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from datacenter.metrics.week import Week
from datacenter.models import DemandProfile
from datacenter.weeks import amount, weeks_of
from tests.actors import client_of
from tests.factories import host_make, vm_make

pytestmark = pytest.mark.django_db


def profiled(vm: Any, used: dict[int, float], resource: str = "cpu", samples: int = 48) -> None:
    week = Week()
    for hour, value in used.items():
        week.put(hour, [value] * samples, [value])
    DemandProfile.objects.create(workload=vm, resource=resource, hours=week.packed, refreshed_until=timezone.now())


def test_the_busiest_and_the_quietest_hour_are_named():
    vm = vm_make(host_make())
    profiled(vm, {hour: 1.0 for hour in range(168)} | {38: 3.5, 147: 0.25})

    (cpu,) = weeks_of(vm.pk)

    assert cpu.sentence == (
        "Busiest on Tuesday, 14:00 to 15:00 (p95 3.5 cores), quietest on Sunday, 03:00 to 04:00 (0.25 cores)."
    )
    assert (cpu.cells[38].level, cpu.cells[147].level, cpu.cells[38].column, cpu.cells[38].row) == (9, 1, 14, 1)
    assert "peak 3.5 cores; 48 samples" in cpu.cells[38].words


def test_an_even_week_is_called_even():
    vm = vm_make(host_make())
    profiled(vm, {hour: 2.0 for hour in range(168)})

    assert weeks_of(vm.pk)[0].sentence.startswith("It uses about the same all week")


def test_a_few_hours_are_not_made_more_of_than_they_are():
    vm = vm_make(host_make())
    profiled(vm, {hour: float(hour) for hour in range(5)})

    (cpu,) = weeks_of(vm.pk)

    assert cpu.sentence == "Only 5 of the 168 hours of the week are known yet."
    assert cpu.cells[100].level is None and "nothing known" in cpu.cells[100].words


def test_an_hour_that_was_hardly_seen_is_not_the_quietest():
    vm = vm_make(host_make())
    week = Week()
    for hour in range(168):
        week.put(hour, [0.0] if hour == 9 else [1.0 + (hour == 20)] * 48, [])
    DemandProfile.objects.create(workload=vm, resource="cpu", hours=week.packed, refreshed_until=timezone.now())

    assert "09:00" not in weeks_of(vm.pk)[0].sentence


def test_the_page_of_a_workload_draws_its_weeks_and_says_when_there_are_none():
    vm = vm_make(host_make())
    viewer = client_of("viewer")
    assert "Not known yet." in viewer.get(f"/workloads/{vm.pk}/").content.decode()

    profiled(vm, {hour: float(hour) for hour in range(168)})
    profiled(vm, {hour: 5e6 for hour in range(168)}, "network")
    page = viewer.get(f"/workloads/{vm.pk}/").content.decode()

    assert page.count('class="week"') == 2
    assert page.count('class="heat-9"') > 168
    assert "style=" not in page.split('id="week"')[1].split("</section>")[0]


@pytest.mark.parametrize(
    ("value", "resource", "words"),
    [
        (0.1234, "cpu", "0.123 cores"),
        (3 * 2**30, "memory", "3 GiB"),
        (1536.0, "disk", "1.5 KiB/s"),
        (900.0, "network", "900 B/s"),
        (None, "cpu", "not known"),
    ],
)
def test_amounts_are_said_as_people_say_them(value: float | None, resource: str, words: str):
    assert amount(value, resource) == words
