"""Every door with every actor. The doors are found in the URL map, the API and the websocket routes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils import timezone
from ninja.operation import PathView

from datacenter.api import api
from datacenter.models import AlertRule, MaintenanceRun, Plan, Question, Recovery, Silence
from datacenter.routing import websocket_urlpatterns
from hosts.access import may
from hosts.models import Decommission, Host, Operation, Site
from tests import factories
from tests.actors import ACTORS, ANONYMOUS, VERBS_OF, client_of, user_of
from tests.datacenter.alerts.world import a_channel, an_alert
from tests.sockets import socket_of
from workloads.models import Flavour, HostImage, ImageArrival, Registry, Schedule, Snapshot, Template

VERBS = {"view", "operate", "administer"}
# Doors that are no page of a role, each with the reason.
OTHER_DOORS = {
    "login": "where one gets in",
    "logout": "for whoever is logged in; by POST only",
    "password": "for whoever is logged in, and for their own password only",
    "plane-me": "a plane's token",
    "plane-controllers": "a plane's token",
    "plane-secret": "a plane's token",
    "plane-image": "a plane's token",
    "plane-blob": "a plane's token",
    "metrics": "an API token with the scope metrics",
    "prometheus": "an API token with the scope metrics",
}


@dataclass(frozen=True)
class Door:
    """One address. `verb` is what it declares, None where it declares nothing."""

    route: str
    name: str
    verb: str | None
    view: Any

    def __str__(self) -> str:
        return self.route


def doors(patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "") -> Iterator[Door]:
    """Every address of the URL map with the verb that its view declares."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name not in ("admin", "ninja"):  # these have their own tests below
                yield from doors(pattern.url_patterns, route)
        else:
            view = pattern.callback
            declared = getattr(view, "stowage_verb", getattr(getattr(view, "view_class", None), "stowage_verb", None))
            yield Door(route, pattern.name or "", declared, view)


def undeclared(found: Iterator[Door]) -> list[str]:
    return [door.route for door in found if door.verb not in VERBS and door.name not in OTHER_DOORS]


PAGES = [door for door in doors() if door.verb in VERBS]


@pytest.fixture
def world(db: None) -> dict[str, str]:
    """One thing of each kind, by the name under which addresses ask for it."""
    host = factories.host_make("web-host")
    vm = factories.vm_make(host, "web-vm")
    container = factories.container_make(host, "web-container")
    image = factories.image_make("tiny")
    site = Site.objects.get()
    plan = Plan.objects.create(site=site, state="proposed", requested_by_name="somebody")
    operation = Operation.objects.create(
        kind="start_workload", subject_kind="vm", subject_id=str(vm.pk), subject_name=vm.name, state="running"
    )
    return {
        "hosts": str(host.pk),
        "workloads": str(vm.pk),
        "containers": str(container.pk),
        "images": str(image.pk),
        "container-images": str(HostImage.objects.create(host=host, engine_id="sha256:1", names=["redis:7"]).pk),
        "decommissioned": str(Decommission.objects.create(host_name="gone", document={}, signature="x").pk),
        "storage": str(factories.pool_file_make(host.pool_mounts.get()).pk),
        "registries": str(Registry.objects.create(address="registry.example", username="puller").pk),
        "image-uploads": str(ImageArrival.objects.create(name="a", format="raw", size_bytes=1).pk),
        "templates": str(
            Template.objects.create(
                name="box", version=1, kind="container", wish={"image": "redis:7", "cpu_cores": 1, "memory_mib": 64}
            ).pk
        ),
        "backups": str(factories.backup_make(vm).pk),
        "flavours": str(Flavour.objects.create(name="small", cpu_cores=1, memory_mib=64, disk_gib=1).pk),
        "schedules": str(Schedule.objects.create(name="nightly", verb="stop", workload=vm, cron="0 22 * * *").pk),
        "plans": str(plan.pk),
        "operations": str(operation.pk),
        "maintenance": str(MaintenanceRun.objects.create(site=site, about="a rack", user_name="somebody").pk),
        "recoveries": str(Recovery.objects.create(host=host, lost_since=timezone.now()).pk),
        "alerts": str(an_alert(vm).pk),
        "alert-rules": str(AlertRule.objects.create(name="a rule", kind="event", event="host_lost").pk),
        "silences": str(Silence.objects.create(reason="x", by_name="somebody", until=timezone.now()).pk),
        "channels": str(a_channel("a channel").pk),
        "sites": str(site.pk),
        "snapshots": str(Snapshot.objects.create(vm=vm, name="before", taken_at=timezone.now()).pk),
        "questions": str(Question.objects.create(site=site, kind="retire", title="Which?").pk),
    }


def address(route: str, world: dict[str, str]) -> str:
    """The route with the ids of the world's things in it."""
    kind = "containers" if "<operated_console:" in route else route.split("/")[0]
    filled = re.sub(r"<uuid:\w+>", world.get(kind, str(uuid.uuid4())), route)
    filled = filled.replace("<host_verb:verb>", "power_on").replace("<workload_verb:verb>", "stop")
    filled = filled.replace("<watched_console:kind>", "vnc").replace("<operated_console:kind>", "exec")
    filled = (
        filled.replace("<slug:kind>", "retire").replace("<slug:target>", "vdb").replace("<int:site_id>", world["sites"])
    )
    filled = filled.replace("<int:number>", world["snapshots"])
    assert "<" not in filled, f"this test does not know how to fill {route}"
    return "/" + filled


def test_every_address_declares_its_verb() -> None:
    assert undeclared(doors()) == []


def test_an_address_without_a_verb_is_found() -> None:
    def forgotten(request: HttpRequest) -> HttpResponse:
        return HttpResponse("anybody may read this")

    assert undeclared(doors([path("forgotten/", forgotten)])) == ["forgotten/"]


# One test goes through all doors, each in a transaction that is taken back: hundreds of tests would spend their time
# on making the same rows. `wrong` names the doors that failed.


@contextmanager
def taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("actor", ACTORS)
def test_a_page_opens_to_whom_it_declares_and_to_nobody_else(actor: str, world: dict[str, str]) -> None:
    client = client_of(actor)

    def is_right(door: Door) -> bool:
        with taken_back():
            response = client.get(address(door.route, world))
        if actor == ANONYMOUS:
            return response.status_code == 302 and response["Location"].startswith("/login/")
        return response.status_code in ((200, 405) if door.verb in VERBS_OF[actor] else (403,))

    wrong = [door.route for door in PAGES if not is_right(door)]
    assert wrong == []


@pytest.mark.parametrize("actor", [actor for actor in ACTORS if "operate" not in VERBS_OF[actor]])
def test_who_may_not_operate_changes_nothing_by_post(actor: str, world: dict[str, str]) -> None:
    client = client_of(actor)
    before = rows_of_all_tables()

    statuses = {door.route: client.post(address(door.route, world), {"on": "1"}).status_code for door in PAGES}

    assert [route for route, status in statuses.items() if status not in (302, 403, 405)] == []
    assert rows_of_all_tables() == before


def test_a_post_without_its_csrf_token_is_refused(world: dict[str, str]) -> None:
    client = client_of("administrator", csrf=True)

    changing = [door for door in PAGES if door.verb != "view"]
    wrong = [door.route for door in changing if client.post(address(door.route, world)).status_code != 403]

    assert wrong == []


def test_a_get_never_writes(world: dict[str, str]) -> None:
    client = client_of("administrator")
    found = {}
    for door in PAGES:
        with CaptureQueriesContext(connection) as caught:
            client.get(address(door.route, world))
        found[door.route] = writes(caught)

    assert {route: queries for route, queries in found.items() if queries} == {}


def test_a_planted_write_is_found(db: None) -> None:
    with CaptureQueriesContext(connection) as caught:
        Site.objects.create(name="planted")

    assert len(writes(caught)) == 1


def writes(caught: CaptureQueriesContext) -> list[str]:
    reading = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "PRAGMA", "WITH", "EXPLAIN")
    return [
        query["sql"] for query in caught.captured_queries if not query["sql"].lstrip("( ").upper().startswith(reading)
    ]


def rows_of_all_tables() -> dict[str, int]:
    """How many rows each of our tables has."""
    labels = ("hosts", "workloads", "datacenter")
    return {
        model.__name__: model._default_manager.count() for model in apps.get_models() if model._meta.app_label in labels
    }


# -- the API ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """One method of one address of the API."""

    method: str
    path: str
    verb: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes() -> Iterator[Route]:
    for prefix, router in api._routers:
        for template, view in router.path_operations.items():
            yield from _routes_of(f"{prefix}{template}", view)


def _routes_of(template: str, view: PathView) -> Iterator[Route]:
    for operation in view.operations:
        callbacks = operation.auth_callbacks
        declared = getattr(callbacks[0], "stowage_verb", None) if len(callbacks) == 1 else None
        for method in operation.methods:
            yield Route(method, "/api/" + template.strip("/"), declared)


ROUTES = list(routes())


def api_address(route: Route, world: dict[str, str]) -> str:
    parts = route.path.split("/")
    kind = {"history": f"{parts[3]}s" if len(parts) > 3 else ""}.get(parts[2], parts[2])
    filled = re.sub(r"\{[\w:]*uuid\}", world.get(kind, str(uuid.uuid4())), route.path)
    return (
        filled.replace("{topic}", "cpu")
        .replace("{int:site_id}", world["sites"])
        .replace("{int:number}", world["snapshots"])
        .replace("{int:offset}", "0")
        .replace("{str:target}", "vdb")
        .replace("{str:mac}", "52:54:00:00:00:09")
    )


def test_every_route_of_the_api_declares_its_verb() -> None:
    assert len(ROUTES) > 25
    assert [str(route) for route in ROUTES if route.verb not in VERBS] == []


def test_only_reads_of_the_api_are_open_to_viewers() -> None:
    changing = {str(route) for route in ROUTES if route.method != "GET" and route.verb == "view"}

    # a viewer may look at a screen or a serial line; what else a ticket is for, its service asks the right for
    assert changing == {"POST /api/consoles/tickets"}


@pytest.mark.parametrize("actor", ACTORS)
def test_a_route_answers_whom_it_declares_and_nobody_else(actor: str, world: dict[str, str]) -> None:
    client = client_of(actor)
    before = rows_of_all_tables()

    def is_right(route: Route) -> bool:
        with taken_back():
            called = client.generic(route.method, api_address(route, world), "{}", content_type="application/json")
            is_same = rows_of_all_tables() == before
        if actor == ANONYMOUS:
            return called.status_code == 401 and is_same
        if route.verb not in VERBS_OF[actor]:
            return called.status_code == 403 and is_same
        return called.status_code not in (401, 403, 405, 500) and (route.method != "GET" or is_same)

    wrong = [str(route) for route in ROUTES if not is_right(route)]
    assert wrong == []


def test_a_route_that_changes_asks_for_the_csrf_token(world: dict[str, str]) -> None:
    client = client_of("administrator", csrf=True)

    def status(route: Route) -> int:
        return client.generic(route.method, api_address(route, world), "{}", content_type="text/plain").status_code

    wrong = [str(route) for route in ROUTES if route.method != "GET" and status(route) != 403]
    assert wrong == []


# -- the admin --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", ACTORS)
def test_the_admin_is_for_administrators(actor: str, db: None) -> None:
    client = client_of(actor)
    lists = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]

    for address_of_list in ["/admin/", *lists]:
        response = client.get(address_of_list)

        if actor == "administrator":
            assert response.status_code == 200, address_of_list
        else:
            assert response.status_code in (302, 403), address_of_list


def test_every_model_of_ours_is_in_the_admin() -> None:
    ours = [model for model in apps.get_models() if model._meta.app_label in ("hosts", "workloads", "datacenter")]

    assert [model.__name__ for model in ours if model not in admin.site._registry] == []


def test_no_page_of_the_admin_shows_a_secret(world: dict[str, str]) -> None:
    client = client_of("administrator")
    bmc = Host.objects.get().bmc

    page = client.get(f"/admin/hosts/bmc/{bmc.pk}/change/").content.decode()

    assert "password" not in page.lower().replace("/password", "").replace("password_change", "").replace(
        "change password", ""
    )


# -- websockets -------------------------------------------------------------------------------------------


def test_every_websocket_declares_its_verb() -> None:
    assert [
        str(one.pattern) for one in websocket_urlpatterns if one.callback.consumer_class.stowage_verb not in VERBS
    ] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("socket", websocket_urlpatterns, ids=lambda one: str(one.pattern))
async def test_a_websocket_opens_to_whom_it_declares(socket: URLPattern, actor: str) -> None:
    browser = await socket_of(actor, f"/{socket.pattern}")

    assert await browser.open() == (socket.callback.consumer_class.stowage_verb in VERBS_OF[actor])

    await browser.leave()


HOSTILE_ORIGINS = [
    None,
    "null",
    "https://evil.example",
    "http://localhost",  # the same host, another port
    "http://localhost:8401",
    "http://localhost.evil.example:8400",
    "http://evil-localhost:8400",
    "http://localhost:8400@evil.example",
    "http://localhost:8400/",
    "ftp://localhost:8400",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("socket", websocket_urlpatterns, ids=lambda one: str(one.pattern))
@pytest.mark.parametrize("origin", HOSTILE_ORIGINS)
async def test_a_websocket_refuses_a_foreign_origin(socket: URLPattern, origin: str | None) -> None:
    browser = await socket_of("administrator", f"/{socket.pattern}", origin)

    assert not await browser.open()


# -- the question itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_may_answers_by_role_alone(actor: str, verb: Any, db: None) -> None:
    assert may(user_of(actor), verb) == (verb in VERBS_OF[actor])
