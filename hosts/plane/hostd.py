"""`manage.py hostd`: the plane of one host, or with `--site` of one site, and all processes of it.

The parent samples, observes and re-sends reports; each lane is a child process, and so is the console gateway.
Nothing here ends in an error because the control plane, the broker, libvirtd or dockerd is away: it waits and goes on.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from hosts.errors import Invalid
from hosts.plane.config import PlaneConfig, config_read
from hosts.plane.context import Drivers, clock_of, state_open
from hosts.plane.control_client import ControlClient, key_read, token_read
from hosts.plane.enrolment import Door, Welcome, clock_lead_note
from hosts.plane.processes import die_with_parent
from hosts.plane.state_file import StateFile
from hosts.plane.supervision import Lanes

log = logging.getLogger("hosts.plane")

ASK_AGAIN_S = 60.0
TEND_S = 0.25
CONSOLES = "consoles"  # the child that is no lane: the gateway of the host's consoles
PRUNE_AFTER_S = 14 * 24 * 3600.0


def main(argv: list[str], effect_modules: list[str]) -> int:
    """The process's exit status; returns on SIGTERM or SIGINT."""
    options = _options(argv)
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = config_read(options.config, options.site)
    except Invalid as error:
        log.error(error.message)
        return 2
    modules = options.effects.split(",") if options.effects else effect_modules
    if options.parent:
        return _lane_child(config, options.lane, options.parent, modules)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    arguments = ["--config", options.config, "--effects", ",".join(modules)]
    arguments += ["--site", options.site] if options.site else []
    children = (*config.lanes(), CONSOLES) if config.kind == "host" else config.lanes()
    lanes = (options.lane,) if options.lane else children
    return _parent(config, lanes, arguments, stop)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py hostd", description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="the plane's configuration, a JSON file")
    parser.add_argument("--site", help="be the site plane of this site")
    parser.add_argument("--lane", choices=["short", "long", "site", CONSOLES], help="run this lane alone")
    parser.add_argument("--effects", default="", help="modules of effects, with commas between")
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _lane_child(config: PlaneConfig, lane: str, parent_pid: int, modules: list[str]) -> int:
    """The child's life: it learns the broker's URL from its stdin and dies with its parent."""
    die_with_parent(parent_pid)
    broker_url = sys.stdin.readline().strip()
    if not broker_url:
        return 1
    # Ctrl-C reaches the whole group of a terminal; only the parent decides when a lane ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if lane == CONSOLES:
        from hosts.plane.gateway.process import gateway_run

        return gateway_run(config)
    from hosts.plane.lane import lane_run

    return lane_run(config, lane, broker_url, modules)


def _parent(config: PlaneConfig, lane_names: tuple[str, ...], arguments: list[str], stop: threading.Event) -> int:
    state, _, _ = state_open(config)
    door = Door(config)
    while not stop.is_set() and (welcome := door.wait(stop)):
        clock_lead_note(state, welcome.clock_lead_s)
        state.prune(PRUNE_AFTER_S)
        _work(config, lane_names, arguments, welcome, door, stop)
    log.info("Stopped.")
    return 0


def _work(
    config: PlaneConfig,
    lane_names: tuple[str, ...],
    arguments: list[str],
    welcome: Welcome,
    door: Door,
    stop: threading.Event,
) -> None:
    """Runs everything until `stop`, or until the control plane names another broker."""
    from hosts.plane.app import make_app
    from hosts.plane.reports import Resender

    lanes = Lanes(lane_names, arguments, welcome.broker_url)
    lanes.tend()
    state, _, _ = state_open(config)
    over = threading.Event()
    moved = threading.Event()
    resender = Resender(make_app(welcome.broker_url, config.user), state, lambda: key_read(config.token_file))
    threads = [
        threading.Thread(target=resender.run, args=(over,), name="resender"),
        threading.Thread(target=_ask_again, args=(config, door, welcome, over, moved), name="door"),
    ]
    if config.kind == "host":
        from hosts.plane.watch import HostWatch

        watch = HostWatch(config, state, welcome.broker_url)
        threads.append(threading.Thread(target=watch.run, args=(over,), name="watch"))
    else:
        threads += _power_threads(config, state, welcome.broker_url, over)
    for thread in threads:
        thread.daemon = True
        thread.start()
    while not stop.wait(TEND_S) and not moved.is_set():
        lanes.tend()
    over.set()
    lanes.stop()
    for thread in threads:
        thread.join(2.0)


def _power_threads(
    config: PlaneConfig, state: StateFile, broker_url: str, over: threading.Event
) -> list[threading.Thread]:
    """What a site's plane watches: the power of the site's machines."""
    from hosts.plane.power_watch import PowerWatch
    from hosts.plane.streams import POWER, Feed

    control = ControlClient(config.control_url, lambda: token_read(config.token_file))
    feed = Feed(broker_url, lambda: key_read(config.token_file), POWER, POWER)
    open_bmc, clock = Drivers(config).bmc, clock_of(state)
    watch = PowerWatch(config.name, control.controllers, open_bmc, feed.observation_put, clock, feed.sample_put)
    return [
        threading.Thread(target=feed.run, args=(over,), name="feed"),
        threading.Thread(target=watch.run, args=(over,), name="power"),
    ]


def _ask_again(
    config: PlaneConfig, door: Door, welcome: Welcome, over: threading.Event, moved: threading.Event
) -> None:
    """Keeps the clock's lead fresh, and notices that the broker moved."""
    state, _, _ = state_open(config)
    while not over.wait(ASK_AGAIN_S):
        newer = door.ask()
        if newer is None:
            continue
        clock_lead_note(state, newer.clock_lead_s)
        if newer.broker_url != welcome.broker_url:
            log.warning("The broker moved; the lanes start anew.")
            moved.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], effect_modules=[]))
