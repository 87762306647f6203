"""Answering questions, in the plan worker: the data center is read, the planner asked, its answer kept in words."""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from datacenter import planner as engine
from datacenter.metrics.demand import Demand
from datacenter.models import Policy, Question
from datacenter.planner import model as planner
from datacenter.planner.whatif import Changes
from datacenter.services.backtesting import backtest_of
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts.errors import NotFound, StowageError
from hosts.publish import publish_change

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(minutes=10)
RING_AGAIN_AFTER = timedelta(seconds=15)
LINES_MOST = 200


@dataclass(frozen=True)
class Answer:
    """One sentence, and what it rests on as pairs of a name and a text."""

    sentence: str
    lines: tuple[tuple[str, str], ...] = ()


Asked = dict[str, Any]
Answering = Callable[[planner.DataCenter, planner.Policy, Asked], Answer]


def question_answer(question: Question, demand: dict[str, Demand]) -> None:
    """Fills the question: ANSWERED, or FAILED with a sentence. Loads the planner; called by the plan worker alone."""
    state = Question.State.ANSWERED
    try:
        world = data_center_read(question.site, timezone.now(), demand)
        policy = policy_of(question.site)
        if question.kind == Question.Kind.BACKTEST:
            answer = _backtest(world, policy, question.parameters)
        else:
            answer = ANSWERS[Question.Kind(question.kind)](world, planner_policy(policy), question.parameters)
    except StowageError as error:
        state, answer = Question.State.FAILED, Answer(error.message)
    except Exception as error:
        log.exception("Question %s broke the planner", question.pk)
        sentence = f"The planner made a mistake ({type(error).__name__}); the log of the plan worker has it."
        state, answer = Question.State.FAILED, Answer(sentence)
    _write(question.pk, state, answer)


def _write(question_id: uuids.UUID, state: Question.State, answer: Answer) -> None:
    lines = [{"label": label, "text": text} for label, text in answer.lines[:LINES_MOST]]
    Question.objects.filter(pk=question_id, state=Question.State.ASKED).update(
        state=state, sentence=answer.sentence, lines=lines, answered_at=timezone.now()
    )
    publish_change("question", question_id, str(state))


def _fit(world: planner.DataCenter, policy: planner.Policy, asked: Asked) -> Answer:
    workload = _workload(world, asked["workload"])
    fit = engine.how_many_fit(world, policy, _fresh(workload))
    names = _host_names(world)
    lines = [(names[host], f"{count} more") for host, count in fit.on_hosts.items()]
    lines += [(names[host], sentence) for host, sentence in fit.why_not.items()]
    return Answer(fit.sentence, tuple(lines))


def _lose(world: planner.DataCenter, policy: planner.Policy, asked: Asked) -> Answer:
    survival = engine.survives(world, policy, int(asked["failures"]))
    names = _host_names(world)
    labels = {row.id: row.label for row in world.workloads}
    lines = tuple((labels[one], f"would restart on {names[host]}") for one, host in survival.restart_on.items())
    return Answer(survival.sentence, lines)


def _retire(world: planner.DataCenter, policy: planner.Policy, _asked: Asked) -> Answer:
    found = engine.what_to_retire(world, policy)
    hosts = {host.id: host for host in world.hosts}
    lines = [(hosts[one].label, f"draws {hosts[one].idle_watts:,.0f} W idle") for one in found.hosts]
    lines += [(hosts[kept.host].label, kept.sentence) for kept in found.plan.hosts_kept]
    return Answer(found.sentence, tuple(lines))


def _sizes(world: planner.DataCenter, policy: planner.Policy, _asked: Asked) -> Answer:
    found = engine.right_sizes(world, policy)
    labels = {row.id: row.label for row in world.workloads}
    if not found:
        return Answer("Every workload whose use is known has a size that suits it.")
    sentence = f"{len({size.workload for size in found})} workloads would do with another size."
    return Answer(sentence, tuple((labels[size.workload], size.sentence) for size in found))


def _what_if(world: planner.DataCenter, policy: planner.Policy, asked: Asked) -> Answer:
    changes = Changes(
        add_hosts=_more_hosts(world, asked),
        remove_hosts=tuple(asked["remove_hosts"]),
        add_workloads=_more_workloads(world, asked),
    )
    found = engine.what_if(world, policy, changes)
    names = _host_names(found.data_center) | _host_names(world)
    lines = [("No place", row.sentence) for row in found.unplaced]
    lines += [("Proven minimum", found.then.lower_bound.sentence)]
    lines += [(names[host], "would be switched off") for host in found.then.hosts_to_power_off]
    lines += [(names[kept.host], kept.sentence) for kept in found.then.hosts_kept]
    return Answer(found.sentence, tuple(lines))


def _backtest(world: planner.DataCenter, policy: Policy, asked: Asked) -> Answer:
    """The one answer that is made from the past: it asks the metrics store."""
    policy.demand_by = asked.get("demand_by") or policy.demand_by
    return Answer(*backtest_of(world, policy, int(asked["days"])))


def _more_hosts(world: planner.DataCenter, asked: Asked) -> tuple[planner.Host, ...]:
    if not asked["add_hosts"]:
        return ()
    like = next((host for host in world.hosts if host.id == asked["like_host"]), None)
    if like is None:
        raise NotFound("The host that the new ones are like is no longer there. Ask again.")
    numbers = range(1, int(asked["add_hosts"]) + 1)
    return tuple(
        replace(
            like, id=f"new host {n}", name=f"new {like.label} {n}", is_on=True, accepts_work=True, accepts_reason=""
        )
        for n in numbers
    )


def _more_workloads(world: planner.DataCenter, asked: Asked) -> tuple[planner.Workload, ...]:
    if not asked["add_workloads"]:
        return ()
    like = _fresh(_workload(world, asked["like_workload"]))
    numbers = range(1, int(asked["add_workloads"]) + 1)
    return tuple(replace(like, id=f"new workload {n}", name=f"new {like.label} {n}") for n in numbers)


def _workload(world: planner.DataCenter, workload_id: str) -> planner.Workload:
    found = next((row for row in world.workloads if row.id == workload_id), None)
    if found is None:
        raise NotFound("The workload that was asked about is no longer there. Ask again.")
    return found


def _fresh(like: planner.Workload) -> planner.Workload:
    """One like it that is nowhere yet, bound to no host and to no group."""
    return replace(like, host="", pinned=False, pinned_reason="", movable=True, immovable_reason="", anti_affinity=())


def _host_names(world: planner.DataCenter) -> dict[str, str]:
    return {host.id: host.label for host in world.hosts}


ANSWERS: dict[Question.Kind, Answering] = {
    Question.Kind.FIT: _fit,
    Question.Kind.LOSE: _lose,
    Question.Kind.RETIRE: _retire,
    Question.Kind.SIZES: _sizes,
    Question.Kind.WHAT_IF: _what_if,
}


def questions_unanswered() -> list[uuids.UUID]:
    """Questions that still wait for a plan worker; those that have waited for too long fail with a sentence."""
    waiting = Question.objects.filter(state=Question.State.ASKED)
    for pk in waiting.filter(created_at__lt=timezone.now() - ANSWER_WITHIN).values_list("pk", flat=True):
        _write(pk, Question.State.FAILED, Answer("The planner gave no answer within ten minutes. Does its worker run?"))
    return list(waiting.filter(created_at__lt=timezone.now() - RING_AGAIN_AFTER).values_list("pk", flat=True))
