"""A gateway over real TLS and real sockets, with what lies behind it made up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from hosts.console_wire import CONTROL, frame_header, signed_request
from hosts.console_wire import ConsoleRequest as Asked
from hosts.plane.gateway import peer as peers_of_gateway
from tests.hosts.plane.gateway.peers import BOX, HEIGHT, VM, WIDTH, Bench, Frames, bench_open
from workloads.consoles.link import CONTEXT, GatewayLink, LinkFailed


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_open(tmp_path) as bench:
        yield bench


async def refused(bench: Bench, kind: str, **more: object) -> LinkFailed:
    with pytest.raises(LinkFailed) as failure:
        await bench.open(kind, **more)
    return failure.value


async def bare(link: GatewayLink, count: int) -> bytes:
    """The next bytes of a bare stream, exactly so many."""
    data = b""
    async with asyncio.timeout(10):
        while len(data) < count:
            more = await link.read()
            assert more, "it hung up"
            data += more
    assert len(data) == count
    return data


async def greet(link: GatewayLink) -> None:
    await bare(link, 12)
    link.write(b"RFB 003.008\n")
    await bare(link, 2)
    link.write(b"\x01")
    await bare(link, 4)
    link.write(b"\x00")
    await bare(link, 28)


# -- who may connect


async def test_the_certificate_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    async with bench_open(tmp_path) as first:
        mode = os.stat(tmp_path / "console.pem").st_mode & 0o777
    async with bench_open(tmp_path) as second:
        assert mode == 0o600
        assert first.place.sha256 == second.place.sha256


async def test_another_machine_at_the_gateways_address_is_told_nothing(bench: Bench) -> None:
    failure = await refused(bench, "serial", place=replace(bench.place, sha256="0" * 64))

    assert "Another machine" in failure.sentence
    assert bench.line.writers == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"key": "x" * 64}, "not signed"), ({"host": "beta"}, "another host")],
)
async def test_only_the_control_plane_opens_consoles_here(bench: Bench, change: dict[str, str], sentence: str) -> None:
    """S12, S31"""
    place = replace(bench.place, **change)
    failure = await refused(bench, "serial", place=place, host=place.host)

    assert (failure.kind, sentence in failure.sentence) == ("denied", True)
    assert bench.line.writers == []


async def stream_to(bench: Bench) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", bench.place.port, ssl=CONTEXT)


async def frame_from(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readexactly(4), 10)
    return await reader.readexactly(int.from_bytes(head[1:], "big"))


async def test_a_request_that_was_recorded_opens_nothing_on_another_connection(bench: Bench) -> None:
    """S11"""
    reader, writer = await stream_to(bench)
    told = json.loads(await frame_from(reader))
    asked = Asked("alpha", "serial", VM, 4, False, "ann", told["challenge"], 9e9)
    body = signed_request(bench.place.key, asked)
    writer.write(frame_header(CONTROL, len(body)) + body)
    assert b"opened" in await frame_from(reader)
    writer.close()

    reader, writer = await stream_to(bench)
    await frame_from(reader)
    writer.write(frame_header(CONTROL, len(body)) + body)

    assert b"another connection" in await frame_from(reader)
    writer.close()


async def test_plain_text_gets_no_answer(bench: Bench) -> None:
    """S55: it speaks TLS or nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.place.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")

    answer = await asyncio.wait_for(reader.read(), 10)

    assert b"challenge" not in answer
    writer.close()


async def test_old_tls_is_refused(bench: Bench) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", bench.place.port, ssl=old)


async def test_who_says_nothing_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S49, S50"""
    monkeypatch.setattr(peers_of_gateway, "HELLO_S", 0.2)
    async with bench_open(tmp_path) as bench:
        reader, writer = await stream_to(bench)
        await frame_from(reader)

        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_strangers_of_one_address_are_counted_and_the_rest_turned_away(bench: Bench) -> None:
    """S48: a flood of connections costs a bounded number of them; when they go, consoles open again."""
    crowd = [await asyncio.open_connection("127.0.0.1", bench.place.port) for _ in range(40)]
    await asyncio.sleep(0.1)
    assert sum(bench.gateway._strangers.values()) <= 16

    for _, writer in crowd:
        writer.transport.abort()
    await asyncio.sleep(0.1)

    link = await bench.open("serial")
    assert link.opened["writer"] is True
    link.close()


async def test_a_frame_that_never_ends_is_not_waited_for(bench: Bench) -> None:
    reader, writer = await stream_to(bench)
    await frame_from(reader)
    writer.write(frame_header(CONTROL, 2**24 - 1) + b"x" * 1000)

    assert b"refused" in await frame_from(reader)
    writer.close()


# -- which console is meant


async def test_a_console_of_another_generation_is_refused(bench: Bench) -> None:
    """S11"""
    assert (await refused(bench, "serial", generation=3)).kind == "stale"
    assert (await refused(bench, "vnc", generation=5)).kind == "stale"
    assert (await refused(bench, "exec", generation=3)).kind == "stale"


async def test_a_vm_that_is_not_here_is_absent(bench: Bench) -> None:
    bench.consoles.vms.clear()

    assert (await refused(bench, "serial")).kind == "absent"


async def test_a_host_without_a_shell_offers_none(bench: Bench) -> None:
    failure = await refused(bench, "shell")

    assert failure.kind == "denied" and "not enabled" in failure.sentence


@pytest.mark.parametrize("kind", ["exec", "attach", "shell"])
async def test_who_only_looks_runs_nothing(bench: Bench, kind: str) -> None:
    """S13, S18: the last hop asks too."""
    assert (await refused(bench, kind, view_only=True)).kind == "denied"
    assert bench.engine.asked == []


async def test_a_log_is_read_by_who_only_looks_and_ends_with_the_engines(bench: Bench) -> None:
    log = Frames(await bench.open("log", view_only=True, command=("10",)))
    await log.says(b"one\r\ntwo\r\n")

    assert "follow=1" in bench.engine.log_asked and "&since=" in bench.engine.log_asked
    bench.engine.log_ends.set()
    assert "log ends here" in await log.tells("ended")


async def test_processes_are_shown_in_columns_by_who_only_looks(bench: Bench) -> None:
    top = Frames(await bench.open("top", view_only=True))

    await top.says(b"PID   CMD\r\n1     sh -c evil?[2J\r\n1234  sleep 5\r\n")


async def test_what_a_container_changed_is_shown_once(bench: Bench) -> None:
    diff = Frames(await bench.open("diff", view_only=True))

    await diff.says(b"added    /tmp/x\r\nchanged  /etc\r\n")
    assert "until now" in await diff.tells("ended")


async def test_a_log_begins_some_minutes_ago_and_at_nothing_else(bench: Bench) -> None:
    assert (await refused(bench, "log", command=("1&tail=all",))).kind == "denied"


async def test_a_frozen_hypervisor_costs_its_own_callers_alone(tmp_path: Path) -> None:
    async with bench_open(tmp_path) as bench:
        bench.consoles.freeze = 0.5
        waiting = [asyncio.create_task(bench.open("serial")) for _ in range(6)]

        shell = Frames(await bench.open("exec"))
        await shell.says(b"/ # ")

        assert not any(task.done() for task in waiting)
        for task in waiting:
            (await task).close()
        shell.link.close()


# -- screens


async def test_a_screen_is_passed_on_and_always_shared(bench: Bench) -> None:
    link = await bench.open("vnc")
    await greet(link)
    link.write(b"\x03\x00" + bytes(4) + WIDTH.to_bytes(2, "big") + HEIGHT.to_bytes(2, "big"))

    picture = await bare(link, 16 + WIDTH * HEIGHT * 4)

    assert picture[16:] == bytes(WIDTH * HEIGHT * 4)
    assert bench.screen.shared == [1]
    link.close()


async def test_who_only_looks_presses_no_key(bench: Bench) -> None:
    """S13"""
    looking, acting = await bench.open("vnc", view_only=True), await bench.open("vnc")
    for number, link in enumerate((looking, acting)):
        await greet(link)
        link.write(bytes([4, 1, 0, 0, 0, 0, 0, 65 + number]))
        link.write(b"\x03\x00" + bytes(4) + b"\x00\x01\x00\x01")
        await bare(link, 20)  # whatever was to be heard before it was heard

    assert bench.screen.keys == [66]
    looking.close()
    acting.close()


async def test_a_screen_that_closes_hangs_up(bench: Bench) -> None:
    link = await bench.open("vnc")
    await greet(link)

    await bench.screen.stop()

    assert await asyncio.wait_for(link.read(), 10) == b""


async def test_a_viewer_that_takes_nothing_makes_qemu_wait_and_nobody_else(bench: Bench) -> None:
    """S49: what is kept for it is bounded; the other viewer of the same screen sees on."""
    slow, quick = await bench.open("vnc"), await bench.open("vnc")
    for link in (slow, quick):
        await greet(link)
    whole = b"\x03\x00" + bytes(4) + WIDTH.to_bytes(2, "big") + HEIGHT.to_bytes(2, "big")
    asked = 2000
    slow.write(whole * asked)
    await asyncio.sleep(0.5)
    for _ in range(20):
        quick.write(whole)
        await bare(quick, 16 + WIDTH * HEIGHT * 4)

    assert slow._unread_bytes < 2 * 2**20
    sent = sum(writer.transport.get_write_buffer_size() for writer in bench.screen.writers)
    assert sent < asked * WIDTH * HEIGHT * 4
    slow.close()
    quick.close()


# -- serial lines


async def test_a_line_is_held_once_and_fanned_out(bench: Bench) -> None:
    one, two = Frames(await bench.open("serial")), Frames(await bench.open("serial", user="bob"))
    one.link.send(b"hello")

    await one.says(b"hello")
    await two.says(b"hello")

    assert len(bench.line.writers) == 1
    assert two.link.opened == {"writer": False, "viewers": 2, "writer_name": "ann"}
    assert await one.tells("viewers") == 2
    one.link.close()
    two.link.close()


async def test_a_line_begins_with_the_end_of_its_log(bench: Bench) -> None:
    bench.line.say(b"booting ... login: ")
    first = Frames(await bench.open("serial"))
    await first.says(b"login: ")
    bench.line.say(b"ann\r\n")
    await first.says(b"ann\r\n")

    second = Frames(await bench.open("serial"))

    await second.says(b"booting ... login: ann\r\n")
    assert second.said.count(b"login") == 1
    first.link.close()
    second.link.close()


async def test_who_comes_back_is_told_what_was_missed_and_no_more(bench: Bench) -> None:
    bench.line.say(b"seen before. ")
    first = Frames(await bench.open("serial"))
    await first.says(b"before. ")
    for writer in bench.line.writers:
        writer.transport.abort()
    await first.tells("ended")
    position = next(message["position"] for message in first.told if "ended" in message)
    await first.ends()
    bench.line.writers.clear()
    bench.line.say(b"missed. ")

    again = Frames(await bench.open("serial", replay_from=position))
    await again.says(b"missed. ")

    assert again.said == b"missed. "
    again.link.close()


async def test_who_does_not_write_is_not_heard_by_the_line(bench: Bench) -> None:
    writer, other = Frames(await bench.open("serial")), Frames(await bench.open("serial"))
    looking = Frames(await bench.open("serial", view_only=True))
    looking.link.tell({"write": "take"})
    looking.link.send(b"looking")
    other.link.send(b"other")
    writer.link.send(b"writer")

    await other.says(b"writer")
    await looking.says(b"writer")

    assert bench.line.heard == b"writer"
    for one in (writer, other, looking):
        one.link.close()


async def test_the_one_who_writes_hands_on_and_is_taken_over_from(bench: Bench) -> None:
    ann, bob = Frames(await bench.open("serial")), Frames(await bench.open("serial", user="bob"))

    bob.link.tell({"write": True})
    await asyncio.sleep(0.1)
    assert not any(message.get("writer") for message in bob.told)
    ann.link.tell({"write": False})
    await bob.until(lambda me: any(message.get("writer") for message in me.told))
    ann.link.tell({"write": "take"})
    await ann.until(lambda me: me.told[-1].get("writer") is True)

    assert "ann writes" in await bob.tells("notice")
    ann.link.close()
    await bob.until(lambda me: me.told[-1] == {"writer": False, "viewers": 1, "writer_name": ""})
    bob.link.close()


async def test_a_slow_viewer_misses_output_and_slows_nobody(bench: Bench) -> None:
    """S49"""
    slow = await bench.open("serial")
    quick = Frames(await bench.open("serial"))
    line = b"x" * 4000 + b"\r\n"

    for number in range(3000):
        bench.line.say(line)
        if number % 50 == 0:
            await asyncio.sleep(0)
    bench.line.say(b"the end")
    await quick.says(b"the end")
    late = Frames(slow)
    await late.says(b"the end")

    assert len(quick.said) == 3000 * len(line) + len(b"the end")
    assert len(late.said) < len(quick.said)
    assert "too slow" in await late.tells("notice")
    slow.close()
    quick.link.close()


async def test_a_line_is_let_go_when_nobody_looks(bench: Bench) -> None:
    first = await bench.open("serial")
    first.close()
    await bench.line.until(lambda: bench.line.writers == [])

    second = Frames(await bench.open("serial"))
    second.link.send(b"again")

    await second.says(b"again")
    second.link.close()


async def test_a_line_that_ends_says_so(bench: Bench) -> None:
    one = Frames(await bench.open("serial"))

    await bench.line.stop()

    assert "closed by its VM" in await one.tells("ended")
    await one.ends()


# -- commands


async def test_a_command_runs_in_a_terminal_of_the_right_size(bench: Bench) -> None:
    shell = Frames(await bench.open("exec", columns=120, rows=40))
    await shell.says(b"/ # ")
    shell.link.tell({"resize": {"columns": 100, "rows": 30}})
    shell.link.send(b"id\r")

    await shell.says(b"id\r")
    await bench.engine.until(lambda: len(bench.engine.sizes) == 2)

    assert bench.engine.sizes == ["h=40&w=120", "h=30&w=100"]
    shell.link.close()


async def test_a_command_is_killed_when_its_viewer_leaves(bench: Bench) -> None:
    """M37: Docker would let it run for ever."""
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    bench.engine.exec = {"Running": False, "Pid": 0, "ExitCode": None}
    shell = Frames(await bench.open("exec"))
    await shell.says(b"/ # ")
    shell.link.close()
    await asyncio.sleep(0.1)

    bench.engine.exec = {"Running": True, "Pid": sleeper.pid, "ExitCode": None}  # it was still on its way

    assert await asyncio.to_thread(sleeper.wait, 10) == -9


async def test_a_frozen_engine_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """M39"""
    monkeypatch.setattr("hosts.plane.gateway.engine.TIMEOUT_S", 0.3)
    bench.engine.frozen = True
    line = Frames(await bench.open("serial"))
    waiting = asyncio.create_task(bench.open("exec"))

    line.link.send(b"still here")
    await line.says(b"still here")

    with pytest.raises(LinkFailed, match="does not answer"):
        await waiting
    line.link.close()


async def test_an_administrators_shell_and_its_jobs_end_with_the_viewer(tmp_path: Path) -> None:
    async with bench_open(tmp_path, host_shell=True) as bench:
        shell = Frames(await bench.open("shell", thing=BOX, columns=77, rows=22))
        shell.link.send(b"stty size; sleep 7377 & echo pid=$!.\n")
        await shell.says(b"22 77")
        await shell.until(lambda me: re.search(rb"pid=(\d+)\.", me.said))
        pid = int(re.findall(rb"pid=(\d+)\.", shell.said)[-1])
        shell.link.close()

        async with asyncio.timeout(10):
            while is_running(pid):
                await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_the_end_of_a_shell_tells_its_status(tmp_path: Path) -> None:
    async with bench_open(tmp_path, host_shell=True) as bench:
        shell = Frames(await bench.open("shell", thing=BOX))
        shell.link.send(b"exit 5\n")

        assert "exit status 5" in await shell.tells("ended")
        await shell.ends()


async def test_everything_ends_with_the_gateway(bench: Bench) -> None:
    line, screen = Frames(await bench.open("serial")), await bench.open("vnc")
    await bare(screen, 12)

    await bench.gateway.close()

    assert "stopped" in await line.tells("ended")
    assert await asyncio.wait_for(screen.read(), 10) == b""
