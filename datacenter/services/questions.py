"""Questions to the planner: asked here, answered in the plan worker (`answering`). Asking changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import current_app
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from datacenter.models import Policy, Question
from hosts.access import may
from hosts.audit import audit_write
from hosts.errors import Forbidden, Invalid
from hosts.models import Host, Site
from hosts.publish import publish_change
from workloads.models import Workload

Kind = Question.Kind
BACKTEST_DAYS_MOST = 28
MANY = 500  # hosts or workloads that may be thought of at once


def ask_fit(user: AbstractBaseUser, workload: Workload) -> Question:
    """How many more like that workload fit at its site."""
    if workload.host is None:
        raise Invalid(f"Nobody knows on which host {workload.name} is. Choose another.", field="workload")
    title = f"How many more like {workload.name} fit?"
    return _ask(user, workload.host.rack.site, Kind.FIT, title, workload=str(workload.pk))


def ask_lose(user: AbstractBaseUser, site: Site, failures: int) -> Question:
    """Whether everything could be restarted after the loss of any so many hosts."""
    if not 1 <= failures <= 3:
        raise Invalid("Ask about the loss of one, two or three hosts.", field="failures")
    what = "any one host" if failures == 1 else f"any {failures} hosts"
    return _ask(user, site, Kind.LOSE, f"May {site.name} lose {what}?", failures=failures)


def ask_retire(user: AbstractBaseUser, site: Site) -> Question:
    """Which hosts nothing would need any more."""
    return _ask(user, site, Kind.RETIRE, f"Which hosts of {site.name} could be retired?")


def ask_sizes(user: AbstractBaseUser, site: Site) -> Question:
    """Which workloads were given far too much, or nearly too little."""
    return _ask(user, site, Kind.SIZES, f"Which workloads of {site.name} have the wrong size?")


def ask_what_if(
    user: AbstractBaseUser,
    site: Site,
    *,
    add_hosts: int = 0,
    like_host: Host | None = None,
    remove_hosts: Sequence[Host] = (),
    add_workloads: int = 0,
    like_workload: Workload | None = None,
) -> Question:
    """How few hosts would do if hosts and workloads were added or removed."""
    for count, like, field, what in (
        (add_hosts, like_host, "like_host", "host"),
        (add_workloads, like_workload, "like_workload", "workload"),
    ):
        if not 0 <= count <= MANY:
            raise Invalid(f"Think of at most {MANY} at once.", field=f"add_{what}s")
        if count and like is None:
            raise Invalid(f"Choose the {what} that the new ones are like.", field=field)
    for host in (*remove_hosts, *([like_host] if like_host else [])):
        if host.rack.site_id != site.pk:
            raise Invalid(f"{host.name} stands at another site.", field="remove_hosts")
    said = [
        f"{add_hosts} more like {like_host.name}" if add_hosts and like_host else "",
        f"without {', '.join(host.name for host in remove_hosts)}" if remove_hosts else "",
        f"{add_workloads} more like {like_workload.name}" if add_workloads and like_workload else "",
    ]
    if not any(said):
        raise Invalid("Say what is to change: hosts or workloads to add, or hosts to do without.")
    return _ask(
        user,
        site,
        Kind.WHAT_IF,
        f"What if: {', '.join(filter(None, said))}?"[:500],
        add_hosts=add_hosts,
        like_host=str(like_host.pk) if like_host else None,
        remove_hosts=[str(host.pk) for host in remove_hosts],
        add_workloads=add_workloads,
        like_workload=str(like_workload.pk) if like_workload else None,
    )


def ask_backtest(user: AbstractBaseUser, site: Site, days: int, demand_by: str = "") -> Question:
    """What the site's policy would have done in the last days; `demand_by` tries another of Policy.DemandBy."""
    if not 1 <= days <= BACKTEST_DAYS_MOST:
        raise Invalid(f"Replay from one day to {BACKTEST_DAYS_MOST}.", field="days")
    if demand_by and demand_by not in Policy.DemandBy.values:
        raise Invalid("There is no such way to plan.", field="demand_by")
    by = f", planning by {Policy.DemandBy(demand_by).label}" if demand_by else ""
    when = "the last day" if days == 1 else f"the last {days} days"
    title = f"What would the policy of {site.name} have done in {when}{by}?"
    return _ask(user, site, Kind.BACKTEST, title, days=days, demand_by=demand_by)


@transaction.atomic
def _ask(user: AbstractBaseUser, site: Site, kind: Question.Kind, title: str, **parameters: Any) -> Question:
    if not may(user, "operate", site):
        raise Forbidden("Asking the planner is for operators. Ask an administrator for that role.")
    question = Question.objects.create(
        site=site, kind=kind, title=title, parameters=parameters, asked_by_name=user.get_username()
    )
    audit_write(user, "question_ask", "question", question.pk, title[:200])
    publish_change("question", question.pk, "asked")
    transaction.on_commit(partial(ring_planner, str(question.pk)), robust=True)
    return question


def ring_planner(question_id: str) -> None:
    """Asks the plan worker to answer; a lost ring is repeated by the sweep."""
    current_app.send_task("datacenter.plan.answer", args=[question_id], queue="plan", expires=60)
