from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.test import Client

from hosts import consumers
from hosts.live_feed import feed_here
from hosts.publish import GROUP
from tests.actors import client_of
from tests.sockets import Socket, socket_of

pytestmark = pytest.mark.django_db(transaction=True)
HOST = f"host:{uuid.uuid4()}"
OTHER = f"host:{uuid.uuid4()}"


async def ring(**event: Any) -> None:
    await get_channel_layer().group_send(GROUP, event)


async def open_socket(client: Client | None = None) -> Socket:
    socket = Socket(client) if client else await socket_of("viewer")
    assert await socket.open()
    return socket


async def test_a_change_reaches_an_open_page():
    socket = await open_socket()

    await ring(type="live.change", kind="host", id="7", what="observed")

    heard = await socket.hear()
    assert heard == {"sequence": 1, "changes": [{"kind": "host", "id": "7", "what": "observed"}]}
    await socket.leave()


async def watching(*sources: str) -> Socket:
    """An open page that watches, and is known to."""
    socket = await open_socket()
    await socket.say({"watch": list(sources)})
    while not all(feed_here().is_watched(source) for source in sources):
        await asyncio.sleep(0.01)
    return socket


async def test_only_watched_samples_are_sent():
    socket = await watching(HOST)

    feed_here().hand_out(OTHER, '{"cpu_used_cores":2}')
    feed_here().hand_out(HOST, '{"cpu_used_cores":1}')

    assert await socket.hear() == {"sequence": 1, "samples": {HOST: {"cpu_used_cores": 1}}}
    await socket.leave()


async def test_of_many_samples_of_one_source_the_newest_is_sent():
    socket = await watching(HOST)

    for number in range(50):
        feed_here().hand_out(HOST, f'{{"cpu_used_cores":{number}}}')

    assert (await socket.hear())["samples"] == {HOST: {"cpu_used_cores": 49}}
    assert await socket.hears_nothing()
    await socket.leave()


async def test_a_page_that_left_or_looks_elsewhere_is_handed_nothing():
    stays, leaves = await watching(HOST), await watching(HOST)
    assert feed_here().is_watched(HOST)

    await leaves.leave()
    assert feed_here().is_watched(HOST)
    await stays.say({"watch": [OTHER]})
    while not feed_here().is_watched(OTHER):
        await asyncio.sleep(0.01)

    assert not feed_here().is_watched(HOST)
    await stays.leave()
    assert not feed_here().is_watched(OTHER)


async def test_messages_are_counted_without_a_gap():
    socket = await open_socket()

    numbers = []
    for number in range(3):
        await ring(type="live.change", kind="host", id=str(number), what="observed")
        numbers.append((await socket.hear())["sequence"])

    assert numbers == [1, 2, 3]
    await socket.leave()


async def test_too_many_pending_changes_become_one_read_everything_again(monkeypatch):
    monkeypatch.setattr(consumers, "CHANGES_MOST", 5)
    socket = await open_socket()

    for number in range(8):
        await ring(type="live.change", kind="host", id=str(number), what="observed")

    heard = await socket.hear()
    assert heard["again"] is True
    assert len(heard["changes"]) <= 5
    await socket.leave()


@pytest.mark.parametrize(
    "nonsense", ["", "{", "[]", '{"watch": 7}', '{"watch": [null, {}, "host:x"]}', "[" * 5000, '{"watch": ["host:{0"]}']
)
async def test_nonsense_from_a_page_is_passed_over(nonsense: str):
    socket = await open_socket()

    await socket.say(nonsense)
    await ring(type="live.change", kind="host", id="7", what="observed")

    assert (await socket.hear())["sequence"] == 1
    await socket.leave()


async def test_a_logout_closes_the_sockets_of_that_login_at_once():
    client = await sync_to_async(client_of)("viewer")
    socket, other = await open_socket(client), await open_socket()

    await sync_to_async(client.post)("/logout/")

    assert await socket.hear(1) is None
    assert socket.code == consumers.LOGGED_OUT
    assert await other.hears_nothing()
    await other.leave()


@pytest.mark.parametrize("loss", ["role", "account", "password", "session"])
async def test_whoever_loses_login_or_right_loses_the_socket(loss: str, monkeypatch):
    monkeypatch.setattr(consumers, "RECHECK_S", 0.05)
    client = await sync_to_async(client_of)("viewer")
    socket = await open_socket(client)

    await sync_to_async(lose)(client, loss)

    assert await socket.hear(3) is None
    assert socket.code == consumers.LOGGED_OUT


def lose(client: Client, loss: str) -> None:
    user = User.objects.get()
    if loss == "role":
        user.groups.clear()
    elif loss == "account":
        User.objects.update(is_active=False)
    elif loss == "password":
        user.set_password("another one, quite long")
        user.save()
    else:
        client.session.flush()


async def test_a_page_with_nothing_to_hear_hears_that_the_line_stands(monkeypatch):
    monkeypatch.setattr(consumers, "SPEAK_AT_LEAST_S", 0.1)
    socket = await open_socket()

    assert await socket.hear(2) == {"sequence": 1}
    await socket.leave()
