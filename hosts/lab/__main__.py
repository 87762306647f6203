"""The lab's command line; see the package's documentation."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hosts.errors import StowageError
from hosts.lab import __doc__ as description
from hosts.lab import leftovers
from hosts.lab.enter import enter
from hosts.lab.layout import Layout
from hosts.lab.supervisor import Options, Supervisor, say


def arguments_read(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; what follows `--` is in `command`."""
    parser = argparse.ArgumentParser(
        prog="python -m hosts.lab", description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=Path(".stowage/lab"))
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--subnet", default="auto", help="auto, or 10.77.N.0/24")
    parser.add_argument("--control-url-port", type=int, default=8000, help="where the dashboard listens")
    parser.add_argument("--cache-dir", type=Path, default=Path("/var/cache/stowage"), help="built images")
    parser.add_argument("--owner-uid", type=int, help="the user that the dashboard runs as")
    parser.add_argument("--no-planes", action="store_true", help="hosts without hostd")
    parser.add_argument("--no-seed", action="store_true", help="hosts without workloads")
    parser.add_argument("--clean", action="store_true", help="stop and remove, then leave")
    parser.add_argument("--enter", metavar="HOST", help="run a command (default: a shell) in a lab host")
    parser.add_argument("command", nargs="*")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Exit status."""
    given = arguments_read(arguments)
    try:
        layout = Layout(given.data_dir, given.hosts)
        if given.enter:
            return enter(layout, given.enter, given.command)
        if os.geteuid() != 0:
            say("The lab makes namespaces: run it as root (sudo).")
            return 2
        if given.clean:
            for sentence in leftovers.clean(layout, stop_supervisor=True):
                say(sentence)
            return 0
        options = Options(
            layout=layout,
            subnet=given.subnet,
            control_url_port=given.control_url_port,
            cache_dir=given.cache_dir,
            owner_uid=given.owner_uid,
            with_planes=not given.no_planes,
            with_seed=not given.no_seed,
        )
        return Supervisor(options).run()
    except StowageError as error:
        say(error.message)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
