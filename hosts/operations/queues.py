"""The names of the planes' queues."""

from __future__ import annotations


def host_short(host_name: str) -> str:
    """The queue of a host's quick verbs: state, power verbs of workloads, abort, undo."""
    return f"host.{host_name}.short"


def host_long(host_name: str) -> str:
    """The queue of a host's slow verbs: migrate, copy, pull, probe."""
    return f"host.{host_name}.long"


def site_queue(site_name: str) -> str:
    """The queue of a site's plane, which works while a host is off."""
    return f"site.{site_name}"


def plane_of(queue: str) -> str:
    """The name of the plane that listens to a queue: host.<name>.<lane>, site.<name>."""
    kind, _, rest = queue.partition(".")
    return rest.rpartition(".")[0] if kind == "host" else rest
