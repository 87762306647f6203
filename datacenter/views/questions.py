"""Questions to the planner: six forms on one page, and a page for each answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from datacenter.forms import BacktestForm, FitForm, LoseForm, SiteForm, WhatIfForm
from datacenter.models import Question
from datacenter.services import questions as services
from hosts.access import may
from hosts.doors import form_page, page
from hosts.errors import NotFound, StowageError
from hosts.forms import add_error
from hosts.regions import render_page

PAGE_ROWS = 20
# kind -> its form and what asks it with the form's values
_ASKED: dict[str, tuple[type[Any], Any]] = {
    Question.Kind.FIT: (FitForm, services.ask_fit),
    Question.Kind.LOSE: (LoseForm, services.ask_lose),
    Question.Kind.RETIRE: (SiteForm, services.ask_retire),
    Question.Kind.SIZES: (SiteForm, services.ask_sizes),
    Question.Kind.WHAT_IF: (WhatIfForm, services.ask_what_if),
    Question.Kind.BACKTEST: (BacktestForm, services.ask_backtest),
}


@page("view")
def question_list(request: HttpRequest) -> HttpResponse:
    return _list(request, {})


@form_page("operate")
def question_ask(request: HttpRequest, kind: str) -> HttpResponse:
    """Asks by POST; a form with an error comes back with the others around it, and they stand there by GET too."""
    if kind not in _ASKED:
        raise NotFound("There is no such question.")
    if request.method != "POST":
        return _list(request, {})
    make, ask = _ASKED[kind]
    form = make(request.POST, prefix=kind)
    if form.is_valid():
        try:
            question = ask(request.user, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("question", uuid=question.pk)
    return _list(request, {kind: form}, status=422)


def _list(request: HttpRequest, filled: dict[str, Any], status: int = 200) -> HttpResponse:
    forms = {kind: filled.get(kind) or make(prefix=kind) for kind, (make, _) in _ASKED.items()}
    context = {
        "forms": forms,
        "page": Paginator(Question.objects.all(), PAGE_ROWS).get_page(request.GET.get("page")),
        "may_operate": may(request.user, "operate"),
    }
    return render_page(request, "datacenter/questions.html", "datacenter/_questions.html", context, status)


@page("view")
def question_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    question = get_object_or_404(Question.objects.select_related("site"), pk=uuid)
    return render_page(request, "datacenter/question.html", "datacenter/_question.html", {"question": question})
