"""Questions to the planner, with the real planner: asked, answered, refused, failed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.metrics.demand import Demand
from datacenter.models import Question
from datacenter.services import questions as services
from datacenter.services.answering import ANSWERS, question_answer, questions_unanswered
from hosts.errors import Forbidden, Invalid
from hosts.models import AuditRecord
from tests.datacenter.world import a_host, a_site, a_user, a_vm

pytestmark = pytest.mark.django_db


def answered(question: Question, demand: dict[str, Demand] | None = None) -> Question:
    question_answer(question, demand or {})
    question.refresh_from_db()
    return question


def test_every_kind_of_question_has_an_answer():
    assert set(ANSWERS) | {Question.Kind.BACKTEST} == set(Question.Kind)


def test_how_many_more_fit_is_what_the_memory_of_the_hosts_allows():
    vm = a_vm("web", a_host("alpha"), memory_mib=1024, cpu_cores=0.1)
    a_host("beta")

    question = answered(services.ask_fit(a_user(), vm))

    # 8,192 MiB less 15 % headroom hold six of 1,024 MiB; one is there
    assert (question.state, question.sentence.partition(" ")[0]) == ("answered", "11")
    assert {line["label"] for line in question.lines} == {"alpha", "beta"}


def test_two_small_hosts_may_lose_one_of_them_and_two_full_ones_may_not():
    small = a_vm("small", a_host("alpha"), memory_mib=1024)
    a_host("beta")
    assert "can be restarted" in answered(services.ask_lose(a_user(), a_site(), 1)).sentence

    for name in ("alpha", "beta"):
        a_vm(f"large-{name}", small.host if name == "alpha" else a_host("gamma"), memory_mib=5500)
    a_vm("third", a_site().racks.get().hosts.get(name="beta"), memory_mib=5500)
    refused = answered(services.ask_lose(a_user(), a_site(), 1))
    assert "can be restarted" not in refused.sentence


def test_a_host_that_nothing_needs_could_be_retired():
    a_vm("web", a_host("alpha"))
    a_host("idle")

    question = answered(services.ask_retire(a_user(), a_site()))

    assert "can be retired" in question.sentence


def test_a_workload_that_uses_a_tenth_of_its_memory_has_the_wrong_size():
    vm = a_vm("web", a_host("alpha"), memory_mib=4096)

    question = answered(services.ask_sizes(a_user(), a_site()), {str(vm.pk): Demand(0.9, 300.0)})

    assert [line["label"] for line in question.lines] == ["web"]
    assert "instead of 4,096" in question.lines[0]["text"]


def test_what_if_says_how_many_hosts_would_be_on_and_what_would_have_no_place():
    host = a_host("alpha")
    vm = a_vm("web", host, memory_mib=3000)
    spare = a_host("beta")

    question = answered(
        services.ask_what_if(a_user(), a_site(), add_workloads=3, like_workload=vm, remove_hosts=[spare])
    )

    assert question.title == "What if: without beta, 3 more like web?"
    assert "2 workloads would have no place" in question.sentence
    assert sum(line["label"] == "No place" for line in question.lines) == 2


def test_hosts_that_are_thought_of_take_what_else_has_no_place():
    host = a_host("alpha")
    vm = a_vm("web", host, memory_mib=6000)

    question = answered(
        services.ask_what_if(a_user(), a_site(), add_workloads=2, like_workload=vm, add_hosts=2, like_host=host)
    )

    assert question.sentence.startswith("Then 3 hosts would stay on instead of 1")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({}, "Say what is to change"),
        ({"add_hosts": 2}, "Choose the host"),
        ({"add_workloads": 2}, "Choose the workload"),
        ({"add_hosts": 501}, "at most 500"),
    ],
)
def test_a_what_if_that_says_nothing_is_refused_with_what_is_missing(wish: dict[str, int], sentence: str):
    a_host("alpha")

    with pytest.raises(Invalid, match=sentence):
        services.ask_what_if(a_user(), a_site(), **wish)

    assert not Question.objects.exists()


def test_a_viewer_may_not_ask():
    a_host("alpha")

    with pytest.raises(Forbidden):
        services.ask_retire(a_user("viewer"), a_site())


def test_what_was_asked_is_in_the_audit_log():
    a_host("alpha")

    services.ask_retire(a_user(), a_site())

    assert AuditRecord.objects.get(verb="question_ask").thing_name == "Which hosts of berlin could be retired?"


def test_a_workload_that_went_meanwhile_fails_the_question_with_a_sentence():
    vm = a_vm("web", a_host("alpha"))
    question = services.ask_fit(a_user(), vm)
    vm.delete()

    assert (answered(question).state, question.sentence) == (
        "failed",
        "The workload that was asked about is no longer there. Ask again.",
    )


def test_a_question_that_no_worker_took_up_is_rung_again_and_given_up_after_ten_minutes():
    a_host("alpha")
    question = services.ask_retire(a_user(), a_site())
    assert questions_unanswered() == []

    Question.objects.update(created_at=timezone.now() - timedelta(seconds=20))
    assert questions_unanswered() == [question.pk]

    Question.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert questions_unanswered() == []
    question.refresh_from_db()
    assert question.state == "failed"
