"""Pages with all charts of a host, a workload or a site, also compared with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from datacenter.metrics.topics import TOPICS, ThingKind
from hosts.doors import page
from hosts.models import Host, Site
from hosts.regions import text_asked
from workloads.models import Workload

COMPARED_MOST = 6  # as in history_api
NAMES_MOST = 500
SPANS = (
    (300, "5 min"),
    (3600, "1 h"),
    (6 * 3600, "6 h"),
    (86400, "24 h"),
    (7 * 86400, "7 d"),
    (30 * 86400, "30 d"),
    (365 * 86400, "1 y"),
)


@dataclass(frozen=True)
class Compared:
    """A host or workload beside the page's own, and the address of the page without it."""

    source: str
    name: str
    without: str


@dataclass(frozen=True)
class Chart:
    """One chart of the page: its title, where its lines come from, and its text alternative's beginning."""

    key: str
    title: str
    src: str
    label: str


@page("view")
def host_history(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host.objects.select_related("rack__site"), pk=uuid)
    crumbs = [(reverse("hosts"), "Hosts"), (reverse("host", args=[host.pk]), host.name)]
    return _page(request, "host", str(host.pk), host.name, crumbs)


@page("view")
def workload_history(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)
    crumbs = [(reverse("workloads"), "Workloads"), (reverse("workload", args=[workload.pk]), workload.name)]
    return _page(request, "workload", str(workload.pk), workload.name, crumbs)


@page("view")
def site_history(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    return _page(request, "site", str(site.pk), site.name, [(reverse("overview"), "Overview")])


def _page(request: HttpRequest, kind: ThingKind, id_: str, name: str, crumbs: list[tuple[str, str]]) -> HttpResponse:
    sources, sentence = _sources(request, kind)
    compared = _compared(request, sources)
    query = urlencode([("compare", one.source) for one in compared])
    charts = [
        Chart(topic.key, topic.title, f"/api/history/{kind}/{id_}/{topic.key}?{query}", f"{topic.title} of {name}")
        for topic in TOPICS[kind].values()
    ]
    context: dict[str, Any] = {
        "name": name,
        "crumbs": crumbs,
        "charts": charts,
        "compared": compared,
        "may_compare": kind != "site",
        "names": _names(kind),
        "sentence": sentence,
        "spans": SPANS,
    }
    return render(request, "datacenter/history.html", context, status=422 if sentence else 200)


def _sources(request: HttpRequest, kind: ThingKind) -> tuple[list[str], str]:
    """What the address compares with, the name typed last among it; and why that name was no good."""
    sources = list(dict.fromkeys(request.GET.getlist("compare")))[:COMPARED_MOST]
    added = text_asked(request, "add").strip()
    if not added or kind == "site":
        return sources, ""
    if len(sources) == COMPARED_MOST:
        return sources, f"At most {COMPARED_MOST} others are compared at once. Take one away first."
    found = _named(added)
    return ([*sources, found], "") if found else (sources, f"There is no host and no workload named {added}.")


def _named(name: str) -> str:
    """The host of that name, else the workload that still exists."""
    host = Host.objects.filter(name=name).first()
    if host is not None:
        return f"host:{host.pk}"
    workload = Workload.objects.filter(name=name).exclude(state=Workload.State.GONE).order_by("pk").first()
    return f"workload:{workload.pk}" if workload is not None else ""


def _compared(request: HttpRequest, sources: list[str]) -> list[Compared]:
    names = {
        f"host:{pk}": name for pk, name in Host.objects.filter(pk__in=_ids(sources, "host")).values_list("pk", "name")
    }
    rows = Workload.objects.filter(pk__in=_ids(sources, "workload")).values_list("pk", "name")
    names |= {f"workload:{pk}": name for pk, name in rows}
    known = [source for source in sources if source in names]
    return [Compared(one, names[one], _address(request, [other for other in known if other != one])) for one in known]


def _ids(sources: list[str], kind: str) -> list[UUID]:
    found = []
    for source in sources:
        before, _, id_ = source.partition(":")
        try:
            found += [UUID(id_)] if before == kind else []
        except ValueError:
            continue
    return found


def _address(request: HttpRequest, sources: list[str]) -> str:
    """This page's address with those to compare with and the range that it has."""
    kept = [(name, request.GET[name]) for name in ("start", "end", "last") if name in request.GET]
    return f"{request.path}?{urlencode([*(('compare', one) for one in sources), *kept])}"


def _names(kind: ThingKind) -> list[str]:
    """Names to choose from, of things alike; a larger site's others are typed."""
    rows = Host.objects.order_by("name") if kind == "host" else Workload.objects.exclude(state="gone").order_by("name")
    return [] if kind == "site" else list(rows.values_list("name", flat=True)[:NAMES_MOST])
